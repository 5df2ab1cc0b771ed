"""Sizes, colours and labels of drawings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable, InvalidOption
from yoloom.system.opencv_import import REPAIR
from yoloom.validation import number, shown

Color: TypeAlias = tuple[int, int, int]  # blue, green, red

_HEX_RGB = (
    "ff6b4a 2d8cff 2fbf71 fcc41c a855f7 f45dce 12b5cb 954c2f d40c59 a8d023 5f3ed8 fab499 "
    "227711 8eabe4 b29706 34eaff a20f9d b1e0a9 176d8b e2c1fe dd8fb7 5db4a0 884a7a 9b75ac"
)
PALETTE: tuple[Color, ...] = tuple((int(c[4:], 16), int(c[2:4], 16), int(c[:2], 16)) for c in _HEX_RGB.split())

WHITE: Color = (255, 255, 255)
BLACK: Color = (16, 16, 16)

MAX_FONT_SIZE = 1000  # pixels: OpenCV draws every glyph in memory, and ends the process when that runs out


@dataclass(frozen=True)
class DrawingStyle:
    """The sizes of a drawing in whole pixels, and the colour of its text.

    Thread safety: any number of threads.

    Args:
        line_width: of boxes and limbs.
        font_size: height of the text above the base line.
        point_radius: of keypoints.
        ink: the text's colour (BGR); None to suit each ground.
    """

    line_width: int
    font_size: int
    point_radius: int
    ink: Color | None

    def ink_on(self, ground: Color) -> Color:
        """Return the colour of text on `ground` (BGR): `ink`, or white or near-black, whichever reads better."""
        if self.ink is not None:
            return self.ink
        linear = (np.array(ground) / 255) ** 2.2  # sRGB, nearly
        # The relative luminance of Rec. 709; above 0.36 black has the better contrast.
        return BLACK if linear @ (0.0722, 0.7152, 0.2126) > 0.36 else WHITE


def drawing_style(
    shape_hw: tuple[int, ...],
    line_width: float | None = None,
    font_size: float | None = None,
    point_radius: float | None = None,
    ink: Color | None = None,
) -> DrawingStyle:
    """Choose the style for a picture of `shape_hw`: sizes are cut to what fits it, and scaled to it when None.

    Raises:
        InvalidOption: for a size that is no finite number, or a colour that is not three numbers from 0 to 255.
    """
    longest, scale = max(shape_hw[:2]), float(np.sqrt(shape_hw[0] * shape_hw[1]))
    # 4 pixels for a picture of 1280 x 720, 1 for a thumbnail, 11 for 4K
    width = _pixels("line_width", line_width, max(1, round(0.0038 * scale)), longest)
    return DrawingStyle(
        line_width=width,
        font_size=_pixels("font_size", font_size, max(10, round(0.023 * scale)), MAX_FONT_SIZE),
        point_radius=_pixels("kpt_radius", point_radius, width + 1, longest),
        ink=None if ink is None else text_color(ink),
    )


def _pixels(name: str, value: float | None, default: int, most: int) -> int:
    if value is None:
        return default
    size = number(name, value)
    if not math.isfinite(size):
        raise InvalidOption(f"{name} must be a finite number of pixels, got {shown(value)}.")
    return max(1, round(min(size, most)))


def palette_color(index: int) -> Color:
    """Return the colour (BGR) for the class or box number `index`; the palette repeats."""
    return PALETTE[index % len(PALETTE)]


def text_color(value: object) -> Color:
    """Check the option `txt_color`. Raises InvalidOption unless it is three numbers from 0 to 255."""
    parts = list(value) if isinstance(value, (tuple, list, np.ndarray)) else []
    levels = [number("txt_color", part) for part in parts]
    if len(levels) != 3 or not all(0 <= level <= 255 for level in levels):
        raise InvalidOption(
            f"txt_color must be (blue, green, red), each from 0 to 255, got {shown(value)}; None chooses for you."
        )
    blue, green, red = map(round, levels)
    return blue, green, red


FONT_WEIGHT = 500  # medium: readable at 10 pixels, not heavy at 60


class LabelWriter:
    """Writes labels on one canvas. Raises BackendUnavailable where OpenCV has no fonts, before version 5.

    Thread safety: owned by the thread that made it.

    Args:
        canvas: (H, W, 3) uint8 BGR to write on.
        style: font size, padding and ink.
    """

    # OpenCV keeps the built-in fonts, their current size and weight, and the drawn glyphs per thread, and a `FontFace`
    # points into those of the thread that made it: sharing one would be a race, and making one is cheap. The weight is
    # given with every call, because the default is the one that the thread used last.

    def __init__(self, canvas: NDArray[np.uint8], style: DrawingStyle) -> None:
        if not hasattr(cv2, "FontFace"):  # OpenCV 4, which some other package brought
            raise BackendUnavailable(
                f"labels are written by OpenCV 5, and cv2 is version {cv2.__version__} here: {REPAIR}; or plot with "
                "labels=False."
            )
        self._canvas = canvas
        self._style = style
        self._font = cv2.FontFace("sans")
        self._padding = round(0.32 * style.font_size)

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


def paint_list(canvas: NDArray[np.uint8], labels: Sequence[str], colors: Sequence[Color], style: DrawingStyle) -> None:
    """Write lines below each other in the upper left corner of `canvas` (H, W, 3) itself, each on its colour."""
    writer = LabelWriter(canvas, style)
    x = y = round(0.6 * style.font_size)
    for label, color in zip(labels, colors, strict=True):
        writer.write(label, (x, y), color)
        y += writer.size_wh(label)[1] + 1
