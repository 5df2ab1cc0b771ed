"""Arrays beside numpy's functions and Python's operators, and what they refuse.

That their methods mean torch's is in tests/compat, against golden answers, and in test_tensor_methods_torch.py.
"""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from typing import Any

import numpy as np
import pytest

from yoloom.errors import InputError, UnknownDevice
from yoloom.results.arrays import Array, frozen
from yoloom.results.tensor_methods import TensorMethods
from yoloom.results.tensor_operators import common_dtype
from yoloom.results.tensor_types import ValuesIndices, dtype_of
from yoloom.values import DeviceName


def test_two_dtypes_of_which_one_is_a_number() -> None:
    array, one = frozen([1, 2], np.uint8), frozen(np.float64(3))
    assert common_dtype(array, 2) == np.uint8
    assert common_dtype(array, 2.5) == np.float32
    assert common_dtype(array, one) == np.float64
    assert common_dtype(frozen([1.0], np.float32), one) == np.float32
    with pytest.raises(InputError, match="64 bits"):
        array * 10**30


# --- numpy's functions, and what Python does with arrays --------------------------------------------------------------


def matrix() -> Array:
    return frozen([[3, 1, 2], [1, 2, 9]], np.float32)


FUNCTIONS = """
    np.max(x, axis=0) | np.min(x, 1) | np.std(x) | np.var(x, axis=1) | np.sort(x) | np.argsort(x, axis=0) |
    np.nonzero(x) | np.repeat(x, 2) | np.repeat(x, 2, axis=1) | np.transpose(x, (0, 1)) | np.median(x) | np.mean(x,
    axis=0) | np.sum(x, 1) | np.concatenate([x, x]) | np.stack((x, x), axis=2) | np.where(x > 1, x, 0) | np.where(x
    > 1) | np.squeeze(x[:1], 0) | np.any(x > 2, axis=1) | np.unique(x, return_counts=True) | np.split(x, 2) |
    np.vstack([x, x[0]]) | np.clip(x, 1, 2) | np.linalg.norm(x, axis=1) | np.percentile(x, 50) | np.interp(x[0], [0,
    9], [0, 90]) | np.copy(x) | np.block([[x], [x]]) | np.histogram(x, bins=3) | np.quantile(x, q=0.3, axis=0) |
    np.apply_along_axis(np.sum, 1, x) | np.size(x) | np.ndim(x)
"""


@pytest.mark.parametrize("expression", " ".join(FUNCTIONS.split()).split(" | "))
def test_functions_of_numpy_give_what_they_give_for_plain_arrays(expression: str) -> None:
    """They call methods of the array, which mean torch's: `np.max(x, axis=0)` would give a pair."""
    got, expected = (eval(expression, {"np": np}, {"x": x}) for x in (matrix(), matrix().numpy()))
    assert type(got) is type(expected)
    for one, other in zip(got, expected, strict=True) if isinstance(got, (tuple, list)) else [(got, expected)]:
        assert type(one) is type(other) is not Array
        assert np.asarray(one).dtype == np.asarray(other).dtype
        assert np.array_equal(one, other)


def test_masked_arrays_mean_numpy() -> None:
    """Matplotlib makes them of pictures: `imshow(r.masks.data[0])` called `max(axis=..., out=...)` of an `Array`."""
    for masked in (np.ma.masked_invalid(matrix()), np.ma.array(matrix()), np.ma.masked_where(matrix() > 2, matrix())):
        assert type(masked.data) is np.ndarray
        assert masked.max(axis=0, out=None).tolist() == np.ma.array(masked.data, mask=masked.mask).max(axis=0).tolist()


def test_a_function_of_numpy_may_write_into_an_array() -> None:
    target = matrix().clone()
    np.copyto(target, 5)
    np.add(matrix(), 1, out=target)
    assert target.tolist() == (matrix() + 1).tolist()


def test_the_data_is_the_array_and_files_and_pickles_still_hold_it() -> None:
    array = matrix()
    assert array.data is array
    assert memoryview(array).nbytes == array.nbytes
    for twin in (pickle.loads(pickle.dumps(array)), pickle.loads(pickle.dumps(array, 2)), copy.copy(array)):
        assert type(twin) is Array
        assert np.array_equal(twin, array)
    file = io.BytesIO()
    np.save(file, array)
    file.seek(0)
    assert np.array_equal(np.load(file), array)


def test_the_size_is_a_number_and_can_be_called() -> None:
    size = matrix().size
    assert size == 6
    assert (size(), size(0), size(-1)) == ((2, 3), 2, 3)
    assert range(size) == range(6)
    assert type(pickle.loads(pickle.dumps(size))) is int


def test_the_device_is_a_text_and_equal_to_that_of_torch() -> None:
    device = matrix().device
    assert (device, str(device), device.type, device.index) == ("cpu", "cpu", "cpu", None)
    assert f"{device}" == "cpu"
    assert device != "cuda"
    assert {device: 1}["cpu"] == 1
    assert isinstance(pickle.loads(pickle.dumps(device)), DeviceName)


def test_a_pair_is_no_array_of_other_numbers() -> None:
    """numpy stacked values and indices, and `pair + array` was refused for tuples, which nobody had written."""
    pair = matrix().max(axis=0)
    assert isinstance(pair, ValuesIndices)
    for use in (
        np.asarray,
        lambda p: p + matrix(),
        lambda p: matrix() - p,
        lambda p: p * matrix(),
        lambda p: np.ones(3) - p,
    ):
        with pytest.raises(InputError, match=r"use \.values"):
            use(pair)
    assert pair + (1,) == (*pair, 1)  # noqa: RUF005


def test_what_is_left_of_an_operator_decides_what_it_means() -> None:
    one = frozen(2)
    assert [0] * one == [0, 0]
    assert "ab" * one == "abab"
    assert (matrix() + [1, 2, 3]).tolist() == [[4, 3, 5], [2, 4, 12]]  # noqa: RUF005
    assert ([1, 2, 3] - matrix()).tolist() == [[-2, 1, 1], [0, 0, -6]]
    with pytest.raises(TypeError):
        [1, 2] * matrix()
    with pytest.raises(TypeError):
        matrix() + "text"
    assert (matrix() == None) is False  # noqa: E711
    assert (matrix() != "text") is True


def test_an_index_of_bytes_is_a_mask() -> None:
    """For torch it is; numpy takes the numbers 0 and 1 for indices, and gave other rows."""
    array = matrix()
    mask = frozen([0, 1], np.uint8)
    assert array[mask].tolist() == [[1, 2, 9]]
    assert array[mask, 0].tolist() == [1]
    own = array.clone()
    own[mask] = 0
    assert own.tolist() == [[3, 1, 2], [0, 0, 0]]


def test_methods_in_place_are_for_copies() -> None:
    own = matrix().clone()
    assert own.clamp_(1, 2) is own
    assert own.mul_(2).tolist() == [[4, 2, 4], [2, 4, 4]]
    for change in (lambda a: a.clamp_(0, 1), lambda a: a.__setitem__(0, 5)):
        with pytest.raises(InputError, match="clone"):
            change(matrix())


@pytest.mark.parametrize("name", ["backward", "nothing_", "_x", "__cuda_array_interface__"])
def test_a_method_that_is_not_there_is_named(name: str) -> None:
    assert not hasattr(matrix(), name)
    with pytest.raises(AttributeError, match=name):
        getattr(matrix(), name)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.repeat(2), "repeat_interleave"),
        (lambda x: x.topk(4), "from 0 to 3"),
        (lambda x: x.split([1, 2]), "add up to 2"),
        (lambda x: x[None].t(), "permute"),
        (lambda x: x.sum(0, 1), r"dim=\(0, 1\)"),
    ],
)
def test_what_can_not_be_meant_is_refused(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(matrix())


def test_dtypes_have_the_names_of_both() -> None:
    assert (
        dtype_of("torch.LongTensor")
        == dtype_of("torch.int64")
        == dtype_of(np.int64)
        == dtype_of(frozen([1]))
        == np.int64
    )
    assert matrix().type() == "torch.FloatTensor"
    with pytest.raises(UnknownDevice):
        dtype_of("cuda")


@pytest.mark.parametrize("name", [name for name in dir(TensorMethods) if not name.startswith("__")])
def test_every_method_says_what_it_is(name: str) -> None:
    """Also those that are made in a table: editors and `help()` show them like the others."""
    attribute = inspect.getattr_static(TensorMethods, name)
    if inspect.isfunction(attribute) and not name.startswith("_"):
        assert attribute.__doc__
        assert attribute.__doc__.startswith(("Return", "Raise"))
        assert attribute.__qualname__.startswith("Tensor")
    assert name in dir(matrix())
