"""Points between the pixels of a canvas, as OpenCV takes them: in whole sixteenths of a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHIFT = 4  # bits behind the point


def subpixels(points_xy: ArrayLike, shape_hw: tuple[int, ...]) -> NDArray[np.int32]:
    """Points (..., 2) in pixels as int32 in sixteenths; what lies far outside, or is no number, stays outside."""
    limit = 4 * max(shape_hw[:2])  # OpenCV's integers end somewhere
    within = np.clip(np.nan_to_num(np.asarray(points_xy, np.float64), nan=-limit), -limit, limit)
    return np.rint(within * (1 << SHIFT)).astype(np.int32)
