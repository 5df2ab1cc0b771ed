"""The letterbox: an image resized with its aspect ratio kept, on a gray canvas of the network's size, and the way back.

Formulas: those of Ultralytics 8.4.190, so that boxes agree to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PAD_VALUE = 114


@dataclass(frozen=True)
class Letterbox:
    """Where an image of `source_hw` lies on a canvas of `canvas_hw`, in pixels. Immutable: shared freely."""

    source_hw: tuple[int, int]
    canvas_hw: tuple[int, int]
    content_hw: tuple[int, int]
    top: int
    left: int

    def draw(self, image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """Draw `image` (H, W, 3) on `canvas` (canvas height, canvas width, 3), both uint8: one resize, one pad."""
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

    def to_source(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (N, 4) from canvas pixels to source pixels, clipped to the source."""
        return self.points_to_source(xyxy.reshape(-1, 2)).reshape(-1, 4)

    def points_to_source(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) from canvas pixels to source pixels, clipped to the source."""
        height, width = self.source_hw
        return np.clip(self._unclipped(xy), np.float32(0), np.array([width, height], np.float32))

    def xywh_to_source(self, xywh: NDArray[np.float32]) -> NDArray[np.float32]:
        """Centres and sizes (N, 4) from canvas pixels to source pixels, not clipped: an oriented box may reach out."""
        return np.concatenate([self._unclipped(xywh[:, :2]), xywh[:, 2:] / self._fit.gain_xy], axis=1)

    @property
    def _fit(self) -> Fit:
        return fit(self.source_hw, self.canvas_hw)

    def _unclipped(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        corner = np.array([self._fit.left, self._fit.top], np.float32)
        return (xy - corner) / self._fit.gain_xy


@dataclass(frozen=True)
class Fit:
    """Where a source lies on a plane, as the way back sees it: from the two sizes alone. Immutable: shared freely.

    On a canvas it is not always what was drawn: the content may fill a canvas after its side was rounded down.
    """

    source_hw: tuple[int, int]
    content_hw: tuple[int, int]
    top: int
    left: int

    @property
    def gain_xy(self) -> NDArray[np.float32]:
        """Pixels of the plane for one of the source; the two differ by the rounding of the content's sides."""
        return np.array([self.content_hw[axis] / self.source_hw[axis] for axis in (1, 0)], np.float32)


def fit(source_hw: tuple[int, int], plane_hw: tuple[int, int]) -> Fit:
    """A source of `source_hw` as large as it goes in the middle of a plane of `plane_hw`."""
    gain = min(plane_hw[0] / source_hw[0], plane_hw[1] / source_hw[1])
    content_h, content_w = max(round(source_hw[0] * gain), 1), max(round(source_hw[1] * gain), 1)
    top, left = round((plane_hw[0] - content_h) / 2 - 0.1), round((plane_hw[1] - content_w) / 2 - 0.1)
    return Fit(source_hw, (content_h, content_w), top, left)


def plan_letterbox(source_hw: tuple[int, int], imgsz_hw: tuple[int, int], stride: int | None) -> Letterbox:
    """Where an image of `source_hw` goes on a canvas of `imgsz_hw`.

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
    """The smallest multiples of `stride` that are no smaller than `imgsz_hw`."""
    height, width = (-(-side // stride) * stride for side in imgsz_hw)
    return height, width
