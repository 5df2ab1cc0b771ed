"""Plots of every task show what was found, where it was found, and nothing that was left out."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import cv2
import numpy as np
import pytest

from yoloom import Results
from yoloom.errors import BackendUnavailable, InvalidOption
from yoloom.results.drawing.box_drawing import OPACITY, SHIFT, subpixels
from yoloom.results.drawing.style import Color, palette_color

NAMES = {0: "person", 1: "bus", 2: "car"}
GRAY = 90
SHAPE = (120, 160)
BOXES = [[20, 30, 70, 100, 0.9, 0], [90, 40, 140, 90, 0.8, 1]]


def make(shape: tuple[int, int] = SHAPE, **members: Any) -> Results:
    return Results(np.full((*shape, 3), GRAY, np.uint8), "a.jpg", NAMES, **members)


def mask(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    values = np.zeros(SHAPE, np.uint8)
    values[top:bottom, left:right] = 1
    return values


def segment() -> Results:
    return make(boxes=BOXES, masks=[mask(30, 40, 60, 90), mask(95, 45, 135, 85)])


def person(visible: float = 1.0) -> np.ndarray:
    """17 points, far from each other, in two columns: left in the picture's right half."""
    points = [(80, 10), *((120 - 80 * (i % 2), 10 + 12 * (i // 2)) for i in range(2, 18))]
    return np.array([[*point, visible] for point in points], np.float32)


def pose() -> Results:
    return make(keypoints=[person()])


def obb() -> Results:
    return make(obb=[[80, 60, 60, 30, 0.5, 0.9, 0], [30, 30, 20, 10, 2.2, 0.8, 1]])


def classify() -> Results:
    return make(probs=[0.2, 0.7, 0.1])


TASKS = [segment, pose, obb, classify]


def painted(picture: np.ndarray) -> np.ndarray:
    return np.asarray((picture != GRAY).any(axis=2))


def extent(found: np.ndarray) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(found)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def shows(picture: np.ndarray, color: Color) -> bool:
    """Nearly: a smooth line of one pixel is a little lighter than its colour."""
    return bool((np.abs(picture.astype(int) - color) < 12).all(axis=2).any())


@pytest.mark.parametrize("make_task", TASKS)
def test_the_picture_given_is_not_changed(make_task: Callable[[], Results]) -> None:
    results = make_task()
    plot = results.plot()
    assert (plot.shape, plot.dtype, plot.flags.writeable) == ((*SHAPE, 3), np.uint8, True)
    assert (results.orig_img == GRAY).all()
    assert painted(plot).any()
    assert np.array_equal(plot, make_task().plot())


# --- masks ----------------------------------------------------------------------------------------------------------


def test_a_mask_tints_what_it_covers() -> None:
    plot = segment().plot(boxes=False)
    tint = np.array(palette_color(0)) * OPACITY + GRAY * (1 - OPACITY)
    assert plot[60, 45].tolist() == pytest.approx(tint.tolist(), abs=1)
    assert shows(plot[40:41, 45:46], palette_color(0))  # the edge
    left, top, right, bottom = extent(painted(plot[:, :80]))
    assert (left, top, right, bottom) == pytest.approx((30, 40, 59, 89), abs=1)


def test_masks_can_be_left_out() -> None:
    results = segment()
    assert np.array_equal(results.plot(masks=False), results.replace(masks=None).plot())
    assert np.array_equal(results.plot(masks=False, boxes=False), results.orig_img)


def test_masks_are_coloured_like_their_boxes() -> None:
    same_class = segment().replace(boxes=[[*row[:5], 1] for row in BOXES])
    by_class, by_instance = (same_class.plot(boxes=False, color_mode=mode) for mode in ("class", "instance"))
    assert by_class[60, 45].tolist() == by_class[60, 115].tolist()
    assert by_instance[60, 45].tolist() != by_instance[60, 115].tolist()
    assert shows(by_instance, palette_color(0))


def test_a_letterboxed_mask_lies_where_its_object_is() -> None:
    canvas = np.zeros((128, 128), np.uint8)  # of a picture of 120 x 160: 96 rows from 16 on
    canvas[16:64, 64:] = 1
    plot = make(boxes=BOXES[:1], masks=[canvas]).plot(boxes=False)
    assert extent(painted(plot)) == pytest.approx((80, 0, 159, 59), abs=1)


def test_a_hole_stays_a_hole() -> None:
    ring = mask(30, 40, 90, 90)
    ring[55:75, 50:70] = 0
    plot = make(boxes=BOXES[:1], masks=[ring]).plot(boxes=False)
    assert not painted(plot)[58:72, 53:67].any()


def test_the_first_mask_lies_on_top() -> None:
    plot = make(boxes=BOXES, masks=[mask(30, 40, 90, 90)] * 2).plot(boxes=False)
    assert shows(plot, palette_color(0))
    assert not shows(plot, palette_color(1))


@pytest.mark.parametrize("canvas", [(32, 32), (1, 1), (64, 32), (0, 0), (5, 0)])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 4), (4, 1), (4, 2), (64, 70)])
def test_masks_of_any_size(shape: tuple[int, int], canvas: tuple[int, int]) -> None:
    box = [[0, 0, shape[1], shape[0], 0.9, 0]]
    full, empty = (make(shape, boxes=box, masks=np.full((1, *canvas), value)) for value in (1, 0))
    assert painted(full.plot(boxes=False)).all() == (0 not in canvas)
    assert not painted(empty.plot(boxes=False)).any()


def test_a_plot_on_a_smaller_picture_is_cut() -> None:
    other = np.full((50, 40, 3), GRAY, np.uint8)
    assert painted(segment().plot(img=other)).any()
    assert not painted(make(boxes=BOXES[1:], masks=[mask(95, 60, 135, 85)]).plot(img=other, boxes=False)).any()


# --- keypoints ------------------------------------------------------------------------------------------------------


def test_every_point_is_drawn_in_the_colour_of_its_side() -> None:
    plot = pose().plot(kpt_line=False)
    colors = {tuple(plot[int(y), int(x)].tolist()) for x, y, _ in person()[1::2]}
    others = {tuple(plot[int(y), int(x)].tolist()) for x, y, _ in person()[2::2]}
    assert len(colors) == len(others) == 1
    assert colors != others


def test_limbs_join_the_points_of_a_person() -> None:
    results = pose()
    points, limbs = (painted(results.plot(kpt_line=line)) for line in (False, True))
    assert limbs.sum() > 1.3 * points.sum()
    shoulders, middle = person()[5:7, :2], (80, int(person()[5, 1]))
    assert shoulders[0][1] == shoulders[1][1]
    assert limbs[middle[1], middle[0]]
    assert not points[middle[1], middle[0]]


def test_other_keypoints_are_points_only() -> None:
    results = make(keypoints=[person()[:16]])
    assert np.array_equal(results.plot(), results.plot(kpt_line=False))


@pytest.mark.parametrize(("visible", "drawn"), [(0.0, False), (0.24, False), (0.25, True), (1.0, True)])
def test_only_visible_points_are_drawn(visible: float, drawn: bool) -> None:
    """As Ultralytics: from 0.25 on."""
    assert painted(make(keypoints=[person(visible)]).plot()).any() == drawn


def test_a_limb_needs_both_its_points() -> None:
    one = person(0)
    one[5, 2] = 1
    hidden = make(keypoints=[one])
    assert np.array_equal(hidden.plot(), hidden.plot(kpt_line=False))
    one[6, 2] = 1
    assert not np.array_equal(make(keypoints=[one]).plot(), make(keypoints=[one]).plot(kpt_line=False))


def test_points_without_visibility_are_drawn_unless_there_are_none() -> None:
    points = np.array([[[0, 0], [50, 60]]], np.float32)
    found = painted(make(keypoints=points).plot())
    assert found[60, 50]
    assert not found[:20, :20].any()


@pytest.mark.parametrize("radius", [1, 4, 9])
def test_the_radius_is_that_of_the_points(radius: int) -> None:
    plot = make(keypoints=[[[80, 60, 1]]]).plot(kpt_radius=radius)
    left, _, right, _ = extent((plot == palette_color(0)).all(axis=2))
    assert right - left == pytest.approx(2 * radius, abs=1)


def test_a_radius_that_is_no_number() -> None:
    for wrong in (float("nan"), "5", True):
        with pytest.raises(InvalidOption, match="kpt_radius"):
            pose().plot(kpt_radius=wrong)


def test_poses_come_with_boxes_or_without() -> None:
    results = make(boxes=BOXES[:1], keypoints=[person()])
    assert np.array_equal(results.plot(boxes=False), pose().plot())
    assert painted(results.plot()).sum() > painted(pose().plot()).sum()


# --- oriented boxes -------------------------------------------------------------------------------------------------


def test_the_line_runs_along_the_oriented_box() -> None:
    results = make(obb=[[80, 60, 60, 30, 0.5, 0.9, 0]])
    found = painted(results.plot(labels=False))
    corners = np.asarray(results.obb.xyxyxyxy[0])
    for one, other in zip(corners, np.roll(corners, 1, axis=0), strict=True):
        for part in (0.0, 0.25, 0.5):
            x, y = np.rint(one + part * (other - one)).astype(int)
            assert found[y, x]
    assert not found[60, 80]
    assert extent(found) == pytest.approx(results.obb.xyxy[0].tolist(), abs=1.5)


def test_oriented_boxes_have_labels_and_colours() -> None:
    results = obb()
    plain, bare, none = results.plot(), results.plot(labels=False), results.plot(boxes=False)
    assert painted(plain).sum() > painted(bare).sum() > painted(none).sum() == 0
    assert shows(plain, palette_color(0))
    assert shows(plain, palette_color(1))
    assert not np.array_equal(plain, results.plot(conf=False))


def test_the_label_of_an_oriented_box_is_at_its_highest_corner() -> None:
    results = make(obb=[[80, 80, 60, 30, 0.5, 0.9, 0]])
    only_label = (results.plot() != results.plot(labels=False)).any(axis=2)
    highest = results.obb.xyxyxyxy[0][results.obb.xyxyxyxy[0][:, 1].argmin()]
    left, _, _, bottom = extent(only_label)
    assert (left, bottom) == pytest.approx(highest.tolist(), abs=2)


@pytest.mark.parametrize("row", [[80, 60, 1e9, 1e9, 0.3, 0.9, 0], [np.nan] * 5 + [0.9, 0], [5000, 60, 9, 9, 0, 0.9, 0]])
def test_boxes_that_are_nowhere_near(row: list[float]) -> None:
    assert make(obb=[row]).plot().shape == (*SHAPE, 3)


# --- classes --------------------------------------------------------------------------------------------------------


def test_the_most_probable_classes_are_listed() -> None:
    plot = classify().plot()
    rows = [int(np.nonzero((plot == palette_color(cls)).all(axis=2))[0].min()) for cls in (1, 0, 2)]
    assert rows == sorted(rows)
    assert not painted(plot)[70:].any()


def test_the_list_can_be_left_out() -> None:
    results = classify()
    assert np.array_equal(results.plot(probs=False), results.orig_img)
    assert painted(results.plot(conf=False)).sum() < painted(results.plot()).sum()
    assert not np.array_equal(results.plot(txt_color=(1, 2, 3)), results.plot())
    assert not np.array_equal(results.plot(font_size=8), results.plot())


@pytest.mark.parametrize("shape", [(1, 1), (8, 300), (300, 8)])
def test_a_list_larger_than_the_picture_is_cut(shape: tuple[int, int]) -> None:
    assert make(shape, probs=[0.2, 0.7, 0.1]).plot().shape == (*shape, 3)


# --- all ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_task", TASKS)
def test_threads_draw_the_same(make_task: Callable[[], Results]) -> None:
    results = make_task()
    expected = results.plot().tobytes()
    barrier = Barrier(4)

    def draw(_: int) -> bytes:
        barrier.wait(timeout=10)
        return results.plot().tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw, range(4))) == [expected] * 4


@pytest.mark.parametrize("make_task", TASKS)
def test_a_wrong_option_is_refused_by_every_task(make_task: Callable[[], Results]) -> None:
    wrong: list[dict[str, Any]] = [{"color_mode": "rainbow"}, {"line_width": "a"}, {"txt_color": "red"}]
    for options in wrong:
        with pytest.raises(InvalidOption):
            make_task().plot(**options)


def test_nothing_to_plot_is_a_copy() -> None:
    results = make()
    assert np.array_equal(results.plot(), results.orig_img)
    assert not np.shares_memory(results.plot(), results.orig_img)


def test_points_between_pixels() -> None:
    assert subpixels([[1.5, 2.03]], SHAPE).tolist() == [[24, 32]]
    far = subpixels([[np.nan, np.inf], [-np.inf, 1e30]], SHAPE)
    assert np.abs(far).min() >= max(SHAPE) << SHIFT
    assert far.dtype == np.int32


# ---- OpenCV 4, which another package may have put over ours


@pytest.mark.parametrize("made", [lambda: make(boxes=BOXES), segment, lambda: make(probs=np.array([0.2, 0.7, 0.1]))])
def test_labels_without_fonts_say_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, made: Callable[[], Results]
) -> None:
    # Before, they ended in an AttributeError.
    monkeypatch.delattr(cv2, "FontFace")
    result = made()
    with pytest.raises(BackendUnavailable, match=r"OpenCV 5.*pip install --force-reinstall.*labels=False"):
        result.plot()
    with pytest.raises(BackendUnavailable, match="labels are written by OpenCV 5"):
        result.save(tmp_path / "a.jpg")
    assert result.plot(labels=False, probs=False).shape == (*SHAPE, 3)
