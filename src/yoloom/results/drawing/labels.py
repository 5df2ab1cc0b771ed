"""Writes labels on a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.results.drawing.colors import Color
from yoloom.results.drawing.style import DrawingStyle

FONT_WEIGHT = 500  # medium: readable at 10 pixels, not heavy at 60


class LabelWriter:
    """Writes labels on one canvas. Threads: only the one that made it.

    OpenCV keeps the built-in fonts, their current size and weight, and the drawn glyphs per thread, and a `FontFace`
    points into those of the thread that made it: sharing one is a race. Making one is cheap. The weight is given
    with every call, because the default is whatever the thread used last.
    """

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
        """Width and height of the ground in pixels."""
        return self._text_width(text) + 2 * self._padding, round(1.3 * self._style.font_size) + 1

    @property
    def _padding(self) -> int:
        return round(0.32 * self._style.font_size)

    def _text_width(self, text: str) -> int:
        return int(cv2.getTextSize((0, 0), text, (0, 0), self._font, self._style.font_size, FONT_WEIGHT)[2])
