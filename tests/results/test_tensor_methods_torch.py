"""Arrays against torch itself: the same methods on the same numbers of many shapes and dtypes."""

from __future__ import annotations

import importlib
import itertools
import warnings
from typing import Any

import numpy as np
import pytest

from yoloom.results.arrays import Array, frozen

torch = pytest.importorskip("torch")

DTYPES = ("float32", "float64", "float16", "uint8", "int8", "int16", "int32", "int64", "bool")
SHAPES = ((), (1,), (4,), (0,), (3, 4), (0, 4), (2, 1, 3))

ONE = """
    x.sum() | x.sum(-1) | x.sum(0, keepdim=True) | x.prod() | x.prod(-1) | x.cumsum(-1) | x.cumprod(-1) | x.any() |
    x.all() | x.any(-1) | x.all(0, True) | x.count_nonzero() | x.max() | x.min() | x.amax(-1) | x.amin() |
    x.max(-1).values | x.min(0).values | x.max(-1, keepdim=True)[0] | x.median() | x.median(-1).values |
    x.mode(-1).values | x.sort(-1).values | x.sort(-1, True)[0] | x.argsort(-1, stable=True) | x.argsort(-1, True,
    stable=True) | x.argsort(dim=-1, descending=True, stable=True) | x.topk(1).values | x.kthvalue(1).values |
    x.nonzero() | x.nonzero(as_tuple=True) | x.unique() | x.unique(return_counts=True) |
    x.unique(return_inverse=True)[1] | x.abs() | x.neg() | x.sign() | x.square() | x.sqrt() | x.exp() | x.log() |
    x.sin() | x.sigmoid() | x.reciprocal() | x.floor() | x.ceil() | x.trunc() | x.round() | x.isnan() | x.isfinite()
    | x.logical_not() | x.relu() | x.clamp(0, 2) | x.clamp(min=1) | x.clamp(max=0.5) | x.flatten() | x.flatten(-1) |
    x.squeeze() | x.squeeze(0) | x.squeeze(-1) | x.unsqueeze(0) | x.unsqueeze(-1) | x.transpose(0, -1) | x.t() |
    x.view(-1) | x.flip(0) | x.flip(-1) | x.roll(1) | x.diff() | x.repeat(2) | x.repeat(2, 1) | x.repeat(2, 1, 2) |
    x.repeat_interleave(2) | x.tile(2) | x.expand(2, *x.shape) | x.split(2) | x.split(1, -1) | x.chunk(2) |
    x.chunk(2, -1) | x.unbind() | x.unbind(-1) | x.narrow(0, 0, 1) | x.select(0, 0) | x.byte() | x.int() | x.long()
    | x.float() | x.half() | x.bool() | x.type() | x.size() | x.size(-1) | x.numel() | x.dim() | x.element_size() |
    x.stride() | x.is_floating_point() | x + 1 | 1 - x | x * 3 | x * 1.5 | x / 2 | 2 / x | x // 2 | x % 3 | x ** 2 |
    2 ** x | x > 1 | x * 0.1 > 0.1 | x / 10 == 0.1 |
     x == 1 | x != 0.5 | -x | abs(x) | ~x | x & 1 | x | True | x ^ True | x * 300 | x - 1 | x + True
    | x.mean() | x.mean(-1) | x.std() | x.std(-1) | x.var() | x.var(0, unbiased=False) | x.std(-1, correction=0) |
    x.norm() | x.norm(dim=-1) | x.norm(1, -1, True) | x.norm(float("inf")) | x.softmax(-1) | x.argmax() |
    x.argmin(-1) | x.argmax(-1, keepdim=True) | x.masked_select(x > 0) | x[x > 0] | x[..., 0] | x[None] |
    x.index_select(0, (x.flatten()[:1] * 0).long()) | x.bincount() | x.equal(x) | x.where(x > 0, 7) |
    x.masked_fill(x > 0, 0) | x.tolist() | x.max(axis=0, keepdims=True) | x.div(2, rounding_mode="trunc")
"""
TWO = """
    x + y | x - y | x * y | x / y | x // y | x % y | x ** y | x > y | x == y | x & y | x | y | x.minimum(y) |
    x.maximum(y) | x.atan2(y) | x.add(y, alpha=2) | x.fmod(y) | x.logical_and(y) | x.max(y) | x.where(x > y, y) |
    x.type_as(y)
"""
EXCEPT = {
    "x.median()": (0, "torch says 0 for the median of no whole numbers"),
    "x.mode(-1).values": (0, "numpy has no lines to look at"),
    "x.softmax(-1)": (0, "torch has a softmax of no whole numbers only"),
    "x.index_select(0, (x.flatten()[:1] * 0).long())": (1, "numpy's index of one value has an axis"),
}
"""Expression → the number of values for which it is another's, and why."""


def expressions(text: str) -> list[str]:
    parts = " ".join(text.split()).replace(" | True", " @or@ True").replace("x | y", "x @or@ y").split(" | ")
    return [part.strip(" |").replace("@or@", "|") for part in parts]


def values(shape: tuple[int, ...], dtype: str, seed: int = 1) -> np.ndarray:
    """Small numbers, many of them equal, also below 0 where the dtype has such."""
    lowest = 0 if dtype in ("uint8", "bool") else -2
    numbers = np.random.default_rng(seed).integers(lowest, 4, shape).astype(dtype)
    return numbers / 2 if dtype.startswith("float") else numbers


def outcome(expression: str, **operands: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return eval(expression, {}, operands)
        except Exception as error:
            return error


def plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, int, float, str)):
        return value
    return (str(value.dtype).removeprefix("torch."), *np.shape(value)), np.asarray(value, np.float64).ravel().tolist()


def agrees(got: Any, expected: Any, rtol: float) -> bool:
    if isinstance(expected, list):
        return (
            isinstance(got, list)
            and len(got) == len(expected)
            and all(agrees(one, other, rtol) for one, other in zip(got, expected, strict=True))
        )
    if isinstance(expected, tuple):
        (kind, numbers), (other_kind, other_numbers) = got, expected
        return kind == other_kind and np.allclose(numbers, other_numbers, rtol, 1e-6, equal_nan=True)
    return type(got) is type(expected) and bool(got == expected)


@pytest.mark.parametrize("expression", expressions(ONE))
def test_a_method_is_that_of_torch(expression: str) -> None:
    for shape, dtype in itertools.product(SHAPES, DTYPES):
        numbers = values(shape, dtype)
        if expression in EXCEPT and numbers.size == EXCEPT[expression][0]:
            continue
        expected = outcome(expression, x=torch.tensor(numbers))
        got = outcome(expression, x=frozen(numbers))
        if isinstance(expected, Exception):
            continue  # what torch refuses may mean something here, or be refused
        assert not isinstance(got, Exception), (shape, dtype, got)
        rtol = 2e-3 if dtype == "float16" else 1e-5
        assert agrees(plain(got), plain(expected), rtol), (shape, numbers, got, expected)


@pytest.mark.parametrize("dtypes", [(a, b) for a in DTYPES for b in DTYPES], ids="-".join)
def test_two_operands_give_the_dtype_and_numbers_of_torch(dtypes: tuple[str, str]) -> None:
    for shapes in [((3,), (3,)), ((3,), ()), ((), (3,)), ((), ()), ((2, 3), (3,))]:
        x, y = (values(shape, dtype, seed) for shape, dtype, seed in zip(shapes, dtypes, (1, 2), strict=True))
        for expression in expressions(TWO):
            expected = outcome(expression, x=torch.tensor(x), y=torch.tensor(y))
            got = outcome(expression, x=frozen(x), y=frozen(y))
            if isinstance(expected, Exception) or (np.any(y == 0) and ("//" in expression or "%" in expression)):
                continue
            assert not isinstance(got, Exception), (expression, shapes, got)
            rtol = 4e-3 if "float16" in dtypes else 1e-5
            assert agrees(plain(got), plain(expected), rtol), (expression, shapes, x, y, got, expected)


def matrix() -> Array:
    return frozen([[3, 1, 2], [1, 2, 9]], np.float32)


def test_functions_of_torch_take_arrays_for_tensors() -> None:
    functional = importlib.import_module("torch.nn.functional")
    array = matrix()
    assert torch.cat([array, array]).shape == (4, 3)
    assert functional.interpolate(array[None, None], (4, 6)).shape == (1, 1, 4, 6)
    assert functional.softmax(array, dim=1).sum().item() == pytest.approx(2)
    for made in (array + torch.ones(3), torch.ones(3) - array, torch.stack([torch.ones(2, 3), array])):
        assert isinstance(made, torch.Tensor)
    torch.max(array, dim=0).values.add_(1)  # a tensor of its own
    assert array.tolist() == matrix().tolist()


def test_operators_of_torchvision_take_arrays_for_tensors() -> None:
    ops = pytest.importorskip("torchvision.ops")
    boxes = frozen([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]], np.float32)
    assert ops.box_iou(boxes, boxes).diagonal().tolist() == [1, 1, 1]
    assert ops.box_area(boxes).tolist() == [100, 100, 100]
    assert ops.nms(boxes, frozen([0.9, 0.8, 0.7], np.float32), 0.5).tolist() == [0, 2]
