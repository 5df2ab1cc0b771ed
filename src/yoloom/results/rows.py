"""Arrays with a row for each detection of one picture: the bases of boxes, masks and the other members."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from typing import Any, ClassVar, NoReturn, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InputError
from yoloom.results.arrays import Array, frozen, require_cpu

T = TypeVar("T", bound="TorchLike")
R = TypeVar("R", bound="ResultRows")


class Frozen:
    """Base of objects whose attributes are set once, in `__init__`, with `_store`.

    Thread safety: any number of threads.
    """

    __slots__ = ("__weakref__",)

    INSTEAD: ClassVar[str] = ""  # what to do instead of a change, for messages

    def _store(self, **attributes: object) -> None:
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name!r} can not be assigned{self.INSTEAD}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__} is frozen: {name!r} can not be deleted{self.INSTEAD}")


class TorchLike(Frozen):
    """Base of frozen objects that hold numpy arrays, with the methods people call on torch's.

    Thread safety: any number of threads.
    """

    __slots__ = ()

    def cpu(self: T) -> T:
        """Return the object itself: it is on the CPU."""
        return self

    def to(self: T, device: object = "cpu", *, non_blocking: bool = False, copy: bool = False) -> T:
        """Return the object itself.

        Raises:
            UnknownDevice: for anything but "cpu".
        """
        require_cpu(device)
        return self

    def cuda(self: T, *_args: object, **_kwargs: object) -> T:
        """Raise `UnknownDevice`: results live on the CPU."""
        return self.to("cuda")

    def keys(self) -> NoReturn:
        """Raise `TypeError`: `dict(...)`, which web frameworks try, would make an empty object of no detections."""
        raise TypeError(f"{type(self).__name__} is no mapping and no JSON: send results.summary()")


class ResultRows(TorchLike):
    """Base of the members of `Results`.

    `rows[i]`, `rows[mask]` and iteration give the same class again. All arrays are read-only, and the rows' own, but
    for those of `rows.numpy()`, which belong to the caller.

    Thread safety: any number of threads.

    Args:
        data: an array with a row for each detection. Copied, unless it is one of another member.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for an array of another shape than the class holds.
    """

    __slots__ = ("data", "orig_shape")

    CONTENT: ClassVar[str]  # what a row holds, for messages
    NAME: ClassVar[str]  # of the argument, for messages
    EXPECTED: ClassVar[str]  # the shape, for messages
    ROW_NDIM: ClassVar[int]  # axes of one row
    WIDTHS: ClassVar[tuple[int, ...]] = ()  # lengths that the last axis may have, empty for any
    DTYPE: ClassVar[type[np.generic]] = np.float32

    data: Array
    orig_shape: tuple[int, int]

    def __init__(self, data: ArrayLike, orig_shape: tuple[int, int]) -> None:
        height, width = orig_shape
        self._store(data=self._checked(data), orig_shape=(int(height), int(width)))

    @classmethod
    def _checked(cls, values: ArrayLike) -> Array:
        """Return `values` as a frozen array of rows; with the axes of one row they are one row. Raises InputError."""
        array = np.asanyarray(values)
        rows = frozen(array[np.newaxis] if array.ndim == cls.ROW_NDIM else array, cls.DTYPE)
        if rows.ndim != cls.ROW_NDIM + 1 or (cls.WIDTHS and rows.shape[-1] not in cls.WIDTHS):
            raise InputError(f"{cls.NAME}: expected {cls.EXPECTED}; got the shape {rows.shape}")
        return rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return tuple(self.data.shape)

    @property
    def _size_xy(self) -> NDArray[np.float32]:
        """(2,) the picture's width and height."""
        return np.array(self.orig_shape[::-1], np.float32)

    def _as_data(self, values: NDArray[Any]) -> Array:
        """Return computed values as an array of the kind of `data`."""
        return frozen(values) if isinstance(self.data, Array) else np.array(values)

    def numpy(self: R) -> R:
        """Return the same rows with plain numpy arrays of their own, whose methods mean what numpy means by them."""
        return rows_of(type(self), np.asarray(self.data), self.orig_shape)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self: R, index: Any) -> R:
        return rows_of(type(self), self.data[index], self.orig_shape)

    def __iter__(self: R) -> Iterator[R]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self: R) -> tuple[Callable[..., R], tuple[Any, ...]]:
        return rows_of, (type(self), self.data, self.orig_shape)

    def __repr__(self) -> str:
        name = type(self).__name__
        return f"{name} of {self.CONTENT}; shape={self.shape}, orig_shape={self.orig_shape}:\n{self.data}"


class BoxRows(ResultRows):
    """Base of `Boxes` and `OBB`: rows that end in confidence and class.

    Thread safety: any number of threads.
    """

    __slots__ = ()

    ROW_NDIM = 1
    id = None  # no track numbers
    is_track = False

    def __init__(self, boxes: ArrayLike, orig_shape: tuple[int, int]) -> None:
        height, width = orig_shape
        self._store(data=self._checked(boxes), orig_shape=(int(height), int(width)))

    @property
    def conf(self) -> Array:
        """(N,) confidence, 0 to 1."""
        return self.data[:, -2]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, as float32 like the rest of the row."""
        return self.data[:, -1]


def rows_of(kind: type[R], data: NDArray[Any], orig_shape: tuple[int, int]) -> R:
    """Return the rows of a class whose arrays are of the kind of `data`: `Array`, or plain and writable."""
    rows = kind(data, orig_shape)
    if not isinstance(data, Array):
        rows._store(data=np.array(rows.data))
    return rows
