"""Pose: boxes, each with the keypoints of its body."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel
from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detect import detect
from yoloom.postprocess.detections import Detections, OutputLayout


def find(
    outputs: tuple[NDArray[np.float32], ...],
    layout: OutputLayout,
    letterbox: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Find boxes and keypoints. Points are clipped to the source, however little they are visible.

    outputs: (4 + nc + K·D, A), or rows (N, 6 + K·D), with K points of D values: x, y and visibility.
    Raises InvalidModel for other shapes.
    """
    if layout.kpt_shape is None:
        raise InvalidModel(
            "expected a pose model that says how many keypoints it has, in its metadata 'kpt_shape', got none: export "
            "it again."
        )
    count, values = layout.kpt_shape
    rows = detect(outputs[0], layout, count * values, letterbox.canvas_hw, options, keep)
    keypoints = rows[:, 6:].reshape(len(rows), count, values)
    keypoints[..., :2] = letterbox.to_source(keypoints[..., :2])
    rows[:, :4] = letterbox.to_source(rows[:, :4])
    return Detections(boxes=rows[:, :6].copy(), keypoints=keypoints.copy())
