"""Draws labelled boxes on a copy of a picture. Pure functions: same arguments, same pixels, in any thread."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InvalidOption, UnknownOption
from yoloom.options import number, shown

Image: TypeAlias = NDArray[np.uint8]  # (H, W, 3) BGR
Color: TypeAlias = tuple[int, int, int]  # blue, green, red

_HEX_RGB = (
    "ff6b4a 2d8cff 2fbf71 fcc41c a855f7 f45dce 12b5cb 954c2f d40c59 a8d023 5f3ed8 fab499 "
    "227711 8eabe4 b29706 34eaff a20f9d b1e0a9 176d8b e2c1fe dd8fb7 5db4a0 884a7a 9b75ac"
)
PALETTE: tuple[Color, ...] = tuple((int(c[4:], 16), int(c[2:4], 16), int(c[:2], 16)) for c in _HEX_RGB.split())

WHITE: Color = (255, 255, 255)
BLACK: Color = (16, 16, 16)
FONT_WEIGHT = 500  # medium: readable at 10 pixels, not heavy at 60
MAX_FONT_SIZE = 1000  # pixels: OpenCV draws every glyph in memory, and ends the process when that runs out

# Arguments of Ultralytics' `plot` for what other tasks find, or for fonts that are files.
IDLE_OPTIONS = frozenset({"font", "masks", "probs", "kpt_radius", "kpt_line", "im_gpu"})


def palette_color(index: int) -> Color:
    """The colour (BGR) for the class or box number `index`; the palette repeats."""
    return PALETTE[index % len(PALETTE)]


def text_color_on(background: Color) -> Color:
    """White or near-black, whichever reads better on `background` (BGR)."""
    linear = (np.array(background) / 255) ** 2.2
    return BLACK if linear @ (0.0722, 0.7152, 0.2126) > 0.36 else WHITE


def default_line_width(shape_hw: tuple[int, ...]) -> int:
    """A line width in pixels that suits the picture: 4 for 1280 x 720, 1 for a thumbnail, 11 for 4K."""
    return max(1, round(0.0038 * _scale(shape_hw)))


def default_font_size(shape_hw: tuple[int, ...]) -> int:
    """A font size (height above the base line) in pixels that suits the picture."""
    return max(10, round(0.023 * _scale(shape_hw)))


def draw_boxes(
    image: Image,
    xyxy: ArrayLike,
    colors: Sequence[Color],
    labels: Sequence[str] = (),
    *,
    line_width: float | None = None,
    font_size: float | None = None,
    text_color: Color | None = None,
) -> Image:
    """Return a copy of `image` with boxes on it; the first box and its label lie on top.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        xyxy: (N, 4) corners in pixels; cut at the edge of the picture.
        colors: N colours (BGR).
        labels: N texts in any language, or none; an empty text draws no label.
        line_width: pixels, at most the picture's longer side; scaled to the picture when None.
        font_size: pixels, at most MAX_FONT_SIZE; scaled to the picture when None.
        text_color: BGR; black or white to suit each label when None.

    Raises:
        InvalidOption: for a size that is no finite number, or a colour that is not three numbers from 0 to 255.
    """
    canvas = np.array(image, order="C")
    width = _pixels("line_width", line_width, default_line_width(canvas.shape), max(canvas.shape))
    height = _pixels("font_size", font_size, default_font_size(canvas.shape), MAX_FONT_SIZE)
    ink = None if text_color is None else _color(text_color)
    corners = _corners(xyxy, canvas.shape)
    for box, color in reversed(list(zip(corners, colors, strict=True))):
        _draw_frame(canvas, box, color, width)
    if any(labels):
        writer = _Writer(canvas, height, width)
        for box, color, label in reversed(list(zip(corners, colors, labels, strict=True))):
            writer.write(label, box, color, ink or text_color_on(color))
    return canvas


def check_idle(given: Iterable[str]) -> None:
    """Raise UnknownOption for a name that is not one of Ultralytics' that mean nothing here."""
    for name in given:
        if name not in IDLE_OPTIONS:
            raise UnknownOption(
                f"plot() has no option {name!r}; accepted without effect: {', '.join(sorted(IDLE_OPTIONS))}."
            )


class _Writer:
    """Writes labels on one canvas. Threads: only the one that made it.

    OpenCV keeps the built-in fonts, their current size and weight, and the drawn glyphs per thread, and a `FontFace`
    points into those of the thread that made it: sharing one is a race. Making one is cheap. The weight is given
    with every call, because the default is whatever the thread used last.
    """

    def __init__(self, canvas: Image, font_size: int, line_width: int) -> None:
        self._canvas = canvas
        self._font = cv2.FontFace("sans")
        self._font_size = font_size
        self._outer = line_width // 2  # how far the line reaches beyond the corner of its box

    def write(self, text: str, box: Sequence[int], color: Color, text_color: Color) -> None:
        """Write `text` over the upper left corner of `box`, on a ground of `color`."""
        if not text:
            return
        padding = round(0.32 * self._font_size)
        size_wh = (self._text_width(text) + 2 * padding, round(1.3 * self._font_size) + 1)
        x, y = self._place(box, size_wh)
        self._canvas[y : y + size_wh[1], x : x + size_wh[0]] = color
        base_line = (x + padding, y + self._font_size + 1)
        cv2.putText(self._canvas, text, base_line, text_color, self._font, self._font_size, FONT_WEIGHT)

    def _text_width(self, text: str) -> int:
        return int(cv2.getTextSize((0, 0), text, (0, 0), self._font, self._font_size, FONT_WEIGHT)[2])

    def _place(self, box: Sequence[int], size_wh: tuple[int, int]) -> tuple[int, int]:
        """The label's upper left corner: on top of the box, moved into the picture where it would leave it."""
        left, top = box[0] - self._outer, box[1] - self._outer
        rightmost = self._canvas.shape[1] - size_wh[0]
        return max(min(left, rightmost), 0), max(top - size_wh[1] + 1, 0)


def _draw_frame(canvas: Image, box: Sequence[int], color: Color, width: int) -> None:
    left, top, right, bottom = (max(edge - width // 2, 0) for edge in box)
    for y in (top, bottom):
        canvas[y : y + width, left : right + width] = color
    for x in (left, right):
        canvas[top : bottom + width, x : x + width] = color


def _scale(shape_hw: tuple[int, ...]) -> float:
    return float(np.sqrt(shape_hw[0] * shape_hw[1]))


def _pixels(name: str, wanted: float | None, default: int, most: int) -> int:
    if wanted is None:
        return default
    size = number(name, wanted)
    if not math.isfinite(size):
        raise InvalidOption(f"{name} must be a finite number of pixels, got {shown(wanted)}.")
    return max(1, round(min(size, most)))


def _color(wanted: object) -> Color:
    parts = list(wanted) if isinstance(wanted, (tuple, list, np.ndarray)) else []
    levels = [number("txt_color", part) for part in parts]
    if len(levels) != 3 or not all(0 <= level <= 255 for level in levels):
        raise InvalidOption(
            f"txt_color must be (blue, green, red), each from 0 to 255, got {shown(wanted)}; None chooses for you."
        )
    blue, green, red = map(round, levels)
    return blue, green, red


def _corners(xyxy: ArrayLike, shape: tuple[int, ...]) -> list[list[int]]:
    height, width = shape[:2]
    edge = np.array((width, height, width, height)) - 1
    corners = np.clip(np.asarray(xyxy, np.float64).reshape(-1, 4), 0, edge)
    return np.rint(corners).astype(int).tolist()  # type: ignore[no-any-return]
