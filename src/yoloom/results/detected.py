"""What upright and oriented boxes have in common: one row for each detection, which ends in confidence and class."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from yoloom.results.arrays import Array
from yoloom.results.rows import ResultRows, stacked, wrong_shape


class BoxRows(ResultRows):
    """Base of `Boxes` and `OBB`. Threads: anybody, frozen."""

    __slots__ = ()

    NAME: ClassVar[str]  # of the argument, for messages
    id = None  # no track numbers
    is_track = False

    def __init__(self, boxes: ArrayLike, orig_shape: tuple[int, int]) -> None:
        super().__init__(boxes, orig_shape)

    @classmethod
    def _checked(cls, values: ArrayLike) -> Array:
        columns = len(cls.CONTENT.split(", "))
        rows = stacked(values, np.float32, row_ndim=1)
        if rows.ndim != 2 or rows.shape[1] != columns:
            raise wrong_shape(cls.NAME, f"(N, {columns}) of {cls.CONTENT}", rows.shape)
        return rows

    @property
    def conf(self) -> Array:
        """(N,) confidence, 0 to 1."""
        return self.data[:, -2]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, as float32 like the rest of the row."""
        return self.data[:, -1]
