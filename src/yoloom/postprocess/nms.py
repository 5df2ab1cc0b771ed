"""Greedy non-maximum suppression: deterministic, without a time limit, in memory linear in the candidates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 30_000
"""Best-scored boxes that enter NMS; the rest are dropped by rank, never by time."""

CLASS_OFFSET = 7680.0
"""Boxes of different classes are moved this far apart, in pixels, so that one pass serves all classes."""


def nms(
    xyxy: NDArray[np.float32], cls: NDArray[np.float32], *, iou: float, max_det: int, agnostic: bool
) -> NDArray[np.intp]:
    """Suppress boxes that a better one of their class overlaps. All arithmetic is float32, offsets included.

    So does the torchvision operator on class-shifted boxes that Ultralytics calls: borderline pairs fall the same way.

    Args:
        xyxy: (N, 4) boxes in pixels, sorted by falling score.
        cls: (N,) class of each.
        iou: a box goes when its IoU with a better kept box is above it.
        max_det: most boxes that are kept.
        agnostic: boxes of different classes suppress each other too.

    Returns:
        Indices of the boxes that are kept, best first.
    """
    with np.errstate(all="ignore"):  # boxes without area, infinite or NaN: such an IoU is NaN, and suppresses nothing
        boxes = xyxy if agnostic else xyxy + cls[:, None] * np.float32(CLASS_OFFSET)
        x1, y1, x2, y2 = np.ascontiguousarray(boxes.T)
        area = (x2 - x1) * (y2 - y1)
        limit = np.float64(iou)  # compared in float64: an IoU of 3/5 rounds to a float32 above 0.6, and goes
        left = np.arange(len(boxes))
        kept: list[int] = []
        while left.size and len(kept) < max_det:
            best, left = left[0], left[1:]
            kept.append(int(best))
            width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
            height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
            overlap = np.maximum(width, 0) * np.maximum(height, 0)
            union = area[best] + area[left] - overlap
            left = left[~(overlap / union > limit)]
    return np.array(kept, np.intp)
