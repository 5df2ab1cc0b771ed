"""The methods of a torch tensor for numpy arrays: the same names, arguments, numbers and dtypes."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InputError
from yoloom.results.tensor_operators import Axes, Flag, TensorOperators, axis_of, cast, fractions, like, sizes_of
from yoloom.results.tensor_types import TENSOR_TYPES, ValuesIndices, dtype_of, names_cpu

A = TypeVar("A", bound="TensorMethods")


class TensorMethods(TensorOperators):
    """Base of `Array`: the methods of a torch tensor. Each returns a new array, or a view, and changes nothing.

    `axis` and `keepdims` are other names of `dim` and `keepdim`, as with torch.

    Thread safety: any number of threads may read.
    """

    __slots__ = ()

    # --- several values to one

    def sum(
        self: A,
        dim: Axes = None,
        keepdim: Flag = False,
        *,
        dtype: Any = None,
        axis: Axes = None,
        keepdims: Flag = False,
    ) -> A:
        """Return the sum; of whole numbers and truth values as int64."""
        return self._reduced(np.sum, axis_of(dim, axis), keepdim or keepdims, dtype)

    def prod(
        self: A,
        dim: Axes = None,
        keepdim: Flag = False,
        *,
        dtype: Any = None,
        axis: Axes = None,
        keepdims: Flag = False,
    ) -> A:
        """Return the product; of whole numbers and truth values as int64."""
        return self._reduced(np.prod, axis_of(dim, axis), keepdim or keepdims, dtype)

    def cumsum(self: A, dim: Axes = None, *, dtype: Any = None, axis: Axes = None) -> A:
        """Return the sums of the values up to each along `dim`."""
        sums = np.cumsum(np.asarray(self), axis_of(dim, axis), self._sum_dtype(dtype))
        return like(self, sums if self._plain.ndim else sums.reshape(()))

    def cumprod(self: A, dim: Axes = None, *, dtype: Any = None, axis: Axes = None) -> A:
        """Return the products of the values up to each along `dim`."""
        products = np.cumprod(np.asarray(self), axis_of(dim, axis), self._sum_dtype(dtype))
        return like(self, products if self._plain.ndim else products.reshape(()))

    def mean(
        self: A,
        dim: Axes = None,
        keepdim: Flag = False,
        *,
        dtype: Any = None,
        axis: Axes = None,
        keepdims: Flag = False,
    ) -> A:
        """Return the mean, which is nan where there are no values."""
        values, along = fractions(self), axis_of(dim, axis)
        total = np.sum(values, along, np.float64, keepdims=keepdim or keepdims)
        with np.errstate(all="ignore"):
            return like(
                self,
                np.divide(total, values.size / np.maximum(total.size, 1)),
                values.dtype if dtype is None else dtype_of(dtype),
            )

    def var(
        self: A,
        dim: Axes | Flag = None,
        unbiased: Flag = True,
        keepdim: Flag = False,
        *,
        correction: builtins.float | None = None,
        ddof: builtins.float | None = None,
        axis: Axes = None,
        keepdims: Flag = False,
    ) -> A:
        """Return the variance: squares divided by n - 1, or by n - `correction` (numpy's `ddof`)."""
        if isinstance(dim, Flag):  # var(False), of all values
            return self.var(None, dim, keepdim, correction=correction, ddof=ddof)
        less = next((given for given in (correction, ddof) if given is not None), builtins.float(unbiased))
        values, along = fractions(self), axis_of(dim, axis)
        wide = values.astype(np.float64)
        with np.errstate(all="ignore"):
            squares = np.square(wide - np.asarray(like(self, wide).mean(along, keepdim=True)))
            total = np.sum(squares, along, keepdims=keepdim or keepdims)
            count = values.size / np.maximum(total.size, 1)
            return like(self, np.divide(total, np.maximum(0, count - less)), values.dtype)

    def std(self: A, *args: Any, **kwargs: Any) -> A:
        """Return the standard deviation; the arguments are those of `var`."""
        return self.var(*args, **kwargs).sqrt()

    def any(self: A, dim: Axes = None, keepdim: Flag = False, *, axis: Axes = None, keepdims: Flag = False) -> A:
        """Return whether any value is not zero."""
        return self._reduced(np.any, axis_of(dim, axis), keepdim or keepdims)

    def all(self: A, dim: Axes = None, keepdim: Flag = False, *, axis: Axes = None, keepdims: Flag = False) -> A:
        """Return whether no value is zero."""
        return self._reduced(np.all, axis_of(dim, axis), keepdim or keepdims)

    def count_nonzero(self: A, dim: Axes = None) -> A:
        """Return how many values are not zero."""
        return like(self, np.count_nonzero(np.asarray(self), axis_of(dim, None)))

    def amax(self: A, dim: Axes = None, keepdim: Flag = False, *, axis: Axes = None, keepdims: Flag = False) -> A:
        """Return the greatest values, without their places."""
        return self._reduced(np.max, axis_of(dim, axis), keepdim or keepdims)

    def amin(self: A, dim: Axes = None, keepdim: Flag = False, *, axis: Axes = None, keepdims: Flag = False) -> A:
        """Return the least values, without their places."""
        return self._reduced(np.min, axis_of(dim, axis), keepdim or keepdims)

    def norm(self: A, p: Any = 2, dim: Axes = None, keepdim: Flag = False) -> A:
        """Return the `p`-norm of the values, or of those along `dim`."""
        sizes, along = np.abs(fractions(self)), axis_of(dim, None)
        power = 2.0 if p == "fro" else builtins.float(p)
        if np.isinf(power):
            return like(self, (np.max if power > 0 else np.min)(sizes, along, keepdims=keepdim))
        if power == 0:
            return like(self, np.sum(sizes != 0, along, keepdims=keepdim), sizes.dtype)
        return like(self, np.sum(sizes**power, along, np.float64, keepdims=keepdim) ** (1 / power), sizes.dtype)

    def softmax(self: A, dim: builtins.int) -> A:
        """Return e to the power of the values, divided by their sum along `dim`."""
        values = fractions(self)
        if not values.size:
            return like(self, values)
        powers = np.exp(values - np.max(values, dim, keepdims=True))
        return like(self, powers / np.sum(powers, dim, keepdims=True))

    def _reduced(self: A, function: Callable[..., Any], axis: Any, keepdims: Flag, dtype: Any = None) -> A:
        if not isinstance(keepdims, Flag):
            raise InputError(f"keepdim: expected True or False, got {keepdims!r}; axes go together: dim=(0, 1)")
        if function in (np.sum, np.prod):
            return like(self, function(np.asarray(self), axis, self._sum_dtype(dtype), keepdims=keepdims))
        is_byte = self._plain.dtype == np.uint8 and function in (np.any, np.all)
        return like(self, function(np.asarray(self), axis, keepdims=keepdims), np.uint8 if is_byte else None)

    def _sum_dtype(self, dtype: Any) -> Any:
        if dtype is not None:
            return dtype_of(dtype)
        return np.int64 if self._plain.dtype.kind in "bui" else None

    # --- values and where they are

    def max(
        self: A, dim: Any = None, keepdim: Flag = False, *, axis: builtins.int | None = None, keepdims: Flag = False
    ) -> Any:
        """Return the greatest value; along `dim`, (values, indices); with another array, the greater of each two."""
        if isinstance(dim, np.ndarray):
            return self.maximum(dim)
        along = axis_of(dim, axis)
        if along is None:
            return self.amax()
        return self._chosen(np.argmax(self._at_least_1d, along), along, keepdim or keepdims)

    def min(
        self: A, dim: Any = None, keepdim: Flag = False, *, axis: builtins.int | None = None, keepdims: Flag = False
    ) -> Any:
        """Return the least value; along `dim`, (values, indices); with another array, the lesser of each two."""
        if isinstance(dim, np.ndarray):
            return self.minimum(dim)
        along = axis_of(dim, axis)
        if along is None:
            return self.amin()
        return self._chosen(np.argmin(self._at_least_1d, along), along, keepdim or keepdims)

    def median(self: A, dim: builtins.int | None = None, keepdim: Flag = False) -> Any:
        """Return the value in the middle, the lower one of two; along `dim`, (values, indices)."""
        if dim is None:
            return self.flatten().median(0).values if self._plain.size else like(self, np.nan, fractions(self).dtype)
        order = np.argsort(self._at_least_1d, dim, kind="stable")
        return self._chosen(np.take(order, (order.shape[dim] - 1) // 2, dim), dim, keepdim)

    def mode(self: A, dim: builtins.int = -1, keepdim: Flag = False) -> ValuesIndices:
        """Return the most frequent value along `dim`, the least of several, and where it stands last."""

        def place(values: NDArray[Any]) -> Any:
            found, counts = np.unique(values, return_counts=True)
            return np.flatnonzero(values == found[np.argmax(counts)])[-1]

        return self._chosen(np.apply_along_axis(place, dim, self._at_least_1d), dim, keepdim)

    def kthvalue(self: A, k: builtins.int, dim: builtins.int = -1, keepdim: Flag = False) -> ValuesIndices:
        """Return the `k`-th least value along `dim`, counted from 1, and its index."""
        order = np.argsort(self._at_least_1d, dim, kind="stable")
        return self._chosen(np.take(order, k - 1, dim), dim, keepdim)

    def sort(
        self: A,
        dim: builtins.int = -1,
        descending: Flag = False,
        stable: Flag = False,
        *,
        axis: builtins.int | None = None,
    ) -> ValuesIndices:
        """Return the values in order along `dim`, and the indices that they had. The array stays as it is."""
        along = dim if axis is None else axis
        order = self.argsort(along, descending)
        if not self._plain.ndim:
            return ValuesIndices(self, order)
        return ValuesIndices(like(self, np.take_along_axis(np.asarray(self), np.asarray(order), along)), order)

    def argsort(
        self: A,
        dim: builtins.int = -1,
        descending: Flag = False,
        stable: Flag = False,
        *,
        axis: builtins.int | None = None,
    ) -> A:
        """Return the indices that put the values in order along `dim`; equal values keep theirs."""
        along, values = dim if axis is None else axis, self._at_least_1d
        if descending:
            # Backwards twice: equal values stay in their order, and nan comes first.
            order = np.flip(values.shape[along] - 1 - np.argsort(np.flip(values, along), along, kind="stable"), along)
        else:
            order = np.argsort(values, along, kind="stable")
        return like(self, order.reshape(self._plain.shape))

    def topk(
        self: A, k: builtins.int, dim: builtins.int = -1, largest: Flag = True, sorted: Flag = True
    ) -> ValuesIndices:
        """Return the `k` greatest values along `dim`, or the least, best first, and their indices."""
        if not 0 <= k <= self._at_least_1d.shape[dim]:
            raise InputError(
                f"topk: expected k from 0 to {self._at_least_1d.shape[dim]}, the values there are; got {k}"
            )
        values, indices = self.sort(dim, descending=largest)
        if not self._plain.ndim:
            return ValuesIndices(values, indices)
        return ValuesIndices(values.narrow(dim, 0, k), indices.narrow(dim, 0, k))

    def argmax(
        self: A,
        dim: builtins.int | None = None,
        keepdim: Flag = False,
        *,
        axis: builtins.int | None = None,
        keepdims: Flag = False,
    ) -> A:
        """Return the index of the greatest value, in the flattened array or along `dim`."""
        return self._reduced(np.argmax, axis_of(dim, axis), keepdim or keepdims)

    def argmin(
        self: A,
        dim: builtins.int | None = None,
        keepdim: Flag = False,
        *,
        axis: builtins.int | None = None,
        keepdims: Flag = False,
    ) -> A:
        """Return the index of the least value, in the flattened array or along `dim`."""
        return self._reduced(np.argmin, axis_of(dim, axis), keepdim or keepdims)

    def nonzero(self: A, *, as_tuple: Flag = False) -> Any:
        """Return the indices (n, axes) of the values that are not zero; as_tuple: one array for each axis."""
        if as_tuple:
            return tuple(like(self, indices) for indices in np.nonzero(np.atleast_1d(np.asarray(self))))
        return like(self, np.argwhere(np.asarray(self)))

    argwhere = nonzero

    def unique(
        self: A,
        sorted: Flag = True,
        return_inverse: Flag = False,
        return_counts: Flag = False,
        dim: builtins.int | None = None,
    ) -> Any:
        """Return the different values, in order; when asked for, with each value's index among them, and counts."""
        values, inverse, counts = np.unique(np.asarray(self), return_inverse=True, return_counts=True, axis=dim)
        answers = [values, *[inverse] * return_inverse, *[counts] * return_counts]
        arrays = tuple(like(self, answer) for answer in answers)
        return arrays if len(arrays) > 1 else arrays[0]

    def bincount(self: A, weights: Any = None, minlength: builtins.int = 0) -> A:
        """Return how often each whole number from 0 occurs."""
        return like(self, np.bincount(np.asarray(self), weights, minlength))

    @property
    def _at_least_1d(self) -> NDArray[Any]:
        return np.atleast_1d(np.asarray(self))

    def _chosen(self: A, index: Any, dim: builtins.int, keepdim: Flag) -> ValuesIndices:
        """Return the values at one index of each line along `dim`, and the indices."""
        values = self._at_least_1d
        places = np.expand_dims(index, dim)
        chosen = np.take_along_axis(values, places, dim)
        if not keepdim or not self._plain.ndim:
            places, chosen = np.squeeze(places, dim), np.squeeze(chosen, dim)
        return ValuesIndices(like(self, chosen), like(self, places))

    # --- shapes

    def view(self: A, *shape: Any, **numpy_options: Any) -> A:
        """Return the values in another shape, with -1 for one length; or, of a dtype or a class, numpy's view."""
        if numpy_options or not builtins.all(isinstance(x, (builtins.int, np.integer, tuple, list)) for x in shape):
            if shape and str(shape[0]).startswith("torch."):
                shape = (dtype_of(shape[0]),)
            return np.ndarray.view(self, *shape, **numpy_options)  # type: ignore[call-overload,no-any-return]
        return like(self, np.reshape(np.asarray(self), sizes_of(shape)))

    def view_as(self: A, other: Any) -> A:
        """Return the values in the shape of another array."""
        return self.view(*other.shape)

    reshape_as = view_as

    def flatten(self: A, start_dim: Any = 0, end_dim: builtins.int = -1) -> A:
        """Return the values with the axes from `start_dim` to `end_dim` as one; of a letter, numpy's order."""
        values = np.asarray(self)
        if isinstance(start_dim, str) or not values.ndim:
            order: Any = start_dim if isinstance(start_dim, str) else "C"
            return like(self, values.flatten(order))
        start, end = range(values.ndim)[start_dim], range(values.ndim)[end_dim]
        length = math.prod(values.shape[start : end + 1])
        return like(self, values.reshape(*values.shape[:start], length, *values.shape[end + 1 :]))

    def squeeze(self: A, dim: Axes = None, *, axis: Axes = None) -> A:
        """Return the values without the axes of length 1, or without those of `dim` that have it."""
        values, along = np.asarray(self), axis_of(dim, axis)
        if along is not None:
            numbers = [range(values.ndim)[one] for one in np.atleast_1d(along)] if values.ndim else []
            along = tuple(one for one in numbers if values.shape[one] == 1)
        return like(self, np.squeeze(values, along))

    def unsqueeze(self: A, dim: builtins.int) -> A:
        """Return the values with a new axis of length 1 at `dim`."""
        return like(self, np.expand_dims(np.asarray(self), dim))

    def transpose(self: A, *dims: Any) -> A:
        """Return the values with two axes exchanged; with no or more axes, the axes in that order, as numpy does."""
        values = np.asarray(self)
        if not values.ndim:
            return self
        return like(self, np.swapaxes(values, *dims) if len(dims) == 2 else values.transpose(*dims))

    def permute(self: A, *dims: Any) -> A:
        """Return the values with the axes in the order of `dims`."""
        return like(self, np.transpose(np.asarray(self), sizes_of(dims)))

    def movedim(self: A, source: Any, destination: Any) -> A:
        """Return the values with axes moved to other places."""
        return like(self, np.moveaxis(np.asarray(self), source, destination))

    moveaxis = movedim

    def t(self: A) -> A:
        """Return the transpose of at most two axes."""
        if self._plain.ndim > 2:
            raise InputError(f"t(): expected at most 2 axes, got {self._plain.ndim}; use permute")
        return like(self, np.asarray(self).T)

    def expand(self: A, *sizes: Any) -> A:
        """Return the values seen as a larger array: axes of length 1 are repeated, -1 keeps a length."""
        wanted, shape = sizes_of(sizes), self._plain.shape
        kept = (*[-1] * (len(wanted) - len(shape)), *shape)
        return like(
            self,
            np.broadcast_to(self._plain, [old if new == -1 else new for new, old in zip(wanted, kept, strict=True)]),
        )

    def expand_as(self: A, other: Any) -> A:
        """Return the values seen as an array of the shape of another."""
        return self.expand(*other.shape)

    def repeat(self: A, *sizes: Any, axis: builtins.int | None = None) -> A:
        """Return the array as a tile, `sizes` times along each axis; with `axis`, numpy's repetition of each value."""
        if axis is not None:
            return self.repeat_interleave(sizes[0], axis)
        counts = sizes_of(sizes)
        if len(counts) < self._plain.ndim:
            raise InputError(
                f"repeat: expected a number for each of {self._plain.ndim} axes, got {len(counts)}; repeat_interleave "
                "repeats each value"
            )
        return like(self, np.tile(np.asarray(self), counts))

    def tile(self: A, *sizes: Any) -> A:
        """Return the array as a tile, `sizes` times along the last axes."""
        return like(self, np.tile(np.asarray(self), sizes_of(sizes)))

    def repeat_interleave(self: A, repeats: Any, dim: builtins.int | None = None) -> A:
        """Return the values with each repeated, flat or along `dim`."""
        return like(self, np.repeat(np.asarray(self), np.asarray(repeats), dim))

    def flip(self: A, *dims: Any) -> A:
        """Return the values backwards along `dims`."""
        return like(self, np.flip(np.asarray(self), sizes_of(dims))) if self._plain.ndim else self

    def roll(self: A, shifts: Any, dims: Any = None) -> A:
        """Return the values moved on along `dims`, those that leave coming in again."""
        return like(self, np.roll(np.asarray(self), shifts, dims))

    def diff(self: A, n: builtins.int = 1, dim: builtins.int = -1) -> A:
        """Return the differences of neighbours along `dim`."""
        return like(self, np.diff(np.asarray(self), n, dim))

    # --- parts

    def split(self: A, split_size: Any, dim: builtins.int = 0) -> tuple[A, ...]:
        """Return parts of `split_size` along `dim`, the last as long as what is left; or of several sizes."""
        length = self._plain.shape[dim]
        is_size = isinstance(split_size, builtins.int)
        sizes = [split_size] * max(1, -(-length // split_size)) if is_size else list(split_size)
        if not is_size and builtins.sum(sizes) != length:
            raise InputError(f"split: expected sizes that add up to {length}, got {sizes}")
        starts = [builtins.sum(sizes[:i]) for i in range(len(sizes))]
        return tuple(self.narrow(dim, start, size) for start, size in zip(starts, sizes, strict=True))

    def chunk(self: A, chunks: builtins.int, dim: builtins.int = 0) -> tuple[A, ...]:
        """Return at most `chunks` parts of the same length along `dim`; the last may be shorter."""
        length = self._plain.shape[dim]
        return self.split(-(-length // chunks), dim) if length else (self,) * chunks

    def unbind(self: A, dim: builtins.int = 0) -> tuple[A, ...]:
        """Return the parts along `dim`, without that axis."""
        return tuple(self.select(dim, i) for i in range(self._plain.shape[dim]))

    def narrow(self: A, dim: builtins.int, start: builtins.int, length: builtins.int) -> A:
        """Return `length` values along `dim` from `start` on."""
        values = self._at_least_1d
        return like(self, np.moveaxis(np.moveaxis(values, dim, 0)[start : start + length], 0, dim))

    def select(self: A, dim: builtins.int, index: builtins.int) -> A:
        """Return the values at one index of `dim`, without that axis."""
        return like(self, np.take(np.asarray(self), index, dim))

    def index_select(self: A, dim: builtins.int, index: Any) -> A:
        """Return the values at several indices of `dim`."""
        return like(self, np.take(np.asarray(self), np.asarray(index), dim))

    def masked_select(self: A, mask: Any) -> A:
        """Return the values where `mask` is true, in one axis."""
        values, chosen = np.broadcast_arrays(np.asarray(self), np.asarray(mask, np.bool_))
        return like(self, values[chosen])

    def gather(self: A, dim: builtins.int, index: Any) -> A:
        """Return, for each place of `index`, the value there, but for the place along `dim`, which `index` holds."""
        places, values = np.asarray(index), np.asarray(self)
        along = range(values.ndim)[dim]
        corner = tuple(slice(None) if axis == along else slice(size) for axis, size in enumerate(places.shape))
        return like(self, np.take_along_axis(values[corner], places, along))

    # --- pairs of arrays

    def matmul(self: A, other: Any) -> A:
        """Return the product of matrices."""
        return like(self, np.matmul(np.asarray(self), np.asarray(other)))

    mm = bmm = matmul

    def equal(self, other: Any) -> Flag:
        """Return whether shape and values are the same."""
        return np.array_equal(np.asarray(self), np.asarray(other))

    def allclose(self, other: Any, rtol: float = 1e-5, atol: float = 1e-8) -> Flag:
        """Return whether all values are nearly the same."""
        return np.allclose(np.asarray(self), np.asarray(other), rtol, atol)

    def isclose(self: A, other: Any, rtol: float = 1e-5, atol: float = 1e-8) -> A:
        """Return where the values are nearly the same."""
        return like(self, np.isclose(np.asarray(self), np.asarray(other), rtol, atol))

    # --- dtypes

    byte = cast(np.uint8, "byte")
    char = cast(np.int8, "char")
    short = cast(np.int16, "short")
    int = cast(np.int32, "int")
    long = cast(np.int64, "long")
    half = cast(np.float16, "half")
    float = cast(np.float32, "float")
    double = cast(np.float64, "double")
    bool = cast(np.bool_, "bool")

    def type(self, dtype: Any = None) -> Any:
        """Return the values as another dtype, numpy's or torch's; without one, torch's name of the array's type."""
        return (
            TENSOR_TYPES[self._plain.dtype.name]
            if dtype is None
            else like(self, np.asarray(self).astype(dtype_of(dtype)))
        )

    def type_as(self: A, other: Any) -> A:
        """Return the values in the dtype of another array."""
        return like(self, np.asarray(self).astype(dtype_of(other.dtype)))

    # --- what torch says of a tensor

    is_cuda = False
    is_mps = False
    is_sparse = False
    is_quantized = False
    requires_grad = False
    is_leaf = True
    grad = None

    def numel(self) -> builtins.int:
        """Return the number of values."""
        return builtins.int(self._plain.size)

    nelement = numel

    def dim(self) -> builtins.int:
        """Return the number of axes."""
        return self._plain.ndim

    ndimension = dim

    def element_size(self) -> builtins.int:
        """Return the bytes of one value."""
        return self._plain.itemsize

    def stride(self, dim: builtins.int | None = None) -> Any:
        """Return how many values lie between neighbours along each axis."""
        steps = tuple(step // self._plain.itemsize for step in self._plain.strides)
        return steps if dim is None else steps[dim]

    def get_device(self) -> builtins.int:
        """Return -1: the values are not on a GPU."""
        return -1

    def is_floating_point(self) -> Flag:
        """Return whether the values are fractions."""
        return self._plain.dtype.kind == "f"

    def is_complex(self) -> Flag:
        """Return whether the values are complex numbers."""
        return self._plain.dtype.kind == "c"

    def is_contiguous(self) -> Flag:
        """Return whether the values lie one after the other in memory."""
        return self._plain.flags.c_contiguous

    def contiguous(self: A) -> A:
        """Return the array itself where its values lie one after the other in memory, else a copy in which they do."""
        return self if self.is_contiguous() else like(self, np.ascontiguousarray(np.asarray(self)))

    def cpu(self: A, *_args: object, **_kwargs: object) -> A:
        """Return the array itself: its values are already in the memory of the CPU."""
        return self

    def detach(self: A) -> A:
        """Return the array itself: there are no gradients."""
        return self

    def requires_grad_(self: A, requires_grad: Flag = True) -> A:
        """Return the array itself: there are no gradients."""
        return self

    def cuda(self: A, *_args: object, **_kwargs: object) -> A:
        """Raise `UnknownDevice`: results live on the CPU."""
        return self.to("cuda")

    def to(
        self: A, *targets: Any, device: Any = "cpu", dtype: Any = None, non_blocking: Flag = False, copy: Flag = False
    ) -> A:
        """Return the values as another dtype (numpy's or torch's), or the array itself for "cpu".

        Raises:
            UnknownDevice: for anything else.
        """
        array = self
        for target in (*targets, device, dtype):
            if target is not None and not isinstance(target, Flag) and not names_cpu(target):
                array = like(self, np.asarray(array).astype(dtype_of(target)))
        return array.clone() if copy else array

    def clone(self: A, *_args: object, **_kwargs: object) -> A:
        """Return a writable copy."""
        return like(self, np.array(self))
