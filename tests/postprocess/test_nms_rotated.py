"""NMS of oriented boxes: block by block as by the matrix of all pairs, and overlaps against numbers of Ultralytics."""

from __future__ import annotations

import math
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.postprocess import nms as module
from yoloom.postprocess.nms import MAX_CANDIDATES, nms_rotated
from yoloom.testing import barrier_run, shaken

BASE = (100, 100, 40, 20, 0.3)
# Observed from Ultralytics 8.4.190 (batch_probiou): the overlap of BASE with another box.
OBSERVED: list[tuple[tuple[float, ...], float]] = [
    ((100, 100, 40, 20, 0.3), 0.99953),
    ((105, 102, 40, 20, 0.3), 0.83467),
    ((100, 100, 20, 40, 0.3), 0.55279),
    ((100, 100, 40, 20, 1.2), 0.62880),
    ((110, 95, 60, 15, -0.5), 0.43008),
    ((130, 100, 40, 20, 0.3), 0.19055),
    ((100, 100, 200, 100, 0.0), 0.21465),
    ((100.5, 99.5, 39, 21, 2.0), 0.57483),
    ((100, 140, 40, 20, 0.3), 0.00184),
]


def textbook(one: np.ndarray, other: np.ndarray) -> float:
    """ProbIoU of two boxes in float64, from covariance matrices."""

    def gaussian(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cos, sin = math.cos(box[4]), math.sin(box[4])
        turn = np.array([[cos, -sin], [sin, cos]])
        return box[:2].astype(float), turn @ np.diag(box[2:4].astype(float) ** 2 / 12) @ turn.T

    (mean1, cov1), (mean2, cov2) = gaussian(one), gaussian(other)
    middle, apart = (cov1 + cov2) / 2, mean1 - mean2
    distance = apart @ np.linalg.inv(middle) @ apart / 8
    distance += math.log(np.linalg.det(middle) / math.sqrt(np.linalg.det(cov1) * np.linalg.det(cov2))) / 2
    return 1 - math.sqrt(1 - math.exp(-max(distance, 0)))


def matrix_rule(xywhr: np.ndarray, cls: np.ndarray, iou: float, max_det: int, agnostic: bool) -> list[int]:
    """All pairs at once, from the same overlaps."""
    with np.errstate(all="ignore"):
        shift = np.float32(0) if agnostic else cls * np.float32(7680)
        boxes = module._gaussians(xywhr, shift)
        overlaps = module._probiou(boxes[:, :, None], boxes[:, None, :]) > np.float32(iou)
    return np.flatnonzero(~np.triu(overlaps, 1).any(axis=0))[:max_det].tolist()


def crowd(seed: int, count: int, side: float = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    low, high = [0, 0, 4, 4, -math.pi / 4], [side, side, 90, 40, 3 * math.pi / 4]
    return random.uniform(low, high, (count, 5)).astype(np.float32), random.integers(0, 3, count).astype(np.float32)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)
    monkeypatch.setattr(module, "_CHUNK", 5)


def alone(box: tuple[float, ...]) -> np.ndarray:
    return np.array([BASE, box], np.float32)


@pytest.mark.parametrize(("box", "overlap"), OBSERVED)
def test_overlap_agrees_with_ultralytics(box: tuple[float, ...], overlap: float) -> None:
    """The second box goes at a limit just below its overlap with the first, and stays just above."""
    cls = np.zeros(2, np.float32)
    for limit, count in ((overlap - 2e-4, 1), (overlap + 2e-4, 2)):
        if 0 <= limit <= 1:
            assert len(nms_rotated(alone(box), cls, iou=limit, max_det=9, agnostic=True)) == count


@given(st.integers(0, 1000))
def test_overlap_is_the_textbook_formula(seed: int) -> None:
    boxes, _ = crowd(seed, 2, side=60)
    gaussians = module._gaussians(boxes, np.float32(0))
    found = module._probiou(gaussians[:, :1], gaussians[:, 1:])
    assert found.dtype == np.float32
    assert found[0] == pytest.approx(textbook(boxes[0], boxes[1]), abs=2e-3)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 40, 200])
@pytest.mark.parametrize("max_det", [1, 9, 300])
@pytest.mark.parametrize("agnostic", [False, True])
def test_blocks_find_what_the_matrix_finds(small_blocks: None, count: int, max_det: int, agnostic: bool) -> None:
    for seed, iou in ((1, 0.05), (2, 0.3), (3, 0.7)):
        xywhr, cls = crowd(seed, count)
        kept = nms_rotated(xywhr, cls, iou=iou, max_det=max_det, agnostic=agnostic)
        assert kept.dtype == np.intp
        assert kept.tolist() == matrix_rule(xywhr, cls, iou, max_det, agnostic)


def test_real_blocks_find_what_the_matrix_finds() -> None:
    xywhr, cls = crowd(4, 1500, side=600)
    kept = nms_rotated(xywhr, cls, iou=0.2, max_det=1000, agnostic=False)
    assert module._BLOCK < len(kept) < 1000
    assert kept.tolist() == matrix_rule(xywhr, cls, 0.2, 1000, False)


wild = hnp.arrays(np.float32, st.tuples(st.integers(0, 12), st.just(5)), elements=st.floats(width=32))


@given(wild, st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_any_numbers_at_all(xywhr: np.ndarray, iou: float, agnostic: bool) -> None:
    cls = np.arange(len(xywhr)).astype(np.float32) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = nms_rotated(xywhr, cls, iou=iou, max_det=300, agnostic=agnostic)
    assert kept.tolist() == matrix_rule(xywhr, cls, iou, 300, agnostic)


def test_a_suppressed_box_suppresses_too() -> None:
    """Unlike greedy NMS: the third overlaps only the second, which is gone."""
    row = np.array([[x, 50, 40, 40, 0] for x in (50, 70, 90)], np.float32)
    cls = np.zeros(3, np.float32)
    assert nms_rotated(row[[0, 2]], cls[:2], iou=0.4, max_det=9, agnostic=True).tolist() == [0, 1]
    assert nms_rotated(row, cls, iou=0.4, max_det=9, agnostic=True).tolist() == [0]


def test_classes_do_not_meet() -> None:
    xywhr = np.tile(np.array([BASE], np.float32), (4, 1))
    cls = np.array([0, 1, 0, 2], np.float32)
    assert nms_rotated(xywhr, cls, iou=0.7, max_det=9, agnostic=False).tolist() == [0, 1, 3]
    assert nms_rotated(xywhr, cls, iou=0.7, max_det=9, agnostic=True).tolist() == [0]


def test_a_turn_by_half_a_circle_is_the_same_box() -> None:
    xywhr = np.array([BASE, (*BASE[:4], BASE[4] + math.pi), (*BASE[:4], BASE[4] + math.pi / 2)], np.float32)
    assert nms_rotated(xywhr, np.zeros(3, np.float32), iou=0.7, max_det=9, agnostic=True).tolist() == [0, 2]


def test_same_bits_in_every_thread_and_input_is_left_alone() -> None:
    xywhr, cls = crowd(5, 700, side=900)
    xywhr.flags.writeable = cls.flags.writeable = False
    expected = nms_rotated(xywhr, cls, iou=0.3, max_det=300, agnostic=False).tobytes()
    with shaken():
        found = barrier_run(4, lambda _: nms_rotated(xywhr, cls, iou=0.3, max_det=300, agnostic=False).tobytes())
    assert found == [expected] * 4


def test_as_many_as_may_come_in_linear_memory() -> None:
    """All pairs of them would take 3.6 GB. Crowded so that most are suppressed, and nothing stops it early."""
    xywhr, cls = crowd(6, MAX_CANDIDATES, side=200)
    tracemalloc.start()
    kept = nms_rotated(xywhr, cls, iou=0.3, max_det=300, agnostic=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 1 < len(kept) < 300
    assert peak < 64 << 20
