"""Segmentation: boxes, each with the mask of its object."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detect import detect
from yoloom.postprocess.detections import Detections
from yoloom.postprocess.masks import draw_masks, to_canvas, to_source
from yoloom.postprocess.shape import OutputLayout


def find(
    outputs: tuple[NDArray[np.float32], ...],
    head: OutputLayout,
    placed: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Boxes and masks. outputs: (4 + nc + M, A), or (N, 6 + M) of an end2end head, and prototypes (M, h, w).

    Masks are as large as the network's input, with `retina_masks` as large as the source. Detections whose mask is
    empty are left out. Raises InvalidModel for other shapes.
    """
    output, protos = sorted(outputs, key=np.ndim)
    rows = detect(output, head, len(protos), options, keep)
    protos_hw = (protos.shape[1], protos.shape[2])
    boxes = np.concatenate([placed.to_source(rows[:, :4]), rows[:, 4:6]], axis=1)
    if options.retina_masks:
        masks, found = draw_masks(protos, rows[:, 6:], boxes[:, :4], to_source(protos_hw, placed))
    else:
        masks, found = draw_masks(protos, rows[:, 6:], rows[:, :4], to_canvas(protos_hw, placed))
    return Detections(boxes=boxes[found], masks=masks)
