"""Greedy non-maximum suppression, of upright and of oriented boxes: deterministic, without a time limit.

The rule for upright boxes is the greedy one: the best box stays, and takes out those that it overlaps too much.

For oriented boxes it is Fast-NMS (arXiv:1904.02689): a box goes when *any* better one overlaps it too much, one that
goes itself as well. The overlap is ProbIoU (arXiv:2106.06072): boxes are Gaussians, alike by 1 minus their Hellinger
distance.
"""

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


_BLOCK = 256  # boxes that are looked at together
_CHUNK = 1024  # better boxes that they are compared with at once
_EPS = np.float32(1e-7)
_FARTHEST = np.float32(100)

_Gaussians = NDArray[np.float32]
"""(5, N): the centres x and y, and the covariances xx, yy and xy."""


def nms_rotated(
    xywhr: NDArray[np.float32], cls: NDArray[np.float32], *, iou: float, max_det: int, agnostic: bool
) -> NDArray[np.intp]:
    """Suppress oriented boxes that a better one of their class overlaps. All arithmetic is float32, as in Ultralytics.

    Args:
        xywhr: (N, 5) boxes in pixels and radians, sorted by falling score.
        cls: (N,) class of each.
        iou: a box goes when its ProbIoU with a better box is above it.
        max_det: most boxes that are kept.
        agnostic: boxes of different classes suppress each other too.

    Returns:
        Indices of the boxes that are kept, best first.
    """
    total, limit = len(xywhr), np.float32(iou)
    kept = np.empty(0, np.intp)
    gone = np.empty(0, np.intp)
    with np.errstate(all="ignore"):  # boxes without area, infinite or NaN: a NaN suppresses nothing
        boxes = _gaussians(xywhr, np.float32(0) if agnostic else cls * np.float32(CLASS_OFFSET))
        for start in range(0, total, _BLOCK):
            if len(kept) >= max_det:  # what is worse can not change what is better
                break
            block = np.arange(start, min(start + _BLOCK, total))
            # Any order gives the same; most boxes fall to one that is kept, and then need no other look.
            left = _without_overlapped(boxes, block, kept, limit)
            left = _without_overlapped(boxes, left, gone, limit)
            left = _without_overlapped(boxes, left, block, limit)
            kept = np.concatenate([kept, left])
            gone = np.concatenate([gone, np.setdiff1d(block, left)])
    return kept[:max_det]


def _without_overlapped(
    boxes: _Gaussians, left: NDArray[np.intp], others: NDArray[np.intp], limit: np.float32
) -> NDArray[np.intp]:
    """Return those of `left` that no better one of `others` overlaps by more than `limit`."""
    for start in range(0, len(others), _CHUNK):
        if not left.size:
            break
        better = others[start : start + _CHUNK]
        overlaps = _probiou(boxes[:, left, None], boxes[:, None, better]) > limit
        overlaps &= better < left[:, None]  # a lower index is a better score
        left = left[~overlaps.any(axis=1)]
    return left


def _gaussians(xywhr: NDArray[np.float32], shift: NDArray[np.float32] | np.float32) -> _Gaussians:
    """Return each box as the Gaussian of a uniform density on it: variances w²/12 and h²/12, turned by its angle."""
    x, y, width, height, angle = np.ascontiguousarray(xywhr.T)
    along, across = width * width / np.float32(12), height * height / np.float32(12)
    cos, sin = np.cos(angle), np.sin(angle)
    cos2, sin2 = cos * cos, sin * sin
    return np.stack(
        [
            x + shift,
            y + shift,
            along * cos2 + across * sin2,
            along * sin2 + across * cos2,
            (along - across) * cos * sin,
        ]
    )


def _probiou(one: _Gaussians, other: _Gaussians) -> NDArray[np.float32]:
    """Return 1 - H, where H² = 1 - exp(-B) and B is the Bhattacharyya distance, between 1e-7 and 100.

    B = 1/4 (yy dx² + xx dy² - 2 xy dx dy) / D + 1/2 ln(D / (4 √(D₁ D₂))), with the sums of both covariances xx, yy, xy,
    their determinant D, and the determinants D₁ and D₂ of each.
    """
    xx, yy, xy = one[2] + other[2], one[3] + other[3], one[4] + other[4]
    dx, dy = one[0] - other[0], one[1] - other[1]
    determinant = xx * yy - xy * xy
    stable = determinant + _EPS
    apart = (xx * dy * dy + yy * dx * dx) / stable * np.float32(0.25) - xy * dx * dy / stable * np.float32(0.5)
    first, second = (np.maximum(box[2] * box[3] - box[4] * box[4], np.float32(0)) for box in (one, other))
    areas = np.sqrt(first * second)
    unlike = np.log(determinant / (np.float32(4) * areas + _EPS) + _EPS) * np.float32(0.5)
    distance = np.clip(apart + unlike, _EPS, _FARTHEST)
    alike: NDArray[np.float32] = np.float32(1) - np.sqrt(np.float32(1) - np.exp(-distance) + _EPS)
    return alike
