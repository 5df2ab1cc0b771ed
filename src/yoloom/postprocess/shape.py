"""What a model's head gives, and whether an output is that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidModel

BOX_VALUES = 4
END2END_VALUES = 6


@dataclass(frozen=True)
class OutputLayout:
    """The form of a head's outputs. Threads: anybody, frozen.

    end2end: rows that were selected in the graph, (N, 6 + extras), and not every anchor, (4 + nc + extras, A).
    nc: number of classes, None where the file does not say. kpt_shape: keypoints of a pose and values of each, 2 or 3.
    """

    end2end: bool
    nc: int | None = None
    kpt_shape: tuple[int, int] | None = None

    def classes_in(self, output: NDArray[np.float32], extras: int) -> int:
        """How many classes a raw `output` (4 + nc + extras, A) scores. Raises InvalidModel for another shape."""
        classes = len(output) - BOX_VALUES - extras
        if classes < 1 or classes != (self.nc or classes):
            scores = "at least one class score" if self.nc is None else f"{self.nc} class scores"
            raise _wrong(f"4 box values, {scores} and {extras} more values for each anchor", output)
        return classes

    def check_rows(self, output: NDArray[np.float32], extras: int) -> None:
        """Raise InvalidModel unless an end2end `output` is (N, 6 + extras)."""
        if output.shape[1] != END2END_VALUES + extras:
            raise _wrong(f"rows of 4 box values, score, class and {extras} more values", output)


def _wrong(expected: str, output: NDArray[np.float32]) -> InvalidModel:
    return InvalidModel(
        f"the model gave an output of shape {output.shape} for an image; expected {expected}. What the file says of "
        "its task, classes or keypoints is not what its network does: export it again."
    )
