"""Segmentation: boxes, each with the mask of its object."""

from __future__ import annotations

import math
from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidOutput
from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detect import detect
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.prototypes import Enlargement, draw_masks


def find(
    outputs: tuple[NDArray[np.float32], ...],
    layout: OutputLayout,
    letterbox: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Find boxes and masks; detections whose mask is empty are left out.

    Masks are as large as the network's input, with `retina_masks` as large as the source; None where nothing is found,
    as with Ultralytics.

    outputs: (4 + nc + M, A), or rows (N, 6 + M), and prototypes (M, h, w). Raises InvalidModel for
    other shapes.
    """
    output, protos = sorted(outputs, key=np.ndim)
    rows = detect(output, layout, len(protos), letterbox.canvas_hw, options, keep)
    if len(rows) and not math.isfinite(float(protos.sum())):
        raise InvalidOutput("the model gave masks that are no numbers (NaN or infinite): its file is damaged.")
    protos_hw = (protos.shape[1], protos.shape[2])
    boxes = np.concatenate([letterbox.to_source(rows[:, :4]), rows[:, 4:6]], axis=1)
    if options.retina_masks:
        masks, drawn = draw_masks(protos, rows[:, 6:], boxes[:, :4], Enlargement.to_source(protos_hw, letterbox))
    else:
        masks, drawn = draw_masks(protos, rows[:, 6:], rows[:, :4], Enlargement.to_canvas(protos_hw, letterbox))
    return Detections(boxes=boxes[drawn], masks=masks if len(masks) else None)
