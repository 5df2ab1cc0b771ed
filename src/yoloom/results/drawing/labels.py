"""Writes labels on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.results.drawing.style import Color, DrawingStyle

FONT_WEIGHT = 500  # medium: readable at 10 pixels, not heavy at 60


class LabelWriter:
    """Writes labels on one canvas.

    Thread safety: owned by the thread that made it.

    Args:
        canvas: (H, W, 3) uint8 BGR to write on.
        style: font size, padding and ink.
    """

    # OpenCV keeps the built-in fonts, their current size and weight, and the drawn glyphs per thread, and a `FontFace`
    # points into those of the thread that made it: sharing one would be a race, and making one is cheap. The weight is
    # given with every call, because the default is the one that the thread used last.

    def __init__(self, canvas: NDArray[np.uint8], style: DrawingStyle) -> None:
        self._canvas = canvas
        self._style = style
        self._font = cv2.FontFace("sans")

    def write_above(self, text: str, corner_xy: tuple[int, int], color: Color) -> None:
        """Write `text` on a ground of `color`, over the upper left corner of a box, or where it fits the picture."""
        if text:
            outer = self._style.line_width // 2  # how far the line reaches beyond the corner
            height = self.size_wh(text)[1]
            self.write(text, (corner_xy[0] - outer, corner_xy[1] - outer - height + 1), color)

    def write(self, text: str, corner_xy: tuple[int, int], color: Color) -> None:
        """Write `text` on a ground of `color` whose upper left corner is there, moved into the picture."""
        width, height = self.size_wh(text)
        x, y = max(min(corner_xy[0], self._canvas.shape[1] - width), 0), max(corner_xy[1], 0)
        self._canvas[y : y + height, x : x + width] = color
        base_line = (x + self._padding, y + self._style.font_size + 1)
        ink = self._style.ink_on(color)
        cv2.putText(self._canvas, text, base_line, ink, self._font, self._style.font_size, FONT_WEIGHT)

    def size_wh(self, text: str) -> tuple[int, int]:
        """Return width and height of the ground in pixels."""
        text_width = cv2.getTextSize((0, 0), text, (0, 0), self._font, self._style.font_size, FONT_WEIGHT)[2]
        return int(text_width) + 2 * self._padding, round(1.3 * self._style.font_size) + 1

    @property
    def _padding(self) -> int:
        return round(0.32 * self._style.font_size)


def paint_list(canvas: NDArray[np.uint8], labels: Sequence[str], colors: Sequence[Color], style: DrawingStyle) -> None:
    """Write lines below each other in the upper left corner of `canvas` (H, W, 3) itself, each on its colour."""
    writer = LabelWriter(canvas, style)
    x = y = round(0.6 * style.font_size)
    for label, color in zip(labels, colors, strict=True):
        writer.write(label, (x, y), color)
        y += writer.size_wh(label)[1] + 1
