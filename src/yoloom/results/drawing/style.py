"""How thick, how large and in which ink a drawing is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from yoloom.errors import InvalidOption
from yoloom.results.drawing.colors import Color, text_color, text_color_on
from yoloom.validation import number, shown

MAX_FONT_SIZE = 1000  # pixels: OpenCV draws every glyph in memory, and ends the process when that runs out


@dataclass(frozen=True)
class DrawingStyle:
    """Sizes in whole pixels; ink: the text's colour (BGR), None to suit each ground. Immutable: shared freely."""

    line_width: int
    font_size: int
    point_radius: int
    ink: Color | None

    def ink_on(self, ground: Color) -> Color:
        """The colour of text on a ground of this colour."""
        return self.ink or text_color_on(ground)


def drawing_style(
    shape_hw: tuple[int, ...],
    line_width: float | None = None,
    font_size: float | None = None,
    point_radius: float | None = None,
    ink: Color | None = None,
) -> DrawingStyle:
    """The style for a picture of `shape_hw`: sizes are cut to what fits it, and scaled to it when None.

    Raises:
        InvalidOption: for a size that is no finite number, or a colour that is not three numbers from 0 to 255.
    """
    longest = max(shape_hw[:2])
    width = _pixels("line_width", line_width, default_line_width(shape_hw), longest)
    return DrawingStyle(
        line_width=width,
        font_size=_pixels("font_size", font_size, default_font_size(shape_hw), MAX_FONT_SIZE),
        point_radius=_pixels("kpt_radius", point_radius, width + 1, longest),
        ink=None if ink is None else text_color(ink),
    )


def default_line_width(shape_hw: tuple[int, ...]) -> int:
    """A line width in pixels that suits the picture: 4 for 1280 x 720, 1 for a thumbnail, 11 for 4K."""
    return max(1, round(0.0038 * _scale(shape_hw)))


def default_font_size(shape_hw: tuple[int, ...]) -> int:
    """A font size (height above the base line) in pixels that suits the picture."""
    return max(10, round(0.023 * _scale(shape_hw)))


def _scale(shape_hw: tuple[int, ...]) -> float:
    return float(np.sqrt(shape_hw[0] * shape_hw[1]))


def _pixels(name: str, wanted: float | None, default: int, most: int) -> int:
    if wanted is None:
        return default
    size = number(name, wanted)
    if not math.isfinite(size):
        raise InvalidOption(f"{name} must be a finite number of pixels, got {shown(wanted)}.")
    return max(1, round(min(size, most)))
