"""numpy arrays that also answer the methods people call on torch tensors."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from yoloom.errors import UnknownDevice


def _cast_to(dtype: type[np.generic]) -> Callable[[Array], Array]:
    """Make the method that casts to `dtype`."""

    def cast(array: Array) -> Array:
        return _as_array(array.astype(dtype))

    cast.__doc__ = f"Return the values as {dtype.__name__.rstrip('_')}, writable."
    return cast


class Array(np.ndarray[Any, np.dtype[Any]]):
    """A numpy array with `.cpu()`, `.numpy()`, `.to()` and the other small methods of a torch tensor.

    Indexing or iterating down to one value gives a 0-d `Array`, which can be a dictionary's key like numpy's scalars.
    `int(x)`, `float(x)` and `f"{x:.2f}"` take an array of one element of any shape. `size` and all else is numpy's.

    Thread safety: any number of threads may read; the arrays in results are read-only.
    """

    def __getitem__(self, index: Any) -> Array:
        return _as_array(super().__getitem__(index))

    def argmax(self, *args: Any, **kwargs: Any) -> Any:
        """Return the index of the largest value, as numpy does, as an `Array`."""
        return _as_array(super().argmax(*args, **kwargs))

    def argmin(self, *args: Any, **kwargs: Any) -> Any:
        """Return the index of the smallest value, as numpy does, as an `Array`."""
        return _as_array(super().argmin(*args, **kwargs))

    def __int__(self) -> builtins.int:
        return builtins.int(self.item())

    def __float__(self) -> builtins.float:
        return builtins.float(self.item())

    def __index__(self) -> builtins.int:
        return operator.index(self.item())

    def __hash__(self) -> builtins.int:  # type: ignore[override]
        if self.ndim:
            raise TypeError("unhashable: an array of several values")
        return hash(self.item())

    def __round__(self, digits: builtins.int | None = None) -> Any:
        return round(self.item(), digits)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else super().__format__(spec)

    def astype(self, dtype: DTypeLike, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return the values as another dtype, in a plain array, or a plain number for one: OpenCV takes those."""
        return np.asarray(self).astype(dtype, *args, **kwargs)[()]

    def numpy(self) -> NDArray[Any]:
        """Return a plain numpy array, copied, so that it can be edited."""
        return np.array(self)

    def cpu(self) -> Array:
        """Return the array itself: its values are in the memory of the CPU already, and have no gradients."""
        return self

    detach = cpu

    def cuda(self, *_args: object, **_kwargs: object) -> Array:
        """Raise `UnknownDevice`: results live on the CPU."""
        return self.to("cuda")

    def to(self, *targets: Any, device: Any = "cpu", dtype: Any = None, non_blocking: builtins.bool = False) -> Array:
        """Return the values as another dtype (numpy's or torch's), or the array itself for "cpu".

        Raises:
            UnknownDevice: for anything else.
        """
        array = self
        for target in (*targets, device, dtype):
            if target is None or names_cpu(target):
                continue
            name = str(target)
            try:
                kind: np.dtype[Any] = np.dtype(name.removeprefix("torch.") if name.startswith("torch.") else target)
            except TypeError:
                raise _unknown_device(target) from None
            array = _as_array(array.astype(kind))
        return array

    def numel(self) -> builtins.int:
        """Return the number of values."""
        return self.size

    def dim(self) -> builtins.int:
        """Return the number of axes."""
        return self.ndim

    def unsqueeze(self, dim: builtins.int) -> Array:
        """Return the values with a new axis of length 1 at `dim`."""
        return _as_array(np.expand_dims(self, dim))

    def unique(self) -> Array:
        """Return the different values, sorted."""
        return _as_array(np.unique(self))

    def clone(self) -> Array:
        """Return a writable copy."""
        return _as_array(self.copy())

    int, long = _cast_to(np.int32), _cast_to(np.int64)
    half, float, double = _cast_to(np.float16), _cast_to(np.float32), _cast_to(np.float64)
    bool = _cast_to(np.bool_)


def frozen(values: ArrayLike, dtype: DTypeLike | None = None) -> Array:
    """Return a read-only `Array` that owns its memory: a copy of `values`, or `values` where it already is one."""
    if (
        isinstance(values, Array)
        and dtype in (None, values.dtype)
        and values.flags.owndata
        and not values.flags.writeable
    ):
        return values
    source = np.asarray(values, dtype)
    array: Array = Array(source.shape, source.dtype)
    array[...] = source
    array.flags.writeable = False
    return array


def names_cpu(device: object) -> builtins.bool:
    """Return whether `device` is "cpu", or a `torch.device` that says so."""
    return str(device).partition(":")[0] == "cpu"


def require_cpu(device: object) -> None:
    """Raise `UnknownDevice` unless `device` is the CPU or None."""
    if device is not None and not names_cpu(device):
        raise _unknown_device(device)


def _as_array(value: Any) -> Array:
    return value if isinstance(value, Array) else np.asarray(value).view(Array)


def _unknown_device(device: object) -> UnknownDevice:
    return UnknownDevice(f"results are numpy arrays on the CPU and can not move to {device!r}; leave the call out")
