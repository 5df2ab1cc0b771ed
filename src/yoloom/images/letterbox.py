"""The letterbox: an image resized with its aspect ratio kept, on a gray canvas of the network's size, and the way back.

Formulas: those of Ultralytics 8.4.190, so that boxes agree to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

PAD_VALUE = 114  # gray of the canvas around the image


class Fit(NamedTuple):
    """Where a source lies on a plane, as the way back sees it: from the two sizes alone.

    On a canvas it is not always what was drawn: the content may fill a canvas after its side was rounded down. A named
    tuple, because two are made for every image.

    Thread safety: any number of threads.

    Attributes:
        source_hw: height and width of the source in pixels.
        content_hw: height and width of the source's part of the plane.
        top: rows of the plane above it.
        left: columns of the plane beside it.
    """

    source_hw: tuple[int, int]
    content_hw: tuple[int, int]
    top: int
    left: int

    @property
    def gain_xy(self) -> NDArray[np.float32]:
        """Pixels of the plane for one of the source; the two differ by the rounding of the content's sides."""
        return np.array([self.content_hw[axis] / self.source_hw[axis] for axis in (1, 0)], np.float32)

    def to_source(self, xy: NDArray[np.float32], clipped: bool = True) -> NDArray[np.float32]:
        """Move points (..., 2) from the plane's pixels to the source's, clipped to the source where nothing is said."""
        points: NDArray[np.float32] = (xy - np.array([self.left, self.top], np.float32)) / self.gain_xy
        if clipped:
            height, width = self.source_hw
            np.clip(points, np.float32(0), np.array([width, height], np.float32), out=points)
        return points


def fit(source_hw: tuple[int, int], plane_hw: tuple[int, int]) -> Fit:
    """Place a source of `source_hw` as large as it goes in the middle of a plane of `plane_hw`."""
    # Rounded as in Ultralytics: -0.1 puts an odd pixel of padding below, and to the right.
    gain = min(plane_hw[0] / source_hw[0], plane_hw[1] / source_hw[1])
    content_h, content_w = max(round(source_hw[0] * gain), 1), max(round(source_hw[1] * gain), 1)
    top, left = round((plane_hw[0] - content_h) / 2 - 0.1), round((plane_hw[1] - content_w) / 2 - 0.1)
    return Fit(source_hw, (content_h, content_w), top, left)


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

    def to_source(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (..., 2) or boxes of two points (N, 4) from canvas to source pixels, clipped to the source."""
        return fit(self.source_hw, self.canvas_hw).to_source(xy.reshape(-1, 2)).reshape(xy.shape)

    def xywh_to_source(self, xywh: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move centres and sizes (N, 4) from canvas to source pixels, not clipped: an oriented box may reach out."""
        place = fit(self.source_hw, self.canvas_hw)
        return np.concatenate([place.to_source(xywh[:, :2], clipped=False), xywh[:, 2:] / place.gain_xy], axis=1)


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
