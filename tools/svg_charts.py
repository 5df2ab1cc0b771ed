"""Charts as SVG text: lines over numbers of callers, and bars. The same figures give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[int, float]]

WIDTH, LINE_HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 270, 40, 44  # names of the lines stand on the right
BAR, GAP, NAMES, VALUES = 22, 8, 240, 130
COLORS = ("#2f6fde", "#6fa1f2", "#444b55", "#8a919c", "#d9822b", "#e8b04b", "#2e9e6b", "#b23a8a", "#7a5bd0", "#c0392b")
GREY = "#c9ced6"
TICKS = 4


def line_chart(title: str, unit: str, lines: Mapping[str, Points]) -> str:
    """A line for each name; callers stand apart by powers of two, y starts at 0."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    top = rounded_up(max((y for points in lines.values() for _, y in points), default=1.0))
    parts = [_title(title, unit), *_grid(xs, top)]
    for index, (name, points) in enumerate(lines.items()):
        color = COLORS[index % len(COLORS)]
        dashes = ' stroke-dasharray="6 4"' if index >= len(COLORS) else ""
        spots = [_spot(x, y, xs, top) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in spots]
        y = TOP + 20 * index
        ends = f'x1="{WIDTH - RIGHT + 20}" x2="{WIDTH - RIGHT + 44}" y1="{y + 7}" y2="{y + 7}"'
        parts.append(f'<line {ends} stroke="{color}" stroke-width="3"{dashes}/>')
        parts.append(_text(WIDTH - RIGHT + 50, y + 11, name))
    return _picture(WIDTH, LINE_HEIGHT, title, parts)


def bar_chart(title: str, unit: str, bars: Mapping[str, float], told: Mapping[str, str], grey: Sequence[str]) -> str:
    """A bar for each name, longest first, with what is `told` of it behind; those in `grey` are set back."""
    longest = max(bars.values(), default=1.0) or 1.0
    room = WIDTH - NAMES - VALUES - 20
    parts = [_title(title, unit)]
    for index, name in enumerate(sorted(bars, key=lambda name: (-bars[name], name))):
        y = TOP + (BAR + GAP) * index
        length = room * bars[name] / longest
        color = GREY if name in grey else COLORS[0] if name.startswith("yoloom") else COLORS[2]
        parts.append(_text(NAMES - 8, y + 16, name, "end"))
        parts.append(f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{color}"/>')
        parts.append(_text(NAMES + length + 6, y + 16, f"{bars[name]:.1f}  {told.get(name, '')}".rstrip()))
    return _picture(WIDTH, TOP + (BAR + GAP) * len(bars) + 8, title, parts)


def rounded_up(value: float) -> float:
    """The next of 1, 2, 4, 5, 8 or 10 times a power of ten; 1 for nothing."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 5, 8, 10) if factor * power >= value * (1 - 1e-9))


def _grid(xs: Sequence[int], top: float) -> list[str]:
    parts = []
    for tick in range(TICKS + 1):
        value = top * tick / TICKS
        _, y = _spot(xs[0], value, xs, top)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e2e5ea"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{value:g}", "end"))
    parts += [_text(_spot(x, 0, xs, top)[0], LINE_HEIGHT - BOTTOM + 18, str(x), "middle") for x in xs]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, LINE_HEIGHT - 6, "callers", "middle"))
    return parts


def _spot(x: float, y: float, xs: Sequence[int], top: float) -> tuple[float, float]:
    span = math.log2(xs[-1] / xs[0]) or 1.0
    across = math.log2(x / xs[0]) / span
    return LEFT + (WIDTH - LEFT - RIGHT) * across, LINE_HEIGHT - BOTTOM - (LINE_HEIGHT - TOP - BOTTOM) * y / top


def _title(title: str, unit: str) -> str:
    return f'<text x="8" y="20" font-weight="bold">{escape(title)}, {escape(unit)}</text>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13" fill="#2b2f36" role="img" aria-label="{escape(title)}">'
    )
    return "\n".join([opening, f'<rect width="{width}" height="{height}" fill="#ffffff"/>', *parts, "</svg>", ""])
