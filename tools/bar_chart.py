"""Draws bar charts as SVG files. The same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yoloom.telemetry.charts import COLORS, svg_file, svg_text

WIDTH, TOP = 860, 40
BAR, GAP, NAMES, VALUES = 22, 8, 240, 130
GREY = "#c9ced6"


def bar_chart(title: str, unit: str, bars: Mapping[str, float], notes: Mapping[str, str], grey: Sequence[str]) -> str:
    """Return a file's text: a bar for each name, longest first, with its note behind; those in `grey` are set back."""
    longest = max(bars.values(), default=1.0) or 1.0
    room = WIDTH - NAMES - VALUES - 20
    parts = []
    for index, name in enumerate(sorted(bars, key=lambda name: (-bars[name], name))):
        y = TOP + (BAR + GAP) * index
        length = room * bars[name] / longest
        color = GREY if name in grey else COLORS[0] if name.startswith("yoloom") else COLORS[-1]
        parts.append(svg_text(NAMES - 8, y + 16, name, "end"))
        parts.append(f'<rect x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{color}"/>')
        parts.append(svg_text(NAMES + length + 6, y + 16, f"{bars[name]:.1f}  {notes.get(name, '')}".rstrip()))
    return svg_file(WIDTH, TOP + (BAR + GAP) * len(bars) + 8, title, unit, parts)
