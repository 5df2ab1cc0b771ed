"""Detection: the raw output of one image → rows x1, y1, x2, y2, confidence, class in canvas pixels."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.heads.nms import MAX_CANDIDATES, by_score, nms
from yoloom.options import PredictOptions


def detect_raw(output: NDArray[np.float32], options: PredictOptions, keep: Set[int] | None) -> NDArray[np.float32]:
    """Filter and suppress the output of a one-to-many head.

    output: (4 + nc, A): xywh in canvas pixels, then a score for each class. keep: class ids, None for all.
    Returns (N, 6) float32, best first. The same input gives the same bits, always.
    """
    scores = output[4:]
    anchors = np.flatnonzero(scores.max(axis=0) > options.conf)
    xywh, scores = output[:4, anchors].T, scores[:, anchors]
    cls = scores.argmax(axis=0)
    rows = np.concatenate([_xyxy(xywh), _best(scores, cls), cls[:, None].astype(np.float32)], axis=1)
    rows = _of_classes(rows, keep)
    rows = rows[by_score(rows[:, 4])[:MAX_CANDIDATES]]
    return rows[nms(rows[:, :4], rows[:, 5], iou=options.iou, max_det=options.max_det, agnostic=options.agnostic_nms)]


def detect_end2end(output: NDArray[np.float32], options: PredictOptions, keep: Set[int] | None) -> NDArray[np.float32]:
    """Filter the output of a head that suppressed already, in its graph.

    output: (N, 6) rows x1, y1, x2, y2, score, class in canvas pixels, zeros as padding. Returns (M, 6) float32.
    """
    rows = _of_classes(output[output[:, 4] > options.conf], keep)
    return rows[: options.max_det].astype(np.float32)


def _xyxy(xywh: NDArray[np.float32]) -> NDArray[np.float32]:
    centre, half = xywh[:, :2], xywh[:, 2:] / np.float32(2)
    with np.errstate(all="ignore"):  # a network that overflowed
        return np.concatenate([centre - half, centre + half], axis=1)


def _best(scores: NDArray[np.float32], cls: NDArray[np.intp]) -> NDArray[np.float32]:
    return scores[cls, np.arange(scores.shape[1])][:, None]


def _of_classes(rows: NDArray[np.float32], keep: Set[int] | None) -> NDArray[np.float32]:
    return rows if keep is None else rows[np.isin(rows[:, 5], list(keep))]
