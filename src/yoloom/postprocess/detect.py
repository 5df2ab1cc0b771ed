"""Detection: the raw output of one image → rows x1, y1, x2, y2, confidence, class, extras in canvas pixels."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.candidates import candidates, of_classes
from yoloom.postprocess.detections import Detections
from yoloom.postprocess.nms import nms
from yoloom.postprocess.shape import OutputLayout


def find(
    outputs: tuple[NDArray[np.float32], ...],
    head: OutputLayout,
    placed: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Boxes. outputs: (4 + nc, A), or (N, 6) of an end2end head. Raises InvalidModel for other shapes."""
    rows = detect(outputs[0], head, 0, options, keep)
    if len(rows):
        rows[:, :4] = placed.to_source(rows[:, :4])
    return Detections(boxes=rows)


def detect(
    output: NDArray[np.float32], head: OutputLayout, extras: int, options: PredictOptions, keep: Set[int] | None
) -> NDArray[np.float32]:
    """Rows (N, 6 + extras) of either kind of head. Raises InvalidModel for an output of another shape."""
    if head.end2end:
        head.check_rows(output, extras)
        return detect_end2end(output, options, keep)
    return detect_raw(output, options, keep, head.classes_in(output, extras))


def detect_raw(
    output: NDArray[np.float32], options: PredictOptions, keep: Set[int] | None, nc: int | None = None
) -> NDArray[np.float32]:
    """Filter and suppress the output of a one-to-many head.

    output: (4 + nc + extras, A): xywh in canvas pixels, a score for each class, and what else there is. keep: class
    ids, None for all. nc: None for no extras. Returns (N, 6 + extras) float32, best first. The same input gives the
    same bits, always.
    """
    rows = candidates(output, len(output) - 4 if nc is None else nc, options, keep)
    if not len(rows):
        return rows
    rows[:, :4] = _xyxy(rows[:, :4])
    return rows[nms(rows[:, :4], rows[:, 5], iou=options.iou, max_det=options.max_det, agnostic=options.agnostic_nms)]


def detect_end2end(output: NDArray[np.float32], options: PredictOptions, keep: Set[int] | None) -> NDArray[np.float32]:
    """Filter the output of a head that suppressed already, in its graph.

    output: (N, 6 + extras) rows x1, y1, x2, y2 (oriented boxes: x, y, w, h), score, class, extras in canvas pixels,
    zeros as padding. Returns (M, 6 + extras) float32.
    """
    rows = of_classes(output[output[:, 4] > options.conf], keep)
    return rows[: options.max_det].astype(np.float32)


def _xyxy(xywh: NDArray[np.float32]) -> NDArray[np.float32]:
    centre, half = xywh[:, :2], xywh[:, 2:] / np.float32(2)
    with np.errstate(all="ignore"):  # a network that overflowed
        return np.concatenate([centre - half, centre + half], axis=1)
