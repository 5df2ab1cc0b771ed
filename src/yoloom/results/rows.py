"""One array with a row for each thing found in a picture: what boxes, masks and the other members have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from yoloom.errors import InputError
from yoloom.results.arrays import Array, frozen
from yoloom.results.on_cpu import TorchLike

R = TypeVar("R", bound="ResultRows")


class ResultRows(TorchLike):
    """Base of the members of `Results`. Threads: anybody, frozen.

    `rows[i]`, `rows[mask]` and iteration give the same class again. All arrays are read-only, and the rows' own.
    """

    __slots__ = ("data", "orig_shape")

    CONTENT: ClassVar[str]  # what a row holds, for people

    data: Array
    orig_shape: tuple[int, int]

    def __init__(self, data: ArrayLike, orig_shape: tuple[int, int]) -> None:
        height, width = orig_shape
        self._store(data=self._checked(data), orig_shape=(int(height), int(width)))

    @classmethod
    def _checked(cls, values: ArrayLike) -> Array:
        """`values` as a frozen array of the class's shape and dtype. Raises InputError."""
        raise NotImplementedError

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return tuple(self.data.shape)

    @property
    def _size_xy(self) -> Array:
        """(2,) the picture's width and height."""
        return frozen(self.orig_shape[::-1], np.float32)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self: R, index: Any) -> R:
        return type(self)(self.data[index], self.orig_shape)

    def __iter__(self: R) -> Iterator[R]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self: R) -> tuple[Callable[..., R], tuple[Any, ...]]:
        return type(self), (self.data, self.orig_shape)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name} of {self.CONTENT}; shape={self.shape}, orig_shape={self.orig_shape}:\n{self.data}"


def stacked(values: ArrayLike, dtype: DTypeLike, row_ndim: int) -> Array:
    """`values` as a frozen array of rows; an array with the axes of one row is one row."""
    array = np.asanyarray(values)
    return frozen(array[np.newaxis] if array.ndim == row_ndim else array, dtype)


def wrong_shape(what: str, expected: str, shape: tuple[int, ...]) -> InputError:
    """The error for rows of another shape."""
    return InputError(f"{what}: expected {expected}; got the shape {shape}")
