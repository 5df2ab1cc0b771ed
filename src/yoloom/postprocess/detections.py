"""What a head finds in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """Columns of one image's detections, best first, in source pixels; None where the task has no such thing.

    boxes: (N, 6) float32 x1, y1, x2, y2, confidence, class. masks: (N, H, W) uint8 of 0 and 1, as large as the
    network's input, or as the source. keypoints: (N, K, 2 or 3) float32 x, y, visibility. obb: (N, 7) float32 x, y, w,
    h, radians, confidence, class. probs: (nc,) float32. Threads: anybody; whoever asked owns the arrays.
    """

    boxes: NDArray[np.float32] | None = None
    masks: NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    obb: NDArray[np.float32] | None = None
    probs: NDArray[np.float32] | None = None
