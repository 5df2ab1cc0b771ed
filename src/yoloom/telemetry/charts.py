"""Draws line charts: the same chart as SVG text, or as a picture.

```
LineChart ─▶ Plot: values → pixels, ticks ─┬─▶ render_svg: part of a page, or a file that stands alone
                                           └─▶ render_image: array (H, W, 3) uint8 BGR, for PNG files
```

The same figures give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]

COLORS = (
    *("#2f6fde", "#d9822b", "#2e9e6b", "#b23a8a", "#7a7f87"),
    *("#6fa1f2", "#e8b04b", "#7a5bd0", "#c0392b", "#444b55"),
)
"""Colours of the lines, in turn; after the last one they come again with dashes."""

TICKS = 4
MOST_DOTS = 40  # a line of more points is drawn without them
NOTHING = "<p>nothing was measured</p>"


@dataclass(frozen=True)
class LineChart:
    """Lines over a common x axis; y starts at 0. Immutable: shared freely.

    Attributes:
        lines: by name, each with its points (x, y); those with a y that is not finite are left out.
        x_label: below the axis.
        y_label: unit of the values.
        title: above a chart that stands alone.
        log_x: whether powers of two are equally far apart, for numbers of callers.
        whole_x: whether only whole numbers are written below the axis.
    """

    lines: Mapping[str, Points]
    x_label: str
    y_label: str
    title: str = ""
    log_x: bool = False
    whole_x: bool = False


@dataclass(frozen=True)
class PlotArea:
    """Sizes in pixels: of a chart, and of the margins around its axes. Immutable: shared freely."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


PAGE_FRAME = PlotArea(560, 260, left=64, right=20, top=14, bottom=44)
FILE_FRAME = PlotArea(860, 400, left=64, right=270, top=40, bottom=44)  # names of the lines stand on the right
IMAGE_FRAME = PlotArea(640, 420, left=76, right=24, top=64, bottom=56)


class Plot:
    """Places a chart's values in a frame. Immutable: shared freely.

    Attributes:
        lines: by name, as pixels.
        x_ticks: pixel and text, from left to right.
        y_ticks: pixel and text, from the bottom.
    """

    def __init__(self, chart: LineChart, frame: PlotArea) -> None:
        """Place the values. Raises ValueError for a chart without points."""
        lines = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in chart.lines.items()}
        xs = sorted({x for points in lines.values() for x, _ in points})
        if not xs:
            raise ValueError("a chart without points has no axes.")
        scale = math.log2 if chart.log_x else float
        first, span = scale(xs[0]), scale(xs[-1]) - scale(xs[0]) or 1.0
        # The axis ends at the next of 1, 2, 4, 5, 8 or 10 times a power of ten, at 1 where all is nothing.
        highest, top = max(y for points in lines.values() for _, y in points), 1.0
        if highest > 0:
            power = 10.0 ** math.floor(math.log10(highest))
            top = next(ten * power for ten in (1, 2, 4, 5, 8, 10) if ten * power >= highest * (1 - 1e-9))

        def x_pixel(value: float) -> float:
            return frame.left + (frame.width - frame.left - frame.right) * (scale(value) - first) / span

        def y_pixel(value: float) -> float:
            return frame.height - frame.bottom - (frame.height - frame.top - frame.bottom) * value / top

        marked = xs
        if chart.whole_x:
            step = max(1, math.ceil((xs[-1] - xs[0]) / (2 * TICKS)))
            marked = [float(value) for value in range(math.ceil(xs[0]), math.floor(xs[-1]) + 1, step)]
        elif not chart.log_x and xs[-1] > xs[0]:
            marked = [xs[0] + (xs[-1] - xs[0]) * tick / TICKS for tick in range(TICKS + 1)]
        self.lines = {name: [(x_pixel(x), y_pixel(y)) for x, y in points] for name, points in lines.items()}
        self.x_ticks = [(x_pixel(x), f"{x:g}" if x == int(x) else f"{x:.1f}") for x in marked]
        self.y_ticks = [(y_pixel(top * tick / TICKS), f"{top * tick / TICKS:g}") for tick in range(TICKS + 1)]


def render_svg(chart: LineChart, alone: bool = False) -> str:
    """Draw a chart as SVG.

    Args:
        chart: with its values.
        alone: for a file of its own: with a title, a white ground, and the names of the lines on the right. Otherwise
            for a page, whose style sheet may set the colours of `text` and `.grid`, with the names above the axes.

    Returns:
        An `svg` element; a paragraph that says so where there are no points.
    """
    frame = FILE_FRAME if alone else PAGE_FRAME
    try:
        plot = Plot(chart, frame)
    except ValueError:
        return NOTHING
    right, bottom = frame.width - frame.right, frame.height - frame.bottom
    parts = []
    for y, text in plot.y_ticks:
        grid = f'x1="{frame.left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e5ea"'
        parts += [f'<line class="grid" {grid}/>', svg_text(frame.left - 8, y + 4, text, "end")]
    parts += [svg_text(x, bottom + 18, text, "middle") for x, text in plot.x_ticks]
    parts.append(svg_text((frame.left + right) / 2, frame.height - 6, chart.x_label, "middle"))
    for index, (name, spots) in enumerate(plot.lines.items()):
        color = COLORS[index % len(COLORS)]
        dashes = ' stroke-dasharray="6 4"' if index >= len(COLORS) else ""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>')
        if len(spots) <= MOST_DOTS:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in spots]
        if alone or len(plot.lines) > 1:
            x, y = (right + 20, frame.top + 20 * index + 7) if alone else (frame.left + 10 + 110 * index, 7)
            length = 24 if alone else 12
            parts.append(
                f'<line x1="{x}" x2="{x + length}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="3"{dashes}/>'
            )
            parts.append(svg_text(x + length + 5, y + 4, name))
    if alone:
        return svg_file(frame.width, frame.height, chart.title, chart.y_label, parts)
    label = svg_text(0, 0, chart.y_label, "middle")
    parts.append(f'<g transform="translate(12 {frame.height / 2:.0f}) rotate(-90)">{label}</g>')
    described = f"{escape(chart.y_label)} by {escape(chart.x_label)}"
    return f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{described}">{"".join(parts)}</svg>'


def svg_text(x: float, y: float, text: str, anchor: str = "start") -> str:
    """Return a `text` element. anchor: the side of it that stands at x: "start", "middle" or "end"."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def svg_file(width: int, height: int, title: str, unit: str, parts: Sequence[str]) -> str:
    """Return a file's text: the elements `parts` on a white ground, below a title with the unit of the values."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13" fill="#2b2f36" role="img" aria-label="{escape(title)}">'
    )
    ground = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    heading = f'<text x="8" y="20" font-weight="bold">{escape(title)}, {escape(unit)}</text>'
    return "\n".join([opening, ground, heading, *parts, "</svg>", ""])


def render_image(charts: Sequence[LineChart]) -> Image:
    """Draw charts side by side with OpenCV. Returns (H, W, 3) uint8 BGR; each chart must have points."""
    canvases = []
    for chart in charts:
        frame = IMAGE_FRAME
        plot = Plot(chart, frame)
        canvas = np.full((frame.height, frame.width, 3), 255, np.uint8)
        right, bottom = frame.width - frame.right, frame.height - frame.bottom
        for y, text in plot.y_ticks:
            cv2.line(canvas, (frame.left, round(y)), (right, round(y)), (225, 225, 225), 1)
            _write(canvas, text, frame.left - 62, round(y) + 5, 0.42)
        for x, text in plot.x_ticks:
            cv2.line(canvas, (round(x), bottom), (round(x), bottom + 5), (60, 60, 60), 1)
            _write(canvas, text, round(x) - 5 * len(text), bottom + 22, 0.42)
        _write(canvas, chart.title, frame.left, 24, 0.6)
        _write(canvas, chart.y_label, 8, frame.top - 12, 0.45)
        _write(canvas, chart.x_label, frame.width // 2 - 10, frame.height - 14, 0.45)
        for index, (name, spots) in enumerate(plot.lines.items()):
            color = COLORS[index % len(COLORS)]
            bgr = [int(color[place : place + 2], 16) for place in (5, 3, 1)]
            pixels = [(round(x), round(y)) for x, y in spots]
            cv2.polylines(canvas, [np.array(pixels, np.int32)], False, bgr, 2, cv2.LINE_AA)
            for pixel in pixels:
                cv2.circle(canvas, pixel, 4, bgr, -1, cv2.LINE_AA)
            left = frame.left + 150 * index
            cv2.rectangle(canvas, (left, frame.top - 22), (left + 12, frame.top - 10), bgr, -1)
            _write(canvas, name, left + 18, frame.top - 11, 0.45)
        canvases.append(canvas)
    return np.hstack(canvases)


def _write(canvas: Image, text: str, x: int, y: int, size: float) -> None:
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (60, 60, 60), 1, cv2.LINE_AA)
