"""What goes into post-processing and what comes out: the layout of raw outputs, and the detections of one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel

BOX_VALUES = 4
END2END_VALUES = 6


@dataclass(frozen=True)
class Detections:
    """Columns of one image's detections, best first, in source pixels; None where the task has no such thing.

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
    """

    end2end: bool
    nc: int | None = None
    kpt_shape: tuple[int, int] | None = None
    ranked: bool = False

    def classes_in(self, output: NDArray[np.float32], extras: int) -> int:
        """Return how many classes a raw `output` (4 + nc + extras, A) scores. Raises InvalidModel for another shape."""
        classes = len(output) - BOX_VALUES - extras
        if classes < 1 or classes != (self.nc or classes):
            scores = "at least one class score" if self.nc is None else f"{self.nc} class scores"
            raise _wrong_shape(f"4 box values, {scores} and {extras} more values for each anchor", output)
        return classes

    def check_rows(self, output: NDArray[np.float32], extras: int) -> None:
        """Raise InvalidModel unless an `output` of rows is (N, 6 + extras)."""
        if output.shape[1] != END2END_VALUES + extras:
            raise _wrong_shape(f"rows of 4 box values, score, class and {extras} more values", output)


def _wrong_shape(expected: str, output: NDArray[np.float32]) -> InvalidModel:
    return InvalidModel(
        f"the model gave an output of shape {output.shape} for an image; expected {expected}. What the file says of "
        "its task, classes or keypoints is not what its network does: export it again."
    )
