"""A raw output → the anchors that are worth a look, best first."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.options import PredictOptions
from yoloom.postprocess.nms import MAX_CANDIDATES, by_score
from yoloom.postprocess.shape import BOX_VALUES


def candidates(
    output: NDArray[np.float32], nc: int, options: PredictOptions, keep: Set[int] | None
) -> NDArray[np.float32]:
    """Anchors whose best class scores above `conf`, sorted by that score: the first of equals stays first.

    output: (4 + nc + extras, A). keep: class ids, None for all. Returns (N, 6 + extras) float32 of the 4 box values as
    they are, score, class, extras, at most MAX_CANDIDATES.
    """
    first_extra = BOX_VALUES + nc
    anchors = np.flatnonzero(output[BOX_VALUES:first_extra].max(axis=0) > options.conf)
    if not len(anchors):
        return np.empty((0, len(output) - nc + 2), np.float32)
    found = output[:, anchors]
    scores = found[BOX_VALUES:first_extra]
    cls = scores.argmax(axis=0)
    columns = (found[:BOX_VALUES].T, _best(scores, cls), cls[:, None].astype(np.float32), found[first_extra:].T)
    rows = of_classes(np.concatenate(columns, axis=1), keep)
    return rows[by_score(rows[:, 4])[:MAX_CANDIDATES]]


def of_classes(rows: NDArray[np.float32], keep: Set[int] | None) -> NDArray[np.float32]:
    """Rows whose class, their column 5, is in `keep`; None for all."""
    return rows if keep is None else rows[np.isin(rows[:, 5], list(keep))]


def _best(scores: NDArray[np.float32], cls: NDArray[np.intp]) -> NDArray[np.float32]:
    return scores[cls, np.arange(scores.shape[1])][:, None]
