"""Oriented boxes: centre, size and angle."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.candidates import candidates
from yoloom.postprocess.detect import detect_end2end
from yoloom.postprocess.detections import Detections
from yoloom.postprocess.nms_rotated import nms_rotated
from yoloom.postprocess.shape import OutputLayout

_EXTRAS = 1  # the angle


def find(
    outputs: tuple[NDArray[np.float32], ...],
    head: OutputLayout,
    placed: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Oriented boxes. outputs: (4 + nc + 1, A), or (N, 7) of an end2end head; the angle is last, in radians.

    Nothing is clipped, and angles are what the network says. Raises InvalidModel for other shapes.
    """
    rows = _rows(outputs[0], head, options, keep)
    xywh = placed.xywh_to_source(rows[:, :4])
    return Detections(obb=np.concatenate([xywh, rows[:, 6:], rows[:, 4:6]], axis=1))


def _rows(
    output: NDArray[np.float32], head: OutputLayout, options: PredictOptions, keep: Set[int] | None
) -> NDArray[np.float32]:
    """(N, 7) x, y, w, h in canvas pixels, score, class, angle."""
    if head.end2end:
        head.check_rows(output, _EXTRAS)
        return detect_end2end(output, options, keep)
    rows = candidates(output, head.classes_in(output, _EXTRAS), options, keep)
    xywhr = rows[:, [0, 1, 2, 3, 6]]
    return rows[nms_rotated(xywhr, rows[:, 5], iou=options.iou, max_det=options.max_det, agnostic=options.agnostic_nms)]
