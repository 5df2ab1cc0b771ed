"""numpy arrays that also answer the methods people call on torch tensors."""

from __future__ import annotations

import builtins
import importlib
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from yoloom.errors import InputError
from yoloom.results.tensor_methods import TensorMethods
from yoloom.results.tensor_types import CPU, Size, names_cpu, unknown_device
from yoloom.values import DeviceName

READ_ONLY = "results are read-only: change a copy, made with .clone(), or with .numpy() for numpy's methods"


class Array(TensorMethods, np.ndarray[Any, np.dtype[Any]]):  # type: ignore[misc] # torch's meaning before numpy's
    """A numpy array whose methods and operators mean what they mean on a torch tensor.

    numpy's functions, such as `np.max(array, axis=0)`, give what they give for plain arrays, and so does what
    `array.numpy()` and `array.astype(...)` return. torch's functions take it for a tensor.

    Indexing or iterating down to one value gives a 0-d `Array`, which can be a dictionary's key like numpy's scalars.
    `int(x)`, `float(x)` and `f"{x:.2f}"` take an array of one element of any shape.

    Thread safety: any number of threads may read; the arrays in results are read-only.
    """

    __slots__ = ()  # without a __dict__, of which web frameworks would make an empty object

    _baseclass = np.ndarray  # of numpy's masked arrays, which Matplotlib makes: they call methods, and mean numpy's

    def __getitem__(self, index: Any) -> Array:
        chosen = super().__getitem__(_index(index) if isinstance(index, (tuple, Array)) else index)
        return chosen if isinstance(chosen, Array) else np.asarray(chosen).view(Array)

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.flags.writeable:
            raise InputError(READ_ONLY)
        super().__setitem__(_index(index), value)

    def __int__(self) -> builtins.int:
        return builtins.int(self.item())

    def __float__(self) -> builtins.float:
        return builtins.float(self.item())

    def __index__(self) -> builtins.int:
        if self.size != 1:
            raise TypeError("only whole numbers in an array of one value can be an index")
        return operator.index(self.item())

    def __hash__(self) -> builtins.int:  # type: ignore[override]
        if self.ndim:
            raise TypeError("unhashable: an array of several values")
        return hash(self.item())

    def __round__(self, digits: builtins.int | None = None) -> Any:
        return round(self.item(), digits)

    def __format__(self, spec: str) -> str:
        # Of a 0-d array the number, as with torch: its digits are those of a Python float.
        return format(self.item(), spec) if not self.ndim or (spec and self.size == 1) else super().__format__(spec)

    def __array_function__(self, func: Callable[..., Any], types: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
        # numpy's functions call methods, and mean numpy's.
        return func(*_without(Array, np.asarray, args), **_without(Array, np.asarray, kwargs))

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        torch = importlib.import_module("torch")  # it is calling, so it is there

        def tensor(array: Array) -> Any:
            return torch.from_numpy(np.array(array))

        return func(*_without(Array, tensor, args), **_without(Array, tensor, kwargs or {}))

    def keys(self) -> NoReturn:
        """Raise `TypeError`: `dict(array)`, which web frameworks try, would make keys of some values."""
        raise TypeError("an array is no mapping and no JSON: send array.tolist(), or results.summary()")

    @property
    def size(self) -> Size:
        """The number of values; `size()` is the shape, `size(dim)` the length of one axis."""
        return Size.of(np.asarray(self))

    @property
    def data(self) -> Array:  # type: ignore[override]
        """The array itself, as a tensor's `data` is one. `memoryview(array)` is the buffer."""
        return self

    @property
    def device(self) -> DeviceName:  # type: ignore[override]
        """The text "cpu", with the attributes `type` and `index`."""
        return CPU

    def numpy(self, *, force: builtins.bool = False) -> NDArray[Any]:
        """Return a plain numpy array, copied, so that it can be edited."""
        return np.array(self)

    def astype(self, dtype: DTypeLike, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Return the values as another dtype, in a plain array, or a plain number for one: OpenCV takes those."""
        return np.asarray(self).astype(dtype, *args, **kwargs)[()]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            method = getattr(TensorMethods, name[:-1], None) if name.endswith("_") and name[0] != "_" else None
            if not callable(method):
                raise AttributeError(
                    f"an Array of results has no {name!r}; numpy's arrays, and torch's tensors, are made of it with "
                    ".numpy() and torch.from_numpy(array.numpy())"
                )

            def in_place(*args: Any, **kwargs: Any) -> Array:
                self[...] = method(self, *args, **kwargs)
                return self

            return in_place


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
    np.ndarray.__setitem__(array, ..., source)
    array.flags.writeable = False
    return array


def require_cpu(device: object) -> None:
    """Raise `UnknownDevice` unless `device` is the CPU or None."""
    if device is not None and not names_cpu(device):
        raise unknown_device(device)


def _index(index: Any) -> Any:
    """Return what numpy needs for torch's index: bytes choose as truth values do."""
    if isinstance(index, Array):
        return np.asarray(index, np.bool_ if index.dtype == np.uint8 else None)
    return tuple(map(_index, index)) if isinstance(index, tuple) else index


def _without(kind: type, convert: Callable[[Any], Any], value: Any) -> Any:
    """Return a function's arguments with every array of `kind` converted, in lists and dictionaries too."""
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_without(kind, convert, item) for item in value) if type(value) in (list, tuple) else value
    if isinstance(value, dict):
        return {key: _without(kind, convert, item) for key, item in value.items()}
    return value
