"""The operators of a torch tensor, and its functions of one value, or two: numpy's functions with torch's dtypes."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InputError

A = TypeVar("A", bound="TensorOperators")
Axes = builtins.int | Sequence[builtins.int] | None
Flag = builtins.bool
Apply = Callable[[Callable[..., Any], Any, Any], Any]

CATEGORIES = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
"""Kind of a dtype → its rank when torch chooses the dtype of a result: truth values, whole numbers, fractions."""


def like(array: A, values: Any, dtype: Any = None) -> A:
    """Return values, or numpy's scalar, as an array of the class of `array`."""
    kind: Any = type(array)
    return np.asarray(values, dtype).view(kind)  # type: ignore[no-any-return]


def fractions(array: object) -> NDArray[Any]:
    """Return the values with torch's dtype for what is not a whole number."""
    values = np.asarray(array)
    return values if values.dtype.kind in "fc" else values.astype(np.float32)


def axis_of(dim: Axes, axis: Axes) -> Any:
    """Return numpy's axis for torch's `dim`, which may also be spelt `axis`; torch's () is every axis."""
    chosen = axis if dim is None else dim
    return chosen if chosen is None or isinstance(chosen, builtins.int) else tuple(chosen) or None


def sizes_of(sizes: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the numbers of `f(2, 3)` and of `f((2, 3))`."""
    return tuple(sizes[0]) if len(sizes) == 1 and not hasattr(sizes[0], "__index__") else sizes


def _named(function: Any, name: str, doc: str) -> Any:
    function.__name__, function.__doc__ = name, doc
    function.__qualname__ = f"TensorMethods.{name}"
    return function


def _elementwise(
    ufunc: Callable[..., Any], name: str, doc: str, operand_of: Callable[[Any], NDArray[Any]] = fractions
) -> Callable[[A], A]:
    """Make the method of a function that torch computes in fractions, or with `operand_of=np.asarray` as it comes."""

    def method(self: A) -> A:
        with np.errstate(all="ignore"):  # torch gives inf and nan without a word
            return like(self, ufunc(operand_of(self)))

    return _named(method, name, doc)  # type: ignore[no-any-return]


def _fractions_only(ufunc: Callable[..., Any]) -> Callable[..., Any]:
    """Make the function that leaves whole numbers as they are, which numpy before 2.1 turns into fractions."""
    return lambda values: ufunc(values) if values.dtype.kind == "f" else values


def cast(dtype: Any, name: str) -> Callable[[A], A]:
    """Make the method that casts to a dtype."""

    def method(self: A) -> A:
        with np.errstate(all="ignore"):
            return like(self, np.asarray(self).astype(dtype))

    return _named(method, name, f"Return the values as {np.dtype(dtype).name}.")  # type: ignore[no-any-return]


def common_dtype(left: Any, right: Any) -> np.dtype[Any]:
    """Return the dtype in which torch computes with two operands, each an array or a Python number.

    Among operands of one category, an array counts before a single value in an array, and that before a number; of
    several categories the highest counts.
    """
    ranked = []
    for operand in (left, right):
        is_number = not isinstance(operand, np.ndarray)
        dtype = np.asarray(operand).dtype
        if is_number and dtype.kind == "f":
            dtype = np.dtype(np.float32)
        if dtype.kind not in CATEGORIES:
            raise InputError(f"expected numbers of at most 64 bits to compute with, got {operand!r}")
        ranked.append((CATEGORIES[dtype.kind], 0 if is_number else 2 if operand.ndim else 1, dtype))
    (category, rank, dtype), (other_category, other_rank, other_dtype) = ranked
    if category != other_category:
        return dtype if category > other_category else other_dtype
    if rank != other_rank:
        return dtype if rank > other_rank else other_dtype
    return np.promote_types(dtype, other_dtype)


def compute(ufunc: Callable[..., Any], left: Any, right: Any) -> Any:
    """Return `ufunc` of two operands in the dtype that torch gives the result."""
    if type(right) in (builtins.int, builtins.float) and left.dtype.kind == "f":
        with np.errstate(all="ignore"):
            return ufunc(left, right)  # numpy and torch agree here, and most programs do this
    dtype = common_dtype(left, right)
    if ufunc in (np.true_divide, np.arctan2) and dtype.kind not in "fc":
        dtype = np.dtype(np.float32)
    first, second = (np.asarray(operand).astype(dtype, copy=False) for operand in (left, right))
    with np.errstate(all="ignore"):
        if ufunc is np.power and dtype.kind == "i" and np.any(second < 0):
            # Whole numbers to powers below 0: the fraction is cut off, and 1 / 0 is 0.
            return np.where(second < 0, (np.abs(first) == 1) * first ** (second % 2), first ** np.maximum(second, 0))
        return ufunc(first, second)


def compare(ufunc: Callable[..., Any], left: Any, right: Any) -> Any:
    """Return `ufunc` of two operands, of which a single value in an array does not widen an array of several."""
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray) and bool(left.ndim) != bool(right.ndim):
        left, right = (x if x.ndim else x.item() for x in (left, right))
    return ufunc(left, right)


def _binary(apply: Apply, ufunc: Callable[..., Any], name: str, doc: str) -> Callable[[A, Any], A]:
    """Make the method of a function of two operands."""

    def method(self: A, other: Any) -> A:
        return like(self, apply(ufunc, np.asarray(self), operand(other)))

    return _named(method, name, doc)  # type: ignore[no-any-return]


def operand(other: Any) -> Any:
    """Return the plain array of an array or a sequence, and a number as it is."""
    return np.asarray(other) if isinstance(other, (np.ndarray, list, tuple)) else other


def _operator(apply: Apply, ufunc: Callable[..., Any], name: str, reflected: bool = False) -> Callable[[A, Any], A]:
    """Make the method of an operator, such as `__mul__`."""
    repeats = reflected and ufunc in (np.add, np.multiply)  # what + and * mean to a list on the left

    def method(self: Any, other: Any) -> Any:
        is_sequence = isinstance(other, (list, tuple))
        if not isinstance(other, (np.ndarray, np.generic, complex, float, builtins.int)) and (
            repeats or not is_sequence
        ):
            return NotImplemented  # a tensor's, a data frame's or a text's own operator knows better
        left, right = np.asarray(self), operand(other)
        return like(self, apply(ufunc, right, left) if reflected else apply(ufunc, left, right))

    return _named(method, name, f"Return the result of the operator in torch's dtype: `{name}`.")  # type: ignore[no-any-return]


def _in_place(operate: Callable[[Any, Any], Any], name: str) -> Callable[[A, Any], A]:
    """Make the method of an operator that changes the array itself, such as `__imul__`."""

    def method(self: Any, other: Any) -> Any:
        values = operate(self, other)
        if values is NotImplemented:
            return values
        if not np.can_cast(values.dtype, self.dtype, "same_kind"):
            raise InputError(
                f"{self.dtype} can not hold the result, which is {values.dtype}: write x = x + y, not x += y"
            )
        self[...] = values
        return self

    return _named(method, name, f"Change the values: `{name}`.")  # type: ignore[no-any-return]


class TensorOperators:
    """Base of `TensorMethods`. Each method returns a new array.

    Thread safety: any number of threads may read.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # of `Array`

    # --- operators

    __add__ = _operator(compute, np.add, "__add__")
    __radd__ = _operator(compute, np.add, "__radd__", reflected=True)
    __sub__ = _operator(compute, np.subtract, "__sub__")
    __rsub__ = _operator(compute, np.subtract, "__rsub__", reflected=True)
    __mul__ = _operator(compute, np.multiply, "__mul__")
    __rmul__ = _operator(compute, np.multiply, "__rmul__", reflected=True)
    __truediv__ = _operator(compute, np.true_divide, "__truediv__")
    __rtruediv__ = _operator(compute, np.true_divide, "__rtruediv__", reflected=True)
    __floordiv__ = _operator(compute, np.floor_divide, "__floordiv__")
    __rfloordiv__ = _operator(compute, np.floor_divide, "__rfloordiv__", reflected=True)
    __mod__ = _operator(compute, np.remainder, "__mod__")
    __rmod__ = _operator(compute, np.remainder, "__rmod__", reflected=True)
    __pow__ = _operator(compute, np.power, "__pow__")
    __rpow__ = _operator(compute, np.power, "__rpow__", reflected=True)
    __iadd__ = _in_place(__add__, "__iadd__")
    __isub__ = _in_place(__sub__, "__isub__")
    __imul__ = _in_place(__mul__, "__imul__")
    __itruediv__ = _in_place(__truediv__, "__itruediv__")
    __ifloordiv__ = _in_place(__floordiv__, "__ifloordiv__")
    __imod__ = _in_place(__mod__, "__imod__")
    __ipow__ = _in_place(__pow__, "__ipow__")
    __and__ = __rand__ = _operator(compute, np.bitwise_and, "__and__")
    __or__ = __ror__ = _operator(compute, np.bitwise_or, "__or__")
    __xor__ = __rxor__ = _operator(compute, np.bitwise_xor, "__xor__")
    __iand__ = _in_place(__and__, "__iand__")
    __ior__ = _in_place(__or__, "__ior__")
    __ixor__ = _in_place(__xor__, "__ixor__")
    __lt__ = _operator(compare, np.less, "__lt__")
    __le__ = _operator(compare, np.less_equal, "__le__")
    __gt__ = _operator(compare, np.greater, "__gt__")
    __ge__ = _operator(compare, np.greater_equal, "__ge__")
    __eq__ = _operator(compare, np.equal, "__eq__")  # type: ignore[assignment] # of each value, as numpy
    __ne__ = _operator(compare, np.not_equal, "__ne__")  # type: ignore[assignment]

    mul = multiply = _binary(compute, np.multiply, "mul", "Return the product with `other`.")
    true_divide = _binary(compute, np.true_divide, "true_divide", "Return the quotient by `other`.")
    floor_divide = _binary(compute, np.floor_divide, "floor_divide", "Return the quotient by `other`, rounded down.")
    remainder = _binary(compute, np.remainder, "remainder", "Return the remainder, with the sign of `other`.")
    fmod = _binary(compute, np.fmod, "fmod", "Return the remainder, with the sign of the array.")
    pow = _binary(compute, np.power, "pow", "Return the values to the power of `other`.")
    minimum = _binary(compute, np.minimum, "minimum", "Return the lesser of each two values.")
    maximum = _binary(compute, np.maximum, "maximum", "Return the greater of each two values.")
    atan2 = arctan2 = _binary(compute, np.arctan2, "atan2", "Return the angle of the point (`other`, value), radians.")
    bitwise_and = _binary(compute, np.bitwise_and, "bitwise_and", "Return the bits set in both.")
    bitwise_or = _binary(compute, np.bitwise_or, "bitwise_or", "Return the bits set in either.")
    logical_and = _binary(compare, np.logical_and, "logical_and", "Return where both are not zero.")
    logical_or = _binary(compare, np.logical_or, "logical_or", "Return where either is not zero.")
    logical_xor = _binary(compare, np.logical_xor, "logical_xor", "Return where one of the two is not zero.")
    eq = _binary(compare, np.equal, "eq", "Return where the values are equal.")
    ne = not_equal = _binary(compare, np.not_equal, "ne", "Return where the values differ.")
    gt = greater = _binary(compare, np.greater, "gt", "Return where the values are greater.")
    ge = greater_equal = _binary(compare, np.greater_equal, "ge", "Return where the values are greater or equal.")
    lt = less = _binary(compare, np.less, "lt", "Return where the values are less.")
    le = less_equal = _binary(compare, np.less_equal, "le", "Return where the values are less or equal.")

    def add(self: A, other: Any, *, alpha: Any = 1) -> A:
        """Return the sum with `alpha` times `other`."""
        dtype = common_dtype(np.asarray(self), operand(other))
        return like(self, compute(np.add, np.asarray(self).astype(dtype), np.multiply(other, alpha).astype(dtype)))

    def sub(self: A, other: Any, *, alpha: Any = 1) -> A:
        """Return the difference to `alpha` times `other`."""
        dtype = common_dtype(np.asarray(self), operand(other))
        return like(self, compute(np.subtract, np.asarray(self).astype(dtype), np.multiply(other, alpha).astype(dtype)))

    subtract = sub

    def div(self: A, other: Any, *, rounding_mode: str | None = None) -> A:
        """Return the quotient by `other`; rounding_mode: "floor", "trunc", or None for fractions."""
        if rounding_mode is None:
            return self.true_divide(other)
        if rounding_mode == "floor":
            return self.floor_divide(other)
        dtype = common_dtype(np.asarray(self), operand(other))
        return like(self, np.trunc(np.asarray(self.true_divide(other))), dtype)

    divide = div

    # --- each value by itself

    sqrt = _elementwise(np.sqrt, "sqrt", "Return the square roots.")
    rsqrt = _elementwise(lambda x: 1 / np.sqrt(x), "rsqrt", "Return 1 divided by the square roots.")
    reciprocal = _elementwise(np.reciprocal, "reciprocal", "Return 1 divided by the values.")
    exp = _elementwise(np.exp, "exp", "Return e to the power of the values.")
    log = _elementwise(np.log, "log", "Return the natural logarithms.")
    log2 = _elementwise(np.log2, "log2", "Return the logarithms to base 2.")
    log10 = _elementwise(np.log10, "log10", "Return the logarithms to base 10.")
    log1p = _elementwise(np.log1p, "log1p", "Return the natural logarithms of 1 + the values.")
    sin = _elementwise(np.sin, "sin", "Return the sines of angles in radians.")
    cos = _elementwise(np.cos, "cos", "Return the cosines of angles in radians.")
    tan = _elementwise(np.tan, "tan", "Return the tangents of angles in radians.")
    asin = arcsin = _elementwise(np.arcsin, "asin", "Return the angles with these sines, in radians.")
    acos = arccos = _elementwise(np.arccos, "acos", "Return the angles with these cosines, in radians.")
    atan = arctan = _elementwise(np.arctan, "atan", "Return the angles with these tangents, in radians.")
    tanh = _elementwise(np.tanh, "tanh", "Return the hyperbolic tangents.")
    sigmoid = _elementwise(lambda x: 1 / (1 + np.exp(-x)), "sigmoid", "Return the values of the logistic function.")
    deg2rad = _elementwise(np.deg2rad, "deg2rad", "Return angles of degrees in radians.")
    rad2deg = _elementwise(np.rad2deg, "rad2deg", "Return angles of radians in degrees.")
    isnan = _elementwise(np.isnan, "isnan", "Return where a value is not a number.")
    isinf = _elementwise(np.isinf, "isinf", "Return where a value is infinite.")
    isfinite = _elementwise(np.isfinite, "isfinite", "Return where a value is neither infinite nor nan.")

    abs = absolute = _elementwise(np.abs, "abs", "Return the values without their signs.", np.asarray)
    neg = negative = _elementwise(np.negative, "neg", "Return the values with the opposite sign.", np.asarray)
    sign = _elementwise(
        lambda x: x if x.dtype == np.bool_ else np.sign(x), "sign", "Return -1, 0 or 1 for each value.", np.asarray
    )
    floor = _elementwise(_fractions_only(np.floor), "floor", "Return the values rounded down.", np.asarray)
    ceil = _elementwise(_fractions_only(np.ceil), "ceil", "Return the values rounded up.", np.asarray)
    trunc = fix = _elementwise(
        _fractions_only(np.trunc), "trunc", "Return the values without their fractions.", np.asarray
    )
    logical_not = _elementwise(np.logical_not, "logical_not", "Return where a value is zero.", np.asarray)

    def square(self: A) -> A:
        """Return the squares."""
        return self.pow(2)

    def round(self: A, decimals: builtins.int = 0) -> A:
        """Return the values rounded, halves to the even number."""
        return like(self, np.round(np.asarray(self), decimals))

    def relu(self: A) -> A:
        """Return the values, 0 in place of those below."""
        return self.clamp(min=0)

    def clamp(self: A, min: Any = None, max: Any = None) -> A:
        """Return the values, moved to `min` and `max` where they lie beyond."""
        values: Any = self
        if min is not None:
            values = like(self, compute(np.maximum, np.asarray(values), operand(min)))
        return values if max is None else like(self, compute(np.minimum, np.asarray(values), operand(max)))

    clip = clamp

    def where(self: A, condition: Any, other: Any) -> A:
        """Return the values where `condition` is true, and `other` elsewhere."""
        dtype = common_dtype(np.asarray(self), operand(other))
        return like(self, np.where(np.asarray(condition), np.asarray(self), np.asarray(other)), dtype)

    def masked_fill(self: A, mask: Any, value: Any) -> A:
        """Return the values, and `value` where `mask` is true."""
        return like(self, np.where(np.asarray(mask), np.asarray(value, self._plain.dtype), np.asarray(self)))

    @property
    def _plain(self) -> NDArray[Any]:
        return np.asarray(self)
