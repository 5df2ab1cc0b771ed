"""Bounds of a sound network's answer. Outside of them it is an error of the model, and never a result.

A file that was read wrongly, or a network that overflowed in 16 bits, shows here: scores that are no probabilities,
boxes that are no numbers or far off the canvas, classes that are no whole numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel, InvalidOutput
from yoloom.formats.model import Layout, Model

_TOLERANCE = 0.01  # networks of 8 and 16 bits round beyond 1
_LEAST_MARGIN = 640.0  # pixels; the farthest that a sound head reaches on small canvases is 16 cells of 32
_MOST_CANVASES = 4.0  # YOLOv5's largest boxes have 2.4
_UNIT = 1.5
_WAY_OUT = "The file is damaged, or read as another layout than it has: YOLO(path, layout=...), see docs/formats.md."

_OBJECTNESS = (Layout.OBJECTNESS, Layout.YOLOX, Layout.YOLOX_DECODED)
_ROWS = (Layout.END2END, Layout.ROWS, Layout.CANDIDATES)


def check_scores(scores: NDArray[np.float32]) -> None:
    """Raise InvalidOutput unless all scores are within 0..1; NaN is not."""
    if scores.size and not (scores.min() >= -_TOLERANCE and scores.max() <= 1 + _TOLERANCE):
        worst = scores[~((scores >= -_TOLERANCE) & (scores <= 1 + _TOLERANCE))][0]
        raise InvalidOutput(f"the model gave a score of {worst:.4g}; expected 0 to 1. {_WAY_OUT}")


def check_rows(rows: NDArray[np.float32], canvas_hw: tuple[int, int], xyxy: bool) -> None:
    """Check the boxes that are about to become results. Raises InvalidOutput.

    Args:
        rows: (N, 6 + extras): box, score, class, extras.
        canvas_hw: Height and width of the canvas in pixels.
        xyxy: Whether boxes are corners, and not centre and size.
    """
    if not np.isfinite(rows).all():
        raise InvalidOutput(f"the model gave a box that is no number (NaN or infinite). {_WAY_OUT}")
    first, second = rows[:, :2], rows[:, 2:4]
    centre, size = ((first + second) / 2, second - first) if xyxy else (first, second)
    side = np.array([canvas_hw[1], canvas_hw[0]], np.float32)
    margin = max(float(side.max()), _LEAST_MARGIN)
    sound = (centre >= -margin) & (centre <= side + margin) & (np.abs(size) <= _MOST_CANVASES * margin)
    if not sound.all():
        worst = rows[int(np.flatnonzero(~sound.all(axis=1))[0]), :4]
        box = ", ".join(f"{value:.4g}" for value in worst)
        raise InvalidOutput(
            f"the model gave a box far outside of its canvas of {canvas_hw[1]} x {canvas_hw[0]} pixels: {box}. "
            f"{_WAY_OUT}"
        )


def check_classes(classes: NDArray[np.float32], nc: int | None) -> None:
    """Raise InvalidOutput unless the classes of rows are whole numbers that the model has names for."""
    if len(classes) and not ((classes == np.floor(classes)) & (classes >= 0) & (classes < (nc or np.inf))).all():
        worst = classes[~((classes == np.floor(classes)) & (classes >= 0) & (classes < (nc or np.inf)))][0]
        expected = "a whole number" if nc is None else f"a whole number below {nc}"
        raise InvalidOutput(f"the model gave the class {worst:.4g}; expected {expected}. {_WAY_OUT}")


def check_outputs(model: Model, layout: Layout, outputs: tuple[NDArray[np.float32], ...]) -> None:
    """Check all that a network gave for one image, before it is trusted with others.

    Raises InvalidOutput, or InvalidModel where there are more classes than names, or fewer.

    Args:
        model: The network.
        layout: Layout of its outputs.
        outputs: Raw outputs, without the batch axis.
    """
    if not all(np.isfinite(output).all() for output in outputs):
        raise InvalidOutput(f"the model gave numbers that are none (NaN or infinite) for an empty image. {_WAY_OUT}")
    nc = len(model.names) or None
    if model.task == "classify":
        if layout is not Layout.LOGITS:
            check_scores(outputs[0])
        return
    rows = next((output for output in outputs if output.ndim == 2), None)
    if rows is None or not rows.size:
        return  # another shape than declared: said when an image is asked for
    if layout is Layout.RAW:
        rows = rows.T
    if layout in _ROWS:
        if rows.shape[1] < 6:
            return
        check_scores(rows[:, 4])
        used = rows[rows[:, 4] > 0]
        check_classes(used[:, 5], nc)
        boxes = used[:, :4]
    else:
        first = 5 if layout in _OBJECTNESS else 4
        if model.task == "detect" and nc is not None and rows.shape[1] != first + nc:
            raise InvalidModel(
                f"the network gives {rows.shape[1]} values for each anchor, {first} of them for its box, so it has "
                f"{rows.shape[1] - first} classes, but there are {nc} names: give theirs, YOLO(path, names=[...])."
            )
        check_scores(rows[:, 4 : None if nc is None else first + nc])
        boxes = rows[:, :4]
    largest = float(np.abs(boxes).max(initial=0.0))
    if layout is not Layout.YOLOX and 0 < largest <= _UNIT:
        raise InvalidOutput(
            f"the model gave boxes within 0..{largest:.2g} for a whole canvas: they are normalised, and not in pixels. "
            "Export it with boxes in pixels."
        )
