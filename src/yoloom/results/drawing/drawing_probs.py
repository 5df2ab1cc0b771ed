"""Writes a picture's most probable classes on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yoloom.results.drawing.colors import Color
from yoloom.results.drawing.labels import LabelWriter
from yoloom.results.drawing.style import DrawingStyle


def paint_list(canvas: NDArray[np.uint8], labels: Sequence[str], colors: Sequence[Color], style: DrawingStyle) -> None:
    """Write lines below each other in the upper left corner of `canvas` (H, W, 3) itself, each on its colour."""
    writer = LabelWriter(canvas, style)
    x = y = round(0.6 * style.font_size)
    for label, color in zip(labels, colors, strict=True):
        writer.write(label, (x, y), color)
        y += writer.size_wh(label)[1] + 1
