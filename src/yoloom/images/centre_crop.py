"""The centre crop of classification: the short side resized to the network's size, and the middle of the long one.

Resized by Pillow, which averages when it makes an image smaller: the pixels are those of Ultralytics 8.4.190.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_RESIZED = 1 << 24
"""Most pixels of an image, after resizing, that is resized as a whole and then cropped."""


@dataclass(frozen=True)
class CentreCrop:
    """Where the middle of an image of `source_hw` lies on a canvas of `canvas_hw`, in pixels.

    A canvas that is not square shows the whole image, its aspect ratio lost.

    Thread safety: any number of threads.

    Args:
        source_hw: height and width of the image.
        canvas_hw: height and width of the canvas.
    """

    source_hw: tuple[int, int]
    canvas_hw: tuple[int, int]

    @property
    def resized_hw(self) -> tuple[int, int]:
        """The size of the resized image, from which the canvas is cut, in pixels."""
        (height, width), (side, other) = self.source_hw, self.canvas_hw
        if side != other:
            return self.canvas_hw
        if height < width:
            return side, int(side * width / height)
        return int(side * height / width), side

    def draw(self, image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """Draw `image` (H, W, 3) on `canvas` (*canvas_hw, 3), both uint8.

        An image so elongated that it would have more than MAX_RESIZED pixels has only its middle resized, so that
        memory is bounded; a pixel may then differ by 1 from what the whole image would give.
        """
        from PIL import Image

        height, width = self.canvas_hw
        is_bounded = math.prod(self.resized_hw) > MAX_RESIZED
        size_hw, box = self.resized_hw, None
        if is_bounded:
            (top, bottom, y1, y2), (left, right, x1, x2) = self._cut(0), self._cut(1)
            image = np.ascontiguousarray(image[top:bottom, left:right])
            size_hw, box = self.canvas_hw, (x1, y1, x2, y2)
        # Channels do not mix, so BGR goes through as RGB.
        resized = np.asarray(Image.fromarray(image).resize(size_hw[::-1], Image.Resampling.BILINEAR, box=box))
        top, left = (0, 0) if is_bounded else (self._start(0), self._start(1))
        canvas[...] = resized[top : top + height, left : left + width]

    def _start(self, axis: int) -> int:
        return round((self.resized_hw[axis] - self.canvas_hw[axis]) / 2)

    def _cut(self, axis: int) -> tuple[int, int, float, float]:
        """Return which whole pixels of the source one side of the canvas depends on, and where in them it lies."""
        scale = self.source_hw[axis] / self.resized_hw[axis]
        start = self._start(axis) * scale
        stop = start + self.canvas_hw[axis] * scale
        reach = max(scale, 1) + 1  # of the filter
        first, last = max(math.floor(start - reach), 0), min(math.ceil(stop + reach), self.source_hw[axis])
        return first, last, start - first, min(stop, last) - first
