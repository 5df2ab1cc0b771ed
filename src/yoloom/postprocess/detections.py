"""Input and output of post-processing: the layout of raw outputs, and the detections of one image."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel
from yoloom.formats.model import Layout, Model

BOX_VALUES = 4
END2END_VALUES = 6


@dataclass(frozen=True)
class Detections:
    """Columns of one image's detections, best first, in source pixels; None where the task has no such thing.

    Masks are None, too, where nothing is found.

    Thread safety: any number of threads. The arrays belong to the caller.

    Args:
        boxes: (N, 6) float32 x1, y1, x2, y2, confidence, class.
        masks: (N, H, W) uint8 of 0 and 1, as large as the network's input, or as the source.
        keypoints: (N, K, 2 or 3) float32 x, y, visibility.
        obb: (N, 7) float32 x, y, w, h, radians, confidence, class.
        probs: (nc,) float32.
    """

    boxes: NDArray[np.float32] | None = None
    masks: NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    obb: NDArray[np.float32] | None = None
    probs: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class OutputLayout:
    """The layout of a network's raw outputs.

    Thread safety: any number of threads.

    Args:
        end2end: rows that were selected in the graph, (N, 6 + extras), and not every anchor, (4 + nc + extras, A).
        nc: number of classes; None where the file does not say.
        kpt_shape: keypoints of a pose and values of each, 2 or 3.
        ranked: rows of anchors that were ranked by score in the graph and not suppressed, (K, 6 + extras).
        form: which of the layouts that hold every anchor it is, where neither of the other two says.
    """

    end2end: bool
    nc: int | None = None
    kpt_shape: tuple[int, int] | None = None
    ranked: bool = False
    form: Layout = Layout.RAW

    def classes_in(self, output: NDArray[np.float32], extras: int, box_values: int = BOX_VALUES) -> int:
        """Return how many classes a raw `output` (4 + nc + extras, A) scores. Raises InvalidModel for another shape.

        box_values: 5 where objectness stands before the classes.
        """
        classes = len(output) - box_values - extras
        if classes < 1 or classes != (self.nc or classes):
            scores = "at least one class score" if self.nc is None else f"{self.nc} class scores"
            raise _wrong_shape(f"{box_values} box values, {scores} and {extras} more values for each anchor", output)
        return classes

    def check_rows(self, output: NDArray[np.float32], extras: int) -> None:
        """Raise InvalidModel unless an `output` of rows is (N, 6 + extras)."""
        if output.shape[1] != END2END_VALUES + extras:
            raise _wrong_shape(f"rows of 4 box values, score, class and {extras} more values", output)


@functools.lru_cache(maxsize=64)
def _layout_of(layout: Layout, nc: int | None, kpt_shape: tuple[int, int] | None) -> OutputLayout:
    return OutputLayout(layout is Layout.END2END, nc, kpt_shape, layout is Layout.CANDIDATES, layout)


def output_layout(model: Model, layout: Layout) -> OutputLayout:
    """Describe the raw outputs of a model that come in `layout`; the same object for all images of one model."""
    return _layout_of(layout, len(model.names) or None, model.kpt_shape)


def _wrong_shape(expected: str, output: NDArray[np.float32]) -> InvalidModel:
    return InvalidModel(
        f"the model gave an output of shape {output.shape} for an image; expected {expected}. What the file says of "
        "its task, classes or keypoints is not what its network does: export it again."
    )
