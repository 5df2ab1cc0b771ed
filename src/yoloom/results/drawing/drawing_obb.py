"""Paints oriented boxes on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.results.drawing.colors import Color
from yoloom.results.drawing.style import DrawingStyle
from yoloom.results.drawing.subpixel import SHIFT, subpixels
from yoloom.results.obb import OBB


def paint_oriented(canvas: NDArray[np.uint8], obb: OBB, colors: Sequence[Color], style: DrawingStyle) -> None:
    """Paint N oriented boxes on `canvas` (H, W, 3) itself; the first lies on top."""
    corners = subpixels(obb.xyxyxyxy, canvas.shape)
    for quad, color in reversed(list(zip(corners, colors, strict=True))):
        cv2.polylines(canvas, [quad], True, color, style.line_width, cv2.LINE_AA, SHIFT)


def label_corners(obb: OBB) -> NDArray[np.float32]:
    """(N, 2) where the label of each box goes: its highest corner."""
    corners = np.asarray(obb.xyxyxyxy)
    highest: NDArray[np.float32] = corners[np.arange(len(corners)), corners[..., 1].argmin(axis=1)]
    return highest
