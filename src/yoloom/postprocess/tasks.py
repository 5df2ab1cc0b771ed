"""The post-processing of each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.options import PredictOptions
from yoloom.postprocess import classify, detect, obb, pose, segment
from yoloom.postprocess.detections import Detections, OutputLayout

# The third is the placement that the task's images were drawn by, a Letterbox or a CentreCrop, so Any.
Find = Callable[[tuple[NDArray[np.float32], ...], OutputLayout, Any, PredictOptions, "Set[int] | None"], Detections]
"""(raw outputs of one image, without the batch axis; layout; placement; options; class ids to keep) → detections."""

TASKS: Mapping[str, Find] = MappingProxyType(
    {
        "detect": detect.find,
        "segment": segment.find,
        "pose": pose.find,
        "obb": obb.find,
        "classify": classify.find,
    }
)
