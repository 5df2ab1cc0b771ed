"""The class probabilities of one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from yoloom.results.arrays import Array
from yoloom.results.rows import ResultRows

TOP = 5


class Probs(ResultRows):
    """The probability of each class for the picture as a whole.

    `probs[i]` and `probs[mask]` give `Probs` of the chosen values, whose classes count from 0 again.

    Thread safety: any number of threads.

    Args:
        probs: (nc,) probabilities, 0 to 1; a single number is one class. Copied as float32.
        orig_shape: (height, width) of the picture in pixels; None where that is not known.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ()

    CONTENT = "probabilities"
    NAME = "probs"
    EXPECTED = "(nc,), one probability for each class"
    ROW_NDIM = 0
    orig_shape: tuple[int, int] | None  # type: ignore[assignment]

    def __init__(self, probs: ArrayLike, orig_shape: tuple[int, int] | None = None) -> None:
        self._store(data=self._checked(probs), orig_shape=orig_shape)

    @property
    def top1(self) -> int:
        """The number of the most probable class."""
        return int(np.asarray(self.data).argmax())

    @property
    def top1conf(self) -> Array:
        """() the highest probability."""
        return self.data[self.top1]

    @property
    def top5(self) -> list[int]:
        """The numbers of the five most probable classes, best first; all of them where there are fewer."""
        order: list[int] = np.argsort(-np.asarray(self.data), kind="stable")[:TOP].tolist()
        return order

    @property
    def top5conf(self) -> Array:
        """(5,) the probabilities of `top5`."""
        return self._as_data(self.data[self.top5])
