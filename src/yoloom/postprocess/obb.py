"""Oriented boxes: centre, size and angle."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detect import candidates_of, detect_end2end
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.nms import nms_rotated
from yoloom.postprocess.sanity import check_classes, check_rows, check_scores

_EXTRAS = 1  # the angle


def find(
    outputs: tuple[NDArray[np.float32], ...],
    layout: OutputLayout,
    letterbox: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Find oriented boxes. Nothing is clipped, and angles are what the network says.

    outputs: (4 + nc + 1, A), or rows (N, 7); the angle is last, in radians. Raises InvalidModel for
    other shapes.
    """
    output = outputs[0]
    if layout.end2end:
        layout.check_rows(output, _EXTRAS)
        check_scores(output[:, 4])
        rows = detect_end2end(output, options, keep)
        check_classes(rows[:, 5], layout.nc)
        check_rows(rows, letterbox.canvas_hw, xyxy=False)
    else:
        rows = candidates_of(output, layout, _EXTRAS, letterbox.canvas_hw, options, keep)
        check_rows(rows, letterbox.canvas_hw, xyxy=False)
        xywhr, cls = rows[:, [0, 1, 2, 3, 6]], rows[:, 5]
        kept = nms_rotated(xywhr, cls, iou=options.iou, max_det=options.max_det, agnostic=options.agnostic_nms)
        rows = rows[kept]
    xywh = letterbox.xywh_to_source(rows[:, :4])
    return Detections(obb=np.concatenate([xywh, rows[:, 6:], rows[:, 4:6]], axis=1))
