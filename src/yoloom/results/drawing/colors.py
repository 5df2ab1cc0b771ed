"""The colours of drawings."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from yoloom.errors import InvalidOption
from yoloom.validation import number, shown

Color: TypeAlias = tuple[int, int, int]  # blue, green, red

_HEX_RGB = (
    "ff6b4a 2d8cff 2fbf71 fcc41c a855f7 f45dce 12b5cb 954c2f d40c59 a8d023 5f3ed8 fab499 "
    "227711 8eabe4 b29706 34eaff a20f9d b1e0a9 176d8b e2c1fe dd8fb7 5db4a0 884a7a 9b75ac"
)
PALETTE: tuple[Color, ...] = tuple((int(c[4:], 16), int(c[2:4], 16), int(c[:2], 16)) for c in _HEX_RGB.split())

WHITE: Color = (255, 255, 255)
BLACK: Color = (16, 16, 16)


def palette_color(index: int) -> Color:
    """The colour (BGR) for the class or box number `index`; the palette repeats."""
    return PALETTE[index % len(PALETTE)]


def text_color_on(background: Color) -> Color:
    """White or near-black, whichever reads better on `background` (BGR)."""
    linear = (np.array(background) / 255) ** 2.2
    return BLACK if linear @ (0.0722, 0.7152, 0.2126) > 0.36 else WHITE


def text_color(wanted: object) -> Color:
    """The option `txt_color`. Raises InvalidOption unless it is three numbers from 0 to 255."""
    parts = list(wanted) if isinstance(wanted, (tuple, list, np.ndarray)) else []
    levels = [number("txt_color", part) for part in parts]
    if len(levels) != 3 or not all(0 <= level <= 255 for level in levels):
        raise InvalidOption(
            f"txt_color must be (blue, green, red), each from 0 to 255, got {shown(wanted)}; None chooses for you."
        )
    blue, green, red = map(round, levels)
    return blue, green, red
