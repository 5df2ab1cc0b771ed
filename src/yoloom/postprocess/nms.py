"""Greedy non-maximum suppression: deterministic, without a time limit, in memory linear in the candidates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_CANDIDATES = 30_000
"""Best-scored boxes that enter NMS; the rest are dropped by rank, never by time."""

CLASS_OFFSET = 7680.0
"""Boxes of different classes are moved this far apart, in pixels, so that one pass serves all classes."""


def by_score(scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """Indices (N,) from the highest score down; equal scores keep their order."""
    return np.argsort(-scores, kind="stable")


def nms(
    xyxy: NDArray[np.float32], cls: NDArray[np.float32], *, iou: float, max_det: int, agnostic: bool
) -> NDArray[np.intp]:
    """Indices of the boxes that are kept, best first, at most `max_det`.

    xyxy: (N, 4) boxes sorted by falling score. cls: (N,) class of each. A box goes when its IoU with a better kept box
    of its class (of any class when `agnostic`) is above `iou`. All arithmetic is float32, offsets included, like the
    torchvision operator on class-shifted boxes that Ultralytics calls: borderline pairs fall the same way.
    """
    with np.errstate(all="ignore"):  # boxes without area, infinite or NaN: such an IoU is NaN, and suppresses nothing
        return _greedy(xyxy if agnostic else xyxy + cls[:, None] * np.float32(CLASS_OFFSET), iou, max_det)


def _greedy(boxes: NDArray[np.float32], iou: float, max_det: int) -> NDArray[np.intp]:
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
