"""What masks, keypoints, oriented boxes and probabilities say of themselves.

Numbers marked "as Ultralytics" were read off Ultralytics 8.4.190.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import numpy as np
import pytest

import yoloom
from yoloom import OBB, Boxes, Keypoints, Masks, Probs
from yoloom.errors import InputError, UnknownDevice
from yoloom.results.arrays import Array
from yoloom.results.rows import ResultRows

SHAPE = (80, 100)
POINTS = [[[10, 20, 0.9], [30, 40, 0.1]], [[50, 60, 0.5], [100, 80, 1.0]]]


def rectangle(left: int, top: int, width: int, height: int, shape: tuple[int, int] = (20, 32)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def boxes() -> Boxes:
    return Boxes([[1, 2, 3, 4, 0.9, 5], [6, 7, 8, 9, 0.8, 0]], SHAPE)


def masks() -> Masks:
    return Masks([rectangle(1, 2, 3, 4), rectangle(5, 6, 7, 8)], SHAPE)


def keypoints() -> Keypoints:
    return Keypoints(POINTS, SHAPE)


def obb() -> OBB:
    return OBB([[50, 40, 20, 10, 0.5, 0.9, 3], [10, 10, 6, 4, 2.2, 0.8, 0]], SHAPE)


def probs() -> Probs:
    return Probs([0.1, 0.5, 0.05, 0.2, 0.06, 0.04, 0.05], SHAPE)


MEMBERS = [boxes, masks, keypoints, obb, probs]
Make = Callable[[], Any]


# --- what all have in common ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", MEMBERS)
def test_data_is_frozen_and_its_own(make: Make) -> None:
    member = make()
    source = np.array(member.data)
    twin = type(member)(source, SHAPE)
    source[...] = 0
    assert np.array_equal(twin.data, member.data)
    assert (type(twin.data), twin.data.flags.writeable, twin.data.flags.owndata) == (Array, False, True)
    with pytest.raises(AttributeError, match="frozen"):
        member.data = source


@pytest.mark.parametrize("make", MEMBERS)
def test_shape_and_length_are_those_of_the_data(make: Make) -> None:
    member = make()
    assert (member.shape, len(member), member.orig_shape) == (member.data.shape, len(member.data), SHAPE)


@pytest.mark.parametrize("make", MEMBERS)
def test_indexing_and_iteration_keep_the_class(make: Make) -> None:
    member = make()
    for index in (0, -1, slice(1, None), [1, 0], np.arange(len(member)) == 1):
        chosen = member[index]
        assert (type(chosen), chosen.orig_shape) == (type(member), SHAPE)
        assert np.array_equal(chosen.data, member.data[index].reshape(chosen.shape))
    assert [one.data.tobytes() for one in member] == [row.tobytes() for row in member.data]
    with pytest.raises(IndexError):
        member[99]


@pytest.mark.parametrize("make", MEMBERS)
def test_members_are_on_the_cpu(make: Make) -> None:
    member = make()
    assert member.cpu() is member.to("cpu") is member
    with pytest.raises(UnknownDevice):
        member.cuda()
    with pytest.raises(UnknownDevice):
        member.to("cuda:0")


def arrays(member: Any) -> dict[str, np.ndarray]:
    """Every array that a member gives, by name."""
    names = [name for name in dir(type(member)) if name[0] != "_" and name not in ("keys", "orig_shape")]
    values = {name: getattr(member, name) for name in names}
    lists = {f"{name}{i}": v for name, value in values.items() if isinstance(value, list) for i, v in enumerate(value)}
    return {name: value for name, value in (values | lists).items() if isinstance(value, np.ndarray)}


@pytest.mark.parametrize("make", MEMBERS)
def test_numpy_gives_plain_arrays_of_the_callers_own(make: Make) -> None:
    member = make()
    before = {name: array.copy() for name, array in arrays(member).items()}
    for plain in (
        member.numpy(),
        member.numpy().numpy(),
        member.cpu().numpy(),
        pickle.loads(pickle.dumps(member.numpy())),
    ):
        found = arrays(plain)
        assert before.keys() - found.keys() <= {"top1conf"}  # one number
        assert {type(array) for array in found.values()} == {type(plain[:1].data)} == {np.ndarray}
        assert all(np.array_equal(array, before[name]) for name, array in found.items())
        assert all(array.flags.writeable for array in found.values())
        plain.data[...] = 0
    assert all(np.array_equal(array, before[name]) for name, array in arrays(member).items())


@pytest.mark.parametrize("make", MEMBERS)
def test_members_are_no_mapping(make: Make) -> None:
    """FastAPI takes `dict(...)` of what it does not know, and answered with an empty object where nothing was found."""
    for member in (make(), make()[:0]):
        with pytest.raises(TypeError, match="summary"):
            dict(member)
        with pytest.raises(TypeError):
            vars(member)


@pytest.mark.parametrize("make", MEMBERS)
def test_a_pickle_is_equal_and_frozen(make: Make) -> None:
    member = make()
    twin = pickle.loads(pickle.dumps(member))
    assert (type(twin), twin.orig_shape) == (type(member), SHAPE)
    assert np.array_equal(twin.data, member.data)
    assert not twin.data.flags.writeable


@pytest.mark.parametrize("make", MEMBERS)
def test_members_print_their_values(make: Make) -> None:
    member = make()
    assert repr(member).startswith(f"{type(member).__name__} of ")
    assert str(member.data) in repr(member)


WRONG: list[tuple[type[ResultRows], tuple[int, ...], str]] = [
    (OBB, (2, 6), r"obb: expected \(N, 7\)"),
    (OBB, (1, 2, 7), r"obb: expected \(N, 7\)"),
    (Masks, (4,), r"masks: expected \(N, H, W\)"),
    (Masks, (1, 2, 3, 4), r"masks: expected \(N, H, W\)"),
    (Keypoints, (2, 17, 4), r"keypoints: expected \(N, K, 2 or 3\)"),
    (Keypoints, (3,), r"keypoints: expected \(N, K, 2 or 3\)"),
    (Probs, (2, 3), r"probs: expected \(nc,\)"),
]


@pytest.mark.parametrize(("kind", "shape", "message"), WRONG)
def test_another_shape_is_refused(kind: type[ResultRows], shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kind(np.zeros(shape), SHAPE)


@pytest.mark.parametrize(
    ("kind", "shape"), [(OBB, (7,)), (Masks, (4, 6)), (Keypoints, (5, 3)), (Keypoints, (5, 2)), (Boxes, (6,))]
)
def test_one_row_may_come_without_its_axis(kind: type[ResultRows], shape: tuple[int, ...]) -> None:
    assert kind(np.zeros(shape), SHAPE).shape == (1, *shape)


def test_members_are_public() -> None:
    assert {"OBB", "Boxes", "Keypoints", "Masks", "Probs", "Results"} <= set(yoloom.__all__)


# --- OBB ------------------------------------------------------------------------------------------------------------


def test_oriented_columns() -> None:
    found = obb()
    assert found.xywhr.tolist()[0] == [50, 40, 20, 10, 0.5]
    assert found.conf.tolist() == pytest.approx([0.9, 0.8])
    assert found.cls.tolist() == [3, 0]
    assert (found.id, found.is_track) == (None, False)


def test_corners_as_ultralytics() -> None:
    one = obb()[0]
    corners = [56.378696, 49.182167, 61.172955, 40.406342, 43.621304, 30.817833, 38.827045, 39.593658]
    assert one.xyxyxyxy.shape == one.xyxyxyxyn.shape == (1, 4, 2)
    assert one.xyxyxyxy.ravel().tolist() == pytest.approx(corners, abs=1e-4)
    assert one.xyxyxyxyn[0, 0].tolist() == pytest.approx([0.563787, 0.614777], abs=1e-6)
    assert one.xyxy.tolist()[0] == pytest.approx([38.827045, 30.817833, 61.172955, 49.182167], abs=1e-4)


def test_corners_are_not_cut_at_the_edge() -> None:
    """As Ultralytics: (5, 5) with 100 by 50 pixels and 0.5 radians."""
    upright = OBB([5, 5, 100, 50, 0.5, 0.9, 0], (1080, 810)).xyxy
    assert upright[0].tolist() == pytest.approx([-50.8648, -40.9108, 60.8648, 50.9108], abs=1e-3)


def test_no_oriented_boxes() -> None:
    none = OBB(np.empty((0, 7)), SHAPE)
    assert (none.xyxyxyxy.shape, none.xyxyxyxyn.shape, none.xyxy.shape) == ((0, 4, 2), (0, 4, 2), (0, 4))


# --- Keypoints ------------------------------------------------------------------------------------------------------


def test_keypoint_columns() -> None:
    found = keypoints()
    assert found.xy[0].tolist() == [[10, 20], [30, 40]]
    assert found.xyn[1].tolist() == [[0.5, 0.75], [1, 1]]
    assert found.conf is not None
    assert found.conf.tolist() == pytest.approx(np.array([[0.9, 0.1], [0.5, 1.0]]))
    assert found.has_visible is True


def test_keypoints_without_visibility() -> None:
    found = Keypoints(np.array(POINTS)[..., :2], SHAPE)
    assert (found.conf, found.has_visible, found.shape) == (None, False, (2, 2, 2))


def test_no_keypoints() -> None:
    none = Keypoints(np.empty((0, 17, 3)), SHAPE)
    assert none.conf is not None
    assert (none.xy.shape, none.conf.shape, list(none)) == ((0, 17, 2), (0, 17), [])


# --- Probs ----------------------------------------------------------------------------------------------------------


def test_top_classes_as_ultralytics() -> None:
    found = probs()
    assert (found.top1, found.top5) == (1, [1, 3, 0, 4, 2])
    assert type(found.top1) is int
    assert found.top1conf.item() == pytest.approx(0.5)
    assert found.top5conf.tolist() == pytest.approx([0.5, 0.2, 0.1, 0.06, 0.05])


def test_fewer_than_five_classes() -> None:
    found = Probs([0.3, 0.7])
    assert (found.top5, found.orig_shape) == ([1, 0], None)
    assert found.top5conf.tolist() == pytest.approx([0.7, 0.3])


def test_equal_probabilities_come_in_the_order_of_their_classes() -> None:
    assert Probs([0.2, 0.2, 0.2, 0.2, 0.1, 0.1]).top5 == [0, 1, 2, 3, 4]


# --- Masks ----------------------------------------------------------------------------------------------------------


def test_masks_are_zeros_and_ones() -> None:
    assert masks().data.dtype == np.uint8
    assert Masks([[[0.0, 0.2], [-1, 1]]], SHAPE).data.tolist() == [[[0, 1], [1, 1]]]
    assert Masks(np.array([[True, False]]), SHAPE).data.tolist() == [[[1, 0]]]


POLYGONS = [  # mask, its picture, the polygon: as Ultralytics
    (rectangle(0, 0, 16, 16, (16, 16)), (40, 60), [[0, 0], [0, 40], [56.25, 40], [56.25, 0]]),
    (rectangle(0, 0, 4, 5), (40, 61), [[0, 0], [0, 8], [4.066667, 8], [4.066667, 0]]),
    (rectangle(5, 2, 20, 10), (40, 40), [[0, 4], [0, 22], [36, 22], [36, 4]]),
    (rectangle(0, 2, 32, 10), (40, 40), [[0, 4], [0, 22], [40, 22], [40, 4]]),
    (rectangle(3, 4, 5, 6), (20, 32), [[3, 4], [3, 9], [7, 9], [7, 4]]),
]


@pytest.mark.parametrize(("mask", "shape", "polygon"), POLYGONS)
def test_polygons_as_ultralytics(mask: np.ndarray, shape: tuple[int, int], polygon: list[list[float]]) -> None:
    found = Masks(mask, shape)
    (xy,), (xyn,) = found.xy, found.xyn
    assert (type(xy), xy.dtype, xy.flags.writeable) == (Array, np.float32, False)
    assert xy.tolist() == pytest.approx(np.array(polygon), abs=1e-4)
    assert xyn.tolist() == pytest.approx(np.array(polygon) / shape[::-1], abs=1e-6)


def test_an_empty_mask_has_an_empty_polygon() -> None:
    found = Masks(np.zeros((2, 8, 8)), SHAPE)
    assert [polygon.shape for polygon in found.xy] == [polygon.shape for polygon in found.xyn] == [(0, 2)] * 2
    assert Masks(np.zeros((0, 8, 8)), SHAPE).xy == []
    assert [polygon.shape for polygon in Masks(np.zeros((2, 0, 8)), SHAPE).xy] == [(0, 2)] * 2


def test_the_list_of_polygons_is_the_callers() -> None:
    found = masks()
    found.xy.clear()
    assert len(found.xy) == 2


def test_polygons_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr("yoloom.results.masks.outline", lambda mask: calls.append(1) or np.zeros((0, 2), np.float32))
    found = masks()
    assert [len(found.xy) for _ in range(3)] == [2] * 3
    assert len(calls) == 2


def test_threads_get_the_same_polygons() -> None:
    found = masks()
    expected = [polygon.tobytes() for polygon in masks().xy]
    barrier = Barrier(8)

    def look(_: int) -> list[bytes]:
        barrier.wait(timeout=10)
        return [polygon.tobytes() for polygon in found.xy]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look, range(8))) == [expected] * 8


def test_masks_in_the_size_of_the_picture() -> None:
    """Half the picture of 40 x 40 lies on the canvas's columns 6 to 26: 6 to 16 is its left half."""
    (mask,) = Masks(rectangle(0, 0, 16, 20), (40, 40)).on_picture()
    assert (mask.shape, mask.dtype, set(mask.ravel().tolist())) == ((40, 40), np.uint8, {0, 1})
    assert mask[:, :20].all()
    assert not mask[:, 20:].any()


@pytest.mark.parametrize("canvas", [(20, 32), (64, 64), (200, 100)])
def test_a_full_canvas_is_the_full_picture(canvas: tuple[int, int]) -> None:
    assert Masks(np.ones((1, *canvas)), (41, 63)).on_picture().all()


def test_a_piece_cut_out_is_that_part_of_the_picture() -> None:
    rng = np.random.default_rng(3)
    for canvas in ((64, 96), (96, 64), (80, 100)):
        data = np.zeros((1, *canvas), np.uint8)
        y, x = rng.integers(0, 50, 2)
        data[0, y : y + 9, x : x + 12] = 1
        found = Masks(data, SHAPE)
        left, top, piece = found.cut_out(0)
        whole = np.zeros(SHAPE, np.uint8)
        whole[top : top + piece.shape[0], left : left + piece.shape[1]] = piece
        assert np.array_equal(whole, found.on_picture()[0])
        assert piece.size < 0.3 * whole.size


def test_nothing_can_be_cut_out_of_an_empty_mask() -> None:
    assert Masks(np.zeros((1, 8, 8)), SHAPE).cut_out(0)[2].size == 0
