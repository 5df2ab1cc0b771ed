"""Classification: one probability for each class."""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel
from yoloom.formats.model import Layout
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.sanity import check_scores


def find(
    outputs: tuple[NDArray[np.float32], ...],
    layout: OutputLayout,
    _placement: object,
    _options: PredictOptions,
    _keep: Set[int] | None,
) -> Detections:
    """Return the probabilities. outputs: (nc,) after the softmax, or before it where the layout says so.

    No option changes them: neither `conf` nor `classes` does in Ultralytics. Raises InvalidModel for another shape, and
    InvalidOutput for values that are no probabilities.
    """
    probs = outputs[0]
    if probs.ndim != 1 or len(probs) != (layout.nc or len(probs)):
        raise InvalidModel(
            f"the model gave an output of shape {probs.shape} for an image; expected one probability for each of its "
            f"{layout.nc or 'some'} classes: export it again."
        )
    if layout.form is Layout.LOGITS:
        with np.errstate(all="ignore"):  # of NaN comes NaN, which is found below
            powers = np.exp((probs - probs.max()).astype(np.float32))
            probs = powers / powers.sum()
    check_scores(probs)
    return Detections(probs=probs.astype(np.float32))
