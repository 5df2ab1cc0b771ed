"""Pose: boxes, each with the keypoints of its body."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel
from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detect import detect
from yoloom.postprocess.detections import Detections
from yoloom.postprocess.shape import OutputLayout


def find(
    outputs: tuple[NDArray[np.float32], ...],
    head: OutputLayout,
    placed: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Boxes and keypoints. outputs: (4 + nc + K·D, A), or (N, 6 + K·D) of an end2end head; x, y and visibility.

    Points are clipped to the source, however little they are visible. Raises InvalidModel for other shapes.
    """
    count, values = _kpt_shape(head)
    rows = detect(outputs[0], head, count * values, options, keep)
    keypoints = rows[:, 6:].reshape(len(rows), count, values)
    keypoints[..., :2] = placed.points_to_source(keypoints[..., :2])
    rows[:, :4] = placed.to_source(rows[:, :4])
    return Detections(boxes=rows[:, :6].copy(), keypoints=keypoints.copy())


def _kpt_shape(head: OutputLayout) -> tuple[int, int]:
    if head.kpt_shape is None:
        raise InvalidModel(
            "expected a pose model that says how many keypoints it has, in its metadata 'kpt_shape', got none: export "
            "it again."
        )
    return head.kpt_shape
