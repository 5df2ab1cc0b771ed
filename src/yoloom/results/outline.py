"""The outline of a mask: one polygon around everything that is in it.

A mask in several pieces gives one polygon still, as label files want it: a walk over all of them, which leaves each
piece for the next where the two are nearest.

```
  piece 0      piece 1        piece 2        there: around 0, the first way around 1, around 2
 ┌───────┐    ┌───────┐      ┌───────┐       back:  the other way around 1
 │       ●────●       ●──────●       │
 └───────┘    └───────┘      └───────┘       Ultralytics 8.4.190 walks the same, point for point.
```
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.int32]  # (M, 2) x, y

MAX_DISTANCES = 1 << 20  # how many are computed at once: bounds the memory, whatever the mask looks like


def outline(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Follow the outline of a mask. Holes are not followed.

    Args:
        mask: (H, W); what is not zero is inside.

    Returns:
        (M, 2) float32 x, y in the mask's pixels; (0, 2) where all is zero.
    """
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    pieces = [np.asarray(contour, np.int32).reshape(-1, 2) for contour in contours]
    if not pieces:
        return np.zeros((0, 2), np.float32)
    if len(pieces) == 1:
        return pieces[0].astype(np.float32)
    bridges = [_nearest(one, other) for one, other in pairwise(pieces)]
    first, last = _loop(pieces[0], bridges[0][0]), _loop(pieces[-1], bridges[-1][1])
    there: list[Points] = []
    back: list[Points] = []
    for piece, ((_, arrive), (leave, _)) in zip(pieces[1:-1], pairwise(bridges), strict=True):
        # The way on from one bridge to the next does not pass the piece's first point; the way back does.
        loop = _loop(piece, arrive) if arrive <= leave else _loop(piece[::-1], len(piece) - 1 - arrive)
        steps = abs(leave - arrive)
        there.append(loop[: steps + 1])
        back.append(loop[steps:])
    return np.concatenate([first, *there, last, *reversed(back)]).astype(np.float32)


def _loop(piece: Points, start: int) -> Points:
    """Go once around, from the point `start` and back to it."""
    return np.concatenate([piece[start:], piece[: start + 1]])


def _nearest(one: Points, other: Points) -> tuple[int, int]:
    """Return the indices of the two points that are nearest to each other; of several, the first ones."""
    nearest = []
    rows = max(1, MAX_DISTANCES // len(other))
    for start in range(0, len(one), rows):
        steps = one[start : start + rows, np.newaxis].astype(np.int64) - other
        distances = (steps**2).sum(axis=2)
        index, partner = divmod(int(distances.argmin()), len(other))
        nearest.append((int(distances[index, partner]), start + index, partner))
    _, index, partner = min(nearest)
    return index, partner
