"""Line plots as SVG text, without a library: a few dozen points on two axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 14, 44
COLORS = ("#2f6fde", "#d9822b", "#2e9e6b", "#b23a8a", "#7a7f87")
TICKS = 4


def line_plot(
    lines: Mapping[str, Points], x_label: str, y_label: str, log_x: bool = False, whole_x: bool = False
) -> str:
    """One line with dots for each name. y starts at 0.

    log_x: powers of two apart equally, for numbers of callers. whole_x: only whole numbers are written below it.
    """
    shown = {name: [(x, y) for x, y in points if math.isfinite(y)] for name, points in lines.items()}
    xs = sorted({x for points in shown.values() for x, _ in points})
    if not xs:
        return "<p>nothing was measured</p>"
    top = _round_up(max((y for points in shown.values() for _, y in points), default=1.0))
    place = _Places(xs, top, log_x)
    ticks = xs if log_x else _whole(xs[0], xs[-1]) if whole_x else _even(xs[0], xs[-1])
    parts = [_axes(place, ticks, top, x_label, y_label)]
    parts += [_line(points, place, COLORS[index % len(COLORS)]) for index, points in enumerate(shown.values())]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)} by {escape(x_label)}">'
        f"{''.join(parts)}{_legend(list(shown))}</svg>"
    )


class _Places:
    """Values → pixels."""

    def __init__(self, xs: Sequence[float], top: float, log_x: bool) -> None:
        self._scale = math.log2 if log_x else float
        self._first, last = self._scale(xs[0]), self._scale(xs[-1])
        self._span = (last - self._first) or 1.0
        self._top = top

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (self._scale(value) - self._first) / self._span

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self._top


def _axes(place: _Places, xs: Sequence[float], top: float, x_label: str, y_label: str) -> str:
    parts = []
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        y = place.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{value:g}", "end"))
    parts += [_text(place.x(x), HEIGHT - BOTTOM + 16, _tick(x), "middle") for x in xs]
    parts.append(_text((LEFT + WIDTH) / 2, HEIGHT - 6, x_label, "middle"))
    parts.append(f'<g transform="translate(12 {HEIGHT / 2:.0f}) rotate(-90)">{_text(0, 0, y_label, "middle")}</g>')
    return "".join(parts)


def _line(points: Points, place: _Places, color: str) -> str:
    spots = [(place.x(x), place.y(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in spots if len(spots) <= 40)
    return f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>{dots}'


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    parts = []
    for index, name in enumerate(names):
        x = LEFT + 10 + 110 * index
        parts.append(f'<rect x="{x}" y="2" width="10" height="10" fill="{COLORS[index % len(COLORS)]}"/>')
        parts.append(_text(x + 14, 11, name, "start"))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _tick(value: float) -> str:
    return f"{value:g}" if value == int(value) else f"{value:.1f}"


def _even(first: float, last: float) -> list[float]:
    return [first + (last - first) * tick / TICKS for tick in range(TICKS + 1)] if last > first else [first]


def _whole(first: float, last: float) -> list[float]:
    step = max(1, math.ceil((last - first) / (2 * TICKS)))
    return [float(value) for value in range(math.ceil(first), math.floor(last) + 1, step)]


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 5, 8, 10) if factor * power >= value)
