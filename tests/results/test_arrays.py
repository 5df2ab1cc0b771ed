"""Arrays answer what people call on torch tensors, and frozen ones do not change."""

from __future__ import annotations

import copy
import operator
import pickle
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.errors import UnknownDevice
from yoloom.results.arrays import Array, frozen, names_cpu, require_cpu

MATRICES = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(-99, 99))
INDICES = hnp.basic_indices((3, 4), allow_newaxis=False)


class TorchThing:
    """Stands in for `torch.float32` and `torch.device`: a value known by its text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text


@pytest.fixture
def conf() -> Array:
    return frozen([0.25, 0.5, 0.75], np.float32)


def test_cpu_and_detach_cost_nothing(conf: Array) -> None:
    assert conf.cpu() is conf
    assert conf.detach() is conf


def test_numpy_is_a_plain_writable_copy(conf: Array) -> None:
    plain = conf.cpu().numpy()
    plain[0] = 9
    assert type(plain) is np.ndarray
    assert conf.tolist() == [0.25, 0.5, 0.75]


def test_clone_is_a_writable_array(conf: Array) -> None:
    clone = conf.clone()
    clone[0] = 9
    assert type(clone) is Array
    assert conf[0] == 0.25


@pytest.mark.parametrize(
    ("method", "dtype"), [("int", np.int32), ("long", np.int64), ("float", np.float32), ("bool", np.bool_)]
)
def test_casts_have_the_dtypes_of_torch(conf: Array, method: str, dtype: type) -> None:
    cast = getattr(conf, method)()
    assert type(cast) is Array
    assert cast.dtype == dtype


@pytest.mark.parametrize("dtype", [int, "int32", np.float64, np.uint8])
def test_astype_gives_what_numpy_gives(dtype: Any) -> None:
    rows = frozen([[1.5, 2.5], [3.25, 4.0]], np.float32)
    plain = rows.astype(dtype)
    assert type(plain) is np.ndarray
    assert plain.dtype == dtype
    assert plain.tolist() == np.array(rows).astype(dtype).tolist()
    assert plain.flags.writeable
    number = rows[0][1].astype(dtype)
    assert isinstance(number, np.generic)
    assert number == plain[0][1]
    assert {number: "a key"}[number] == "a key"
    assert type(rows.to(dtype)) is Array


def draw_rectangle(image: np.ndarray, box: Array) -> None:
    corners = box.astype(int)
    cv2.rectangle(image, corners[:2], corners[2:], (255, 255, 255), 2)


def draw_by_numbers(image: np.ndarray, box: Array) -> None:
    x1, y1, x2, y2 = box.astype(int)
    cv2.rectangle(image, (x1, y1), (x2, y2), (255, 255, 255), 2)


def draw_points(image: np.ndarray, box: Array) -> None:
    for point in box.reshape(2, 2).astype(int):
        cv2.circle(image, point, 3, (255, 255, 255))


def draw_outline(image: np.ndarray, box: Array) -> None:
    cv2.polylines(image, [box.reshape(2, 2).astype(np.int32)], True, (255, 255, 255))


def draw_rounded(image: np.ndarray, box: Array) -> None:
    cv2.line(image, box[:2].round().astype(int), np.rint(box[2:]).astype(int), (255, 255, 255))


@pytest.mark.parametrize("draw", [draw_rectangle, draw_by_numbers, draw_points, draw_outline, draw_rounded])
def test_opencv_draws_where_the_boxes_are(draw: Any) -> None:
    # It refuses a point whose parts are arrays, as those of an `Array` are.
    image = np.zeros((40, 40, 3), np.uint8)
    draw(image, frozen([[3.6, 5.2, 30.1, 20.9]], np.float32)[0])
    assert image.any()


@pytest.mark.parametrize("target", ["cpu", "cpu:0", TorchThing("cpu"), None])
def test_to_the_cpu_is_the_array_itself(conf: Array, target: object) -> None:
    assert conf.to(target) is conf
    assert conf.to(device=target) is conf


@pytest.mark.parametrize("target", [np.float64, "float64", np.dtype("f8"), TorchThing("torch.float64")])
def test_to_takes_dtypes(conf: Array, target: object) -> None:
    assert conf.to(target).dtype == conf.to("cpu", target).dtype == conf.to(dtype=target).dtype == np.float64
    assert type(conf.to(target)) is Array


@pytest.mark.parametrize("target", ["cuda", "cuda:0", 0, "mps", TorchThing("cuda:1"), TorchThing("torch.qint8")])
def test_to_another_device_says_so(conf: Array, target: object) -> None:
    with pytest.raises(UnknownDevice, match="on the CPU"):
        conf.to(target)


def test_cuda_says_that_results_are_on_the_cpu(conf: Array) -> None:
    with pytest.raises(UnknownDevice, match="cuda"):
        conf.cuda()


def test_require_cpu() -> None:
    require_cpu("cpu")
    require_cpu(None)
    assert not names_cpu("cpux")
    with pytest.raises(UnknownDevice):
        require_cpu("cuda:0")


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_element_of_any_shape_is_a_number(shape: tuple[int, ...]) -> None:
    value = frozen(np.full(shape, 2.7182, np.float32))
    assert int(value) == 2
    assert float(value) == pytest.approx(2.7182)
    assert f"{value:.2f}" == "2.72"
    assert round(value, 2) == 2.72
    assert {2: "car"}[int(value)] == "car"


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_integer_of_any_shape_is_an_index(shape: tuple[int, ...]) -> None:
    assert ["a", "b", "c"][frozen(np.full(shape, 2))] == "c"
    with pytest.raises(TypeError):
        operator.index(frozen(np.full(shape, 2.0)))


@pytest.mark.parametrize("values", [[], [1.0, 2.0]])
def test_no_or_many_elements_are_no_number(values: list[float]) -> None:
    with pytest.raises(ValueError, match="size 1"):
        int(frozen(values))
    with pytest.raises(ValueError, match="size 1"):
        float(frozen(values))


def test_many_elements_format_like_numpy(conf: Array) -> None:
    assert f"{conf}" == str(conf.numpy())
    with pytest.raises(TypeError):
        f"{conf:.2f}"


def test_iteration_ends_in_arrays(conf: Array) -> None:
    assert [type(x) for x in conf] == [Array] * 3
    assert [x.item() for x in conf] == conf.tolist()
    assert list(map(int, frozen([1.5, 2.5]))) == [1, 2]
    x1, y1 = frozen([3.0, 4.0])
    assert (x1.cpu().numpy(), float(y1)) == (3, 4)


@pytest.mark.parametrize("name", ["max", "min", "sum", "mean", "argmax", "argmin", "any", "all", "prod"])
def test_reductions_end_in_arrays(conf: Array, name: str) -> None:
    value = getattr(conf, name)()
    assert type(value) is Array
    assert value.item() == getattr(conf.numpy(), name)().item()


def test_comparison_is_a_mask(conf: Array) -> None:
    assert conf[conf > 0.3].tolist() == [0.5, 0.75]
    assert bool(conf[0] > 0.5) is False
    assert (conf == conf.numpy()).all()


def test_one_value_is_a_key_like_a_numpy_scalar() -> None:
    cls = frozen([5, 0], np.float32)
    assert [{0: "person", 5: "bus"}[c] for c in cls] == ["bus", "person"]
    assert {*cls, 5} == {0, 5}
    assert hash(cls[0]) == hash(np.float32(5))


def test_arrays_are_no_keys() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(frozen([5]))


@given(MATRICES, INDICES)
def test_indexing_equals_numpy(matrix: np.ndarray, index: Any) -> None:
    tile = np.resize(matrix, (3, 4))
    got = frozen(tile)[index]
    assert type(got) is Array
    assert got.shape == np.shape(tile[index])
    assert np.array_equal(got, tile[index])
    assert str(got) == str(tile[index])


@given(MATRICES)
def test_pickle_and_deepcopy_keep_type_and_values(matrix: np.ndarray) -> None:
    for twin in (pickle.loads(pickle.dumps(frozen(matrix))), copy.deepcopy(frozen(matrix))):
        assert type(twin) is Array
        assert twin.dtype == matrix.dtype
        assert np.array_equal(twin, matrix)


def test_frozen_owns_its_memory() -> None:
    source = np.zeros((2, 3), np.float32)
    array = frozen(source[:, :2])
    source[...] = 7
    assert array.flags.owndata
    assert not array.any()
    assert source.flags.writeable


def test_frozen_refuses_writes() -> None:
    array = frozen([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5
    with pytest.raises(ValueError, match="read-only"):
        array[:1][...] = 5
    with pytest.raises(ValueError, match="WRITEABLE"):
        array[:1].flags.writeable = True


def test_frozen_twice_is_the_same_array() -> None:
    array = frozen([1.0])
    assert frozen(array) is array
    assert frozen(array, np.float64) is array
    assert frozen(array, np.float32).dtype == np.float32


def test_frozen_copies_views_and_writable_arrays() -> None:
    array = frozen([1.0, 2.0])
    assert frozen(array[:1]) is not array[:1]
    assert frozen(array[:1]).flags.owndata
    clone = array.clone()
    assert not np.shares_memory(frozen(clone), clone)


def test_small_methods_of_torch() -> None:
    array = frozen([[3, 1], [1, 2]], np.float32)
    assert (array.numel(), array.dim(), array.unsqueeze(0).shape) == (4, 2, (1, 2, 2))
    assert (array.half().dtype, array.double().dtype) == (np.float16, np.float64)
    assert array.unique().tolist() == [1, 2, 3]
    assert isinstance(array.unique(), Array)
