"""Import torchvision also beside a torch without CUDA. Import this before Ultralytics predicts for the first time.

The torchvision that the package index has for Linux brings operators compiled for CUDA. Beside a CPU build of torch
they do not load, and the import fails because nobody has declared `torchvision::nms`. Here it is declared, and computed
by numpy. Where torchvision works by itself nothing is changed.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import torch

_NMS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_QUANTISED_NMS = f"q{_NMS}"


def suppress(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    """Which boxes stay, best first: (N, 4) xyxy and their scores (N,) → indices."""
    ranked = torch.argsort(scores, descending=True, stable=True).numpy()
    corners = boxes.numpy().astype(np.float32)[ranked]
    low, high = corners[:, :2], corners[:, 2:]
    areas = np.prod(high - low, axis=1)
    alive = np.ones(len(ranked), bool)
    for best in range(len(ranked)):
        if alive[best]:
            later = slice(best + 1, None)
            sides = np.minimum(high[best], high[later]) - np.maximum(low[best], low[later])
            shared = np.prod(np.maximum(sides, 0), axis=1)
            with np.errstate(all="ignore"):  # boxes without area, or with corners in the wrong order
                alive[later] &= ~(shared / (areas[best] + areas[later] - shared) > np.float64(iou_threshold))
    return torch.from_numpy(ranked[alive].astype(np.int64))


def _declare() -> torch.library.Library:
    library = torch.library.Library("torchvision", "DEF")
    library.define(_NMS)
    library.define(_QUANTISED_NMS)
    library.impl("nms", suppress, "CPU")
    return library


def _import_torchvision() -> torch.library.Library | None:
    """The operators' library, which must be kept alive, or None when torchvision has its own."""
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = _declare()
        extension: Any = importlib.import_module("torchvision.extension")
        extension._has_ops = lambda: True
        return library
    return None


operators = _import_torchvision()
