"""Line charts as pictures, drawn with OpenCV."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]
Color = tuple[int, int, int]

SIZE_WH = (640, 420)
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 64, 56  # pixels around the axes
GROUND, INK, GRID = (255, 255, 255), (60, 60, 60), (225, 225, 225)  # BGR, as all colours here
COLORS: tuple[Color, ...] = ((222, 111, 47), (43, 130, 217), (107, 158, 46), (138, 58, 178))
TICKS = 4
FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class Chart:
    """Lines by name over numbers of callers, which stand apart by powers of two; y starts at 0. Immutable."""

    title: str
    unit: str
    lines: Mapping[str, Points]


def draw_charts(charts: Sequence[Chart]) -> Image:
    """All charts side by side on one picture, BGR."""
    return np.hstack([draw_chart(chart) for chart in charts])


def draw_chart(chart: Chart) -> Image:
    """One chart of SIZE_WH pixels."""
    width, height = SIZE_WH
    canvas = np.full((height, width, 3), GROUND, np.uint8)
    places = _Places([point for points in chart.lines.values() for point in points])
    _draw_axes(canvas, places)
    _text(canvas, chart.title, (LEFT, 24), 0.6)
    _text(canvas, chart.unit, (8, TOP - 12), 0.45)
    _text(canvas, "callers", (width // 2 - 10, height - 14), 0.45)
    for index, (name, points) in enumerate(chart.lines.items()):
        color = COLORS[index % len(COLORS)]
        _draw_line(canvas, [places.pixel(*point) for point in points], color)
        _draw_name(canvas, name, LEFT + 150 * index, color)
    return canvas


class _Places:
    """Values → pixels."""

    def __init__(self, points: Points) -> None:
        self.xs = sorted({x for x, _ in points})
        self.top = rounded_up(max(y for _, y in points))
        self._first = math.log2(self.xs[0])
        self._span = math.log2(self.xs[-1]) - self._first or 1.0

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        width, height = SIZE_WH
        across = (math.log2(x) - self._first) / self._span
        return (
            round(LEFT + (width - LEFT - RIGHT) * across),
            round(height - BOTTOM - (height - TOP - BOTTOM) * y / self.top),
        )


def rounded_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 5, 8, 10) if factor * power >= value * (1 - 1e-9))


def _draw_axes(canvas: Image, places: _Places) -> None:
    first, last = places.xs[0], places.xs[-1]
    for tick in range(TICKS + 1):
        value = places.top * tick / TICKS
        (left, y), (right, _) = places.pixel(first, value), places.pixel(last, value)
        cv2.line(canvas, (left, y), (max(right, SIZE_WH[0] - RIGHT), y), GRID, 1)
        _text(canvas, f"{value:g}", (left - 62, y + 5), 0.42)
    for x in places.xs:
        column, bottom = places.pixel(x, 0)
        cv2.line(canvas, (column, bottom), (column, bottom + 5), INK, 1)
        _text(canvas, f"{x:g}", (column - 5 * len(f"{x:g}"), bottom + 22), 0.42)


def _draw_line(canvas: Image, pixels: Sequence[tuple[int, int]], color: Color) -> None:
    cv2.polylines(canvas, [np.array(pixels, np.int32)], False, color, 2, cv2.LINE_AA)
    for pixel in pixels:
        cv2.circle(canvas, pixel, 4, color, -1, cv2.LINE_AA)


def _draw_name(canvas: Image, name: str, left: int, color: Color) -> None:
    cv2.rectangle(canvas, (left, TOP - 22), (left + 12, TOP - 10), color, -1)
    _text(canvas, name, (left + 18, TOP - 11), 0.45)


def _text(canvas: Image, text: str, corner_xy: tuple[int, int], size: float) -> None:
    cv2.putText(canvas, text, corner_xy, FONT, size, INK, 1, cv2.LINE_AA)
