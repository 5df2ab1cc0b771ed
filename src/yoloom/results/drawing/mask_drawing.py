"""Paints masks on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.results.drawing.style import Color, DrawingStyle
from yoloom.results.masks import Masks

OPACITY = 0.45  # of the colour over what is masked: the picture stays readable


def paint_masks(canvas: NDArray[np.uint8], masks: Masks, colors: Sequence[Color], style: DrawingStyle) -> None:
    """Tint what N masks cover on `canvas` (H, W, 3) itself, and draw their edges; the first lies on top."""
    for number, color in reversed(list(enumerate(colors))):
        left, top, piece = masks.cut_out(number)
        region = canvas[top : top + piece.shape[0], left : left + piece.shape[1]]
        if not region.size:
            continue
        mask = piece[: region.shape[0], : region.shape[1]]
        tint = np.array((*color, 0)) * OPACITY  # four numbers are one colour to OpenCV
        cv2.copyTo(cv2.add(cv2.convertScaleAbs(region, alpha=1 - OPACITY), tint), mask, region)
        edges, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(region, edges, -1, color, max(1, style.line_width // 2), cv2.LINE_AA)
