"""NMS against a slow reference that is easy to believe, and against itself: same input, same bits."""

from __future__ import annotations

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.postprocess.nms import MAX_CANDIDATES, nms
from yoloom.testing import barrier_run, shaken

OFFSET = 7680  # pixels between the boxes of two classes


def reference(xyxy: np.ndarray, cls: np.ndarray, iou: float, max_det: int, agnostic: bool) -> list[int]:
    """One pair at a time, best first."""
    shifted = xyxy + (0 if agnostic else cls[:, None] * np.float32(OFFSET))
    kept: list[int] = []
    with np.errstate(all="ignore"):
        for index in range(len(xyxy)):
            if all(not overlap(shifted[better], shifted[index]) > iou for better in kept):
                kept.append(index)
    return kept[:max_det]


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """IoU in float32; NaN where there is none."""
    zero = np.float32(0)
    width = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]), zero)
    height = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]), zero)
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def boxes_of(numbers: np.ndarray) -> np.ndarray:
    return np.concatenate([numbers[:, :2], numbers[:, :2] + np.abs(numbers[:, 2:])], axis=1).astype(np.float32)


# Few different numbers, so that equal boxes, shared edges and boxes without area are common.
coarse = hnp.arrays(np.float32, st.tuples(st.integers(0, 25), st.just(4)), elements=st.integers(0, 12).map(float))
fine = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 25), st.just(4)), elements=st.floats(0, 640, width=32, allow_subnormal=False)
)
wild = hnp.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(4)), elements=st.floats(width=32))
ious = st.sampled_from([0.0, 0.2, 0.45, 0.5, 0.6, 0.7, 1.0])


@given(st.one_of(coarse, fine).map(boxes_of), st.data(), ious, st.booleans(), st.sampled_from([1, 3, 300]))
def test_agrees_with_the_reference(
    xyxy: np.ndarray, data: st.DataObject, iou: float, agnostic: bool, max_det: int
) -> None:
    cls = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(xyxy), max_size=len(xyxy))), np.float32)
    kept = nms(xyxy, cls, iou=iou, max_det=max_det, agnostic=agnostic)
    assert kept.dtype == np.intp
    assert kept.tolist() == reference(xyxy, cls, iou, max_det, agnostic)


@given(wild, ious, st.booleans())
def test_any_numbers_at_all(xyxy: np.ndarray, iou: float, agnostic: bool) -> None:
    cls = np.zeros(len(xyxy), np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = nms(xyxy, cls, iou=iou, max_det=300, agnostic=agnostic)
    assert kept.tolist() == reference(xyxy, cls, iou, 300, agnostic)


def test_borderline_pairs_fall_as_in_torchvision() -> None:
    """An IoU of 3/5 is a float32 above 0.6, and 7/10 is one below 0.7: compared as float64, as torchvision does."""
    cls = np.zeros(2, np.float32)
    for part, iou, count in ((3, 0.6, 1), (7, 0.7, 2)):
        whole = 5 if part == 3 else 10
        xyxy = np.array([[0, 0, whole, 10], [0, 0, part, 10]], np.float32)
        assert len(nms(xyxy, cls, iou=iou, max_det=9, agnostic=True)) == count


def test_identical_boxes() -> None:
    xyxy = np.tile(np.array([[1, 2, 30, 40]], np.float32), (5, 1))
    cls = np.array([0, 0, 1, 1, 2], np.float32)
    assert nms(xyxy, cls, iou=0.7, max_det=9, agnostic=False).tolist() == [0, 2, 4]
    assert nms(xyxy, cls, iou=0.7, max_det=9, agnostic=True).tolist() == [0]
    assert nms(xyxy, cls, iou=1.0, max_det=9, agnostic=True).tolist() == [0, 1, 2, 3, 4]  # nothing is above 1


def test_touching_boxes_do_not_overlap() -> None:
    xyxy = np.array([[0, 0, 10, 10], [10, 0, 20, 10], [9, 0, 19, 10]], np.float32)
    assert nms(xyxy, np.zeros(3, np.float32), iou=0.0, max_det=9, agnostic=True).tolist() == [0, 1]


def test_boxes_without_area_are_kept() -> None:
    xyxy = np.array([[5, 5, 5, 5], [5, 5, 5, 5], [0, 0, 10, 10]], np.float32)
    assert nms(xyxy, np.zeros(3, np.float32), iou=0.0, max_det=9, agnostic=True).tolist() == [0, 1, 2]


def test_a_suppressed_box_suppresses_nothing() -> None:
    xyxy = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert nms(xyxy, np.zeros(3, np.float32), iou=0.45, max_det=9, agnostic=True).tolist() == [0, 1, 2]
    assert nms(xyxy, np.zeros(3, np.float32), iou=0.3, max_det=9, agnostic=True).tolist() == [0, 2]


def test_nothing() -> None:
    kept = nms(np.empty((0, 4), np.float32), np.empty(0, np.float32), iou=0.7, max_det=300, agnostic=False)
    assert kept.shape == (0,)


def test_max_det_keeps_the_best() -> None:
    xyxy = boxes_of(np.array([[20 * index, 0, 10, 10] for index in range(30)], np.float32))
    cls = np.zeros(30, np.float32)
    for max_det in (1, 7, 30, 300):
        kept = nms(xyxy, cls, iou=0.7, max_det=max_det, agnostic=False)
        assert kept.tolist() == list(range(min(max_det, 30)))


def many_boxes(count: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    corner = random.uniform(0, 600, (count, 2))
    return np.hstack([corner, corner + random.uniform(5, 80, (count, 2))]).astype(np.float32), random.integers(
        0, 80, count
    ).astype(np.float32)


def test_same_bits_in_every_thread() -> None:
    xyxy, cls = many_boxes(2000)
    expected = nms(xyxy, cls, iou=0.5, max_det=300, agnostic=False).tobytes()
    with shaken():
        found = barrier_run(8, lambda _: nms(xyxy, cls, iou=0.5, max_det=300, agnostic=False).tobytes())
    assert found == [expected] * 8


def test_input_is_never_modified() -> None:
    xyxy, cls = many_boxes(50)
    xyxy.flags.writeable = cls.flags.writeable = False
    nms(xyxy, cls, iou=0.5, max_det=300, agnostic=False)


def test_as_many_as_may_come() -> None:
    """In memory linear in the candidates: all pairs of them would take 3.6 GB."""
    xyxy, cls = many_boxes(MAX_CANDIDATES)
    assert len(nms(xyxy, cls, iou=0.7, max_det=100, agnostic=False)) == 100
