"""The outline of a mask is one polygon, point for point that of Ultralytics 8.4.190, which the numbers are from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.results import outline as module
from yoloom.results.outline import outline

Rectangle = tuple[int, int, int, int]  # left, top, width, height


def mask_of(*rectangles: Rectangle, shape: tuple[int, int] = (16, 16)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for left, top, width, height in rectangles:
        mask[top : top + height, left : left + width] = 1
    return mask


def test_one_piece_is_its_contour() -> None:
    polygon = outline(mask_of((1, 2, 3, 4)))
    assert polygon.dtype == np.float32
    assert polygon.tolist() == [[1, 2], [1, 5], [3, 5], [3, 2]]


def test_nothing_has_no_points() -> None:
    polygon = outline(mask_of())
    assert (polygon.shape, polygon.dtype) == ((0, 2), np.float32)


def test_holes_are_not_followed() -> None:
    ring = mask_of((1, 1, 9, 9))
    ring[4:6, 4:6] = 0
    assert np.array_equal(outline(ring), outline(mask_of((1, 1, 9, 9))))


def test_two_pieces() -> None:
    first = [[8, 1], [8, 3], [10, 3], [10, 1], [8, 1]]
    second = [[3, 1], [1, 1], [1, 3], [3, 3], [3, 1]]
    assert outline(mask_of((1, 1, 3, 3), (8, 1, 3, 3))).tolist() == first + second


THREE = [
    ((1, 1, 3, 3), (8, 3, 3, 3), (2, 9, 3, 3)),
    ((10, 1, 3, 3), (3, 5, 3, 3), (11, 10, 3, 3)),
    ((10, 6, 3, 3), (4, 5, 3, 5), (0, 0, 2, 2)),  # the way through the second piece runs against its contour
]
WALKS = [
    "4,9 2,9 2,11 4,11 4,9 8,5 8,3 3,3 3,1 1,1 1,3 3,3 8,3 10,3 10,5 8,5",
    "11,10 11,12 13,12 13,10 11,10 5,7 5,5 10,3 12,3 12,1 10,1 10,3 5,5 3,5 3,7 5,7",
    "10,6 10,8 12,8 12,6 10,6 6,5 6,9 4,9 4,5 1,1 1,0 0,0 0,1 1,1 4,5 6,5",
]


@pytest.mark.parametrize(("rectangles", "walk"), list(zip(THREE, WALKS, strict=True)))
def test_three_pieces_are_walked_there_and_back(rectangles: tuple[Rectangle, ...], walk: str) -> None:
    assert " ".join(f"{x:.0f},{y:.0f}" for x, y in outline(mask_of(*rectangles))) == walk


def test_four_pieces_with_one_of_a_single_pixel() -> None:
    walk = "12,12 12,12 4,11 4,9 7,5 7,3 3,3 3,1 1,1 1,3 3,3 7,3 9,3 9,5 7,5 4,9 2,9 2,11 4,11"
    polygon = outline(mask_of((1, 1, 3, 3), (7, 3, 3, 3), (2, 9, 3, 3), (12, 12, 1, 1)))
    assert " ".join(f"{x:.0f},{y:.0f}" for x, y in polygon) == walk


@given(hnp.arrays(np.uint8, (12, 14), elements=st.integers(0, 1)))
def test_the_polygon_stays_on_the_mask_and_reaches_all_of_it(mask: np.ndarray) -> None:
    points = outline(mask).astype(int)
    ys, xs = np.nonzero(mask)
    assert all(mask[y, x] for x, y in points)
    assert len(points) > 0 or len(xs) == 0
    if len(xs):
        assert points.min(axis=0).tolist() == [xs.min(), ys.min()]
        assert points.max(axis=0).tolist() == [xs.max(), ys.max()]


def test_distances_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    masks = [(rng.random((30, 30)) < 0.3).astype(np.uint8) for _ in range(5)]
    whole = [outline(mask) for mask in masks]
    monkeypatch.setattr(module, "MAX_DISTANCES", 3)
    assert all(np.array_equal(outline(mask), polygon) for mask, polygon in zip(masks, whole, strict=True))
