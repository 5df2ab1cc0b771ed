"""The small values that torch's tensors answer with, and torch's names of dtypes and devices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InputError, UnknownDevice
from yoloom.values import DeviceName

TENSOR_TYPES = {
    "float16": "torch.HalfTensor",
    "float32": "torch.FloatTensor",
    "float64": "torch.DoubleTensor",
    "uint8": "torch.ByteTensor",
    "int8": "torch.CharTensor",
    "int16": "torch.ShortTensor",
    "int32": "torch.IntTensor",
    "int64": "torch.LongTensor",
    "bool": "torch.BoolTensor",
}
"""numpy's name of a dtype → the name that `tensor.type()` gives it."""

DTYPES = {tensor_type: dtype for dtype, tensor_type in TENSOR_TYPES.items()}


class ValuesIndices(NamedTuple):
    """The values along one axis, and where they stand in it, as torch's `max`, `min`, `sort` and others return them."""

    values: Any
    indices: Any

    def __add__(self, other: Any) -> Any:
        return np.asarray(self) + other if isinstance(other, np.ndarray) else tuple(self) + other

    def __mul__(self, other: Any) -> Any:
        return np.asarray(self) * other if isinstance(other, np.ndarray) else tuple(self) * other

    def __array__(self, *_args: object, **_kwargs: object) -> NDArray[Any]:
        # numpy would make one array of the two, silently.
        raise InputError(
            "expected an array, got the pair (values, indices) that torch's max or sort return: use .values"
        )


class Size(int):
    """The number of values as numpy's `size` is, and the shape when it is called as torch's `size` is.

    Thread safety: any number of threads.
    """

    _shape: tuple[int, ...] = ()

    @classmethod
    def of(cls, array: NDArray[Any]) -> Size:
        """Return the size of an array."""
        size = cls(array.size)
        size._shape = array.shape
        return size

    def __call__(self, dim: int | None = None) -> Any:
        """Return the shape, or the length of one axis."""
        return self._shape if dim is None else self._shape[dim]

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return int, (int(self),)


CPU = DeviceName("cpu")


def names_cpu(device: object) -> bool:
    """Return whether `device` is "cpu", or a `torch.device` that says so."""
    return str(device).partition(":")[0] == "cpu"


def unknown_device(device: object) -> UnknownDevice:
    """Make the error for a place that results can not be in."""
    return UnknownDevice(f"results are numpy arrays on the CPU and can not move to {device!r}; leave the call out")


def dtype_of(target: Any) -> np.dtype[Any]:
    """Return the numpy dtype of numpy's, torch's or an array's `target`. Raises UnknownDevice for anything else."""
    if isinstance(target, np.ndarray):
        return np.asarray(target).dtype
    name = str(target)
    try:
        return np.dtype(DTYPES.get(name) or (name.removeprefix("torch.") if name.startswith("torch.") else target))
    except TypeError:
        raise unknown_device(target) from None
