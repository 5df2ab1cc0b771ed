"""Which head belongs to which task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.options import PredictOptions
from yoloom.postprocess import classify, detect, obb, pose, segment
from yoloom.postprocess.detections import Detections
from yoloom.postprocess.shape import OutputLayout

# The third is the placement that the task's images were drawn by, whose inverse a head uses: of its own kind, so Any.
Find = Callable[[tuple[NDArray[np.float32], ...], OutputLayout, Any, PredictOptions, "Set[int] | None"], Detections]
"""(raw outputs of one image, without the batch axis; head; placement; options; class ids to keep) → findings."""

TASKS: Mapping[str, Find] = MappingProxyType(
    {
        "detect": detect.find,
        "segment": segment.find,
        "pose": pose.find,
        "obb": obb.find,
        "classify": classify.find,
    }
)
