"""The letterbox: an image resized with its aspect ratio kept, on a gray canvas of the network's size, and the way back.

Formulas: those of Ultralytics 8.4.190, so that boxes agree to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.images.fit import fit

PAD_VALUE = 114  # gray of the canvas around the image


class Placement(Protocol):
    """How an image gets onto a canvas of the network's size: a `Letterbox`, or a `CentreCrop` for classification.

    Thread safety: any number of threads.
    """

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Size of the canvas in pixels."""

    def draw(self, image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """Draw `image` (H, W, 3) on `canvas` (*canvas_hw, 3), both uint8 BGR."""


@dataclass(frozen=True)
class Letterbox:
    """Where an image of `source_hw` lies on a canvas of `canvas_hw`, in pixels.

    Thread safety: any number of threads.

    Args:
        source_hw: height and width of the image.
        canvas_hw: height and width of the canvas.
        content_hw: height and width of the resized image on it.
        top: rows of padding above the content.
        left: columns of padding beside the content.
    """

    source_hw: tuple[int, int]
    canvas_hw: tuple[int, int]
    content_hw: tuple[int, int]
    top: int
    left: int

    def draw(self, image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """Draw `image` (H, W, 3) on `canvas` (*canvas_hw, 3), both uint8: one resize, one pad."""
        height, width = self.content_hw
        bottom, right = self.top + height, self.left + width
        canvas[: self.top] = PAD_VALUE
        canvas[bottom:] = PAD_VALUE
        canvas[self.top : bottom, : self.left] = PAD_VALUE
        canvas[self.top : bottom, right:] = PAD_VALUE
        content = canvas[self.top : bottom, self.left : right]
        if self.content_hw == self.source_hw:
            content[...] = image
        else:
            cv2.resize(image, (width, height), dst=content, interpolation=cv2.INTER_LINEAR)

    # The way back goes by the two sizes alone, as in Ultralytics, and not by what was drawn.

    def to_source(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move boxes (N, 4) from canvas pixels to source pixels, clipped to the source."""
        return fit(self.source_hw, self.canvas_hw).to_source(xyxy.reshape(-1, 2)).reshape(-1, 4)

    def points_to_source(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (..., 2) from canvas pixels to source pixels, clipped to the source."""
        return fit(self.source_hw, self.canvas_hw).to_source(xy)

    def xywh_to_source(self, xywh: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move centres and sizes (N, 4) from canvas to source pixels, not clipped: an oriented box may reach out."""
        place = fit(self.source_hw, self.canvas_hw)
        return np.concatenate([place.unclipped(xywh[:, :2]), xywh[:, 2:] / place.gain_xy], axis=1)


def plan_letterbox(source_hw: tuple[int, int], imgsz_hw: tuple[int, int], stride: int | None) -> Letterbox:
    """Place an image of `source_hw` on a canvas of `imgsz_hw`.

    With a `stride` the canvas shrinks to the smallest multiple of it that holds the image; with None it stays.
    """
    content_h, content_w = fit(source_hw, imgsz_hw).content_hw
    spare_h, spare_w = imgsz_hw[0] - content_h, imgsz_hw[1] - content_w
    if stride is not None:
        spare_h, spare_w = spare_h % stride, spare_w % stride
    return Letterbox(
        source_hw=source_hw,
        canvas_hw=(content_h + spare_h, content_w + spare_w),
        content_hw=(content_h, content_w),
        top=round(spare_h / 2 - 0.1),
        left=round(spare_w / 2 - 0.1),
    )


def round_up_to_stride(imgsz_hw: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return the smallest multiples of `stride` that are no smaller than `imgsz_hw`."""
    height, width = (-(-side // stride) * stride for side in imgsz_hw)
    return height, width
