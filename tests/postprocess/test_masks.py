"""Masks: in their boxes and nowhere else, the same however much of them is computed at once."""

from __future__ import annotations

import tracemalloc
import warnings

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.images.letterbox import Letterbox, plan_letterbox
from yoloom.postprocess import prototypes as module
from yoloom.postprocess.prototypes import Enlargement, Taps, draw_masks, enlarge

PLACED = plan_letterbox((50, 90), (96, 160), 32)
INSIDE = np.array([[0, 0, 1000, 1000]], np.float32)

lengths = st.integers(1, 40)


def protos_of(*values: float, hw: tuple[int, int] = (24, 40)) -> np.ndarray:
    """One prototype for each value, that value everywhere."""
    return np.broadcast_to(np.array(values, np.float32)[:, None, None], (len(values), *hw)).copy()


def random_protos(seed: int, hw: tuple[int, int] = (24, 40)) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(0, 1, (6, *hw)).astype(np.float32), random.normal(0, 1, (9, 6)).astype(np.float32)


# ---- Enlargement


def test_enlarged_by_four() -> None:
    """Observed from PyTorch: interpolate([[0, 8, 4]], scale_factor=4, mode="bilinear")."""
    taps = Taps.between(3, 12)
    found = enlarge(np.array([[0, 8, 4]], np.float32), Taps.between(1, 1), taps)
    assert found.tolist() == [[0, 0, 1, 3, 5, 7, 7.5, 6.5, 5.5, 4.5, 4, 4]]


@given(st.tuples(lengths, lengths), st.tuples(lengths, lengths), st.integers(0, 99))
def test_enlarged_like_opencv(given_hw: tuple[int, int], wanted_hw: tuple[int, int], seed: int) -> None:
    plane = np.random.default_rng(seed).normal(0, 1, given_hw).astype(np.float32)
    found = enlarge(plane, Taps.between(given_hw[0], wanted_hw[0]), Taps.between(given_hw[1], wanted_hw[1]))
    expected = cv2.resize(plane, wanted_hw[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@given(st.tuples(lengths, lengths), st.tuples(lengths, lengths), st.data())
def test_a_window_has_the_bits_of_the_whole(
    given_hw: tuple[int, int], wanted_hw: tuple[int, int], data: st.DataObject
) -> None:
    plane = np.random.default_rng(0).normal(0, 1, given_hw).astype(np.float32)
    rows, columns = (Taps.between(*pair) for pair in zip(given_hw, wanted_hw, strict=True))
    cuts = [sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True))) for n in wanted_hw]
    (top, bottom), (left, right) = cuts
    parts = rows.part(top, bottom), columns.part(left, right)
    (first, last), (west, east) = (part.span for part in parts)
    cut = enlarge(plane[first:last, west:east], parts[0].after(first), parts[1].after(west))
    assert cut.tobytes() == enlarge(plane, rows, columns)[top:bottom, left:right].tobytes()


# ---- Boxes


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((3, 2, 6, 5), (2, 5), (3, 6)),
        ((3.25, 2.5, 6.25, 5.5), (3, 6), (4, 7)),  # x1 <= column < x2
        ((2.99, 1.99, 6.01, 5.01), (2, 6), (3, 7)),
        ((-50, -3, 4, 2), (0, 2), (0, 4)),
        ((150, 60, 500, 1e30), (60, 64), (150, 160)),
        ((-np.inf, 60, np.inf, np.inf), (60, 64), (0, 160)),
    ],
)
def test_pixels_of_a_box(
    box: tuple[float, float, float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    placed = plan_letterbox((64, 160), (160, 160), 32)
    expected = np.zeros((64, 160), np.uint8)
    expected[slice(*rows), slice(*columns)] = 1
    masks, found = draw_masks(
        protos_of(1, hw=(16, 40)),
        np.ones((1, 1), np.float32),
        np.array([box], np.float32),
        Enlargement.to_canvas((16, 40), placed),
    )
    assert found.tolist() == [0]
    assert np.array_equal(masks[0], expected)


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 9), (9, 9, 5, 5), (5.1, 5.1, 5.9, 5.9), (200, 5, 300, 9), (-9, -9, -1, -1), (np.nan, 0, 99, 99)]
)
def test_a_box_without_pixels_has_no_mask(box: tuple[float, float, float, float]) -> None:
    boxes = np.array([box, *INSIDE], np.float32)
    masks, found = draw_masks(protos_of(1), np.ones((2, 1), np.float32), boxes, Enlargement.to_canvas((24, 40), PLACED))
    assert found.tolist() == [1]
    assert masks.shape == (1, 96, 160)


def test_a_logit_of_zero_is_outside() -> None:
    coefficients = np.array([[0.0], [-1.0], [1e-30]], np.float32)
    boxes = np.repeat(INSIDE, 3, axis=0)
    masks, found = draw_masks(protos_of(1), coefficients, boxes, Enlargement.to_canvas((24, 40), PLACED))
    assert found.tolist() == [2]
    assert masks.all()


# ---- Source size


def test_source_size_leaves_the_letterbox_out() -> None:
    """The prototype is positive on the letterbox's content only: 160 x 89 of 160 x 96, from row 3 on."""
    assert (PLACED.content_hw, PLACED.top) == ((89, 160), 3)
    protos = protos_of(-1)
    protos[:, 2:22] = 1
    masks, _ = draw_masks(protos, np.ones((1, 1), np.float32), INSIDE, Enlargement.to_source((24, 40), PLACED))
    assert masks.shape == (1, 50, 90)
    rows = masks[0].all(axis=1)
    # Enlarged by 4 it is positive from row 8 to 88: (8 - 3) * 50 / 89 = 2.8 to (88 - 3) * 50 / 89 = 47.8
    assert np.flatnonzero(rows).tolist() == list(range(3, 48))
    assert np.array_equal(masks[0].any(axis=1), rows)


@pytest.mark.parametrize(
    ("source_hw", "factor"), [((80, 160), 1), ((88, 160), 1), ((92, 160), 2), ((94, 160), 4), ((91, 160), 4)]
)
def test_enlarged_no_more_than_needed(source_hw: tuple[int, int], factor: int) -> None:
    """The content fills the canvas from side to side, so the plane's columns are as many as the crop's."""
    letterbox = Letterbox(source_hw, (96, 160), source_hw, 0, 0)
    _, (_, columns) = Enlargement.to_source((24, 40), letterbox).steps
    assert len(columns) == 40 * factor


# ---- Bounds


@pytest.mark.parametrize("way", [Enlargement.to_canvas, Enlargement.to_source])
@pytest.mark.parametrize("band", [1, 1000, 1 << 30])
def test_same_bits_in_bands_of_any_size(monkeypatch: pytest.MonkeyPatch, way: type, band: int) -> None:
    protos, coefficients = random_protos(0)
    corner = np.random.default_rng(1).uniform(-5, 40, (9, 2))
    boxes = np.hstack([corner, corner + 30]).astype(np.float32)
    expected, found = draw_masks(protos, coefficients, boxes, way((24, 40), PLACED))
    assert 0 < expected.mean() < 0.5
    monkeypatch.setattr(module, "_BAND", band)
    again, found_again = draw_masks(protos, coefficients, boxes, way((24, 40), PLACED))
    assert again.tobytes() == expected.tobytes()
    assert found_again.tolist() == found.tolist()


def test_a_smaller_box_only_cuts() -> None:
    protos, coefficients = random_protos(2)
    for way, hw in ((Enlargement.to_canvas, (96, 160)), (Enlargement.to_source, (50, 90))):
        whole, _ = draw_masks(protos, coefficients[:1], INSIDE, way((24, 40), PLACED))
        part, _ = draw_masks(
            protos, coefficients[:1], np.array([[7, 9, 61.5, 40.2]], np.float32), way((24, 40), PLACED)
        )
        inside = np.zeros(hw, np.uint8)
        inside[9:41, 7:62] = 1
        assert part[0].any()
        assert np.array_equal(part[0], whole[0] * inside)


def test_memory_is_that_of_the_masks() -> None:
    """300 masks of 320 x 320 in float32 would be 123 MB."""
    protos, _ = random_protos(3, (80, 80))
    coefficients = np.random.default_rng(3).normal(0, 1, (300, 6)).astype(np.float32)
    boxes = np.tile(np.array([[0, 0, 320, 320]], np.float32), (300, 1))
    placed = plan_letterbox((320, 320), (320, 320), 32)
    tracemalloc.start()
    masks, found = draw_masks(protos, coefficients, boxes, Enlargement.to_canvas((80, 80), placed))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 300
    assert peak < masks.nbytes + (8 << 20)


@given(hnp.arrays(np.float32, (2, 7), elements=st.floats(width=32)), st.booleans())
def test_any_numbers_at_all(numbers: np.ndarray, retina: bool) -> None:
    way = Enlargement.to_source if retina else Enlargement.to_canvas
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks, found = draw_masks(random_protos(4)[0][:3], numbers[:, 4:], numbers[:, :4], way((24, 40), PLACED))
    assert len(masks) == len(found)
    assert masks.max(initial=0) <= 1
    assert masks.any(axis=(1, 2)).all()
