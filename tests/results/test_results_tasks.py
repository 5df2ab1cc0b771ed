"""Results of every task: what is there, in words, in tables and in files.

Texts and numbers marked "as Ultralytics" were read off Ultralytics 8.4.190 for the same values.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yoloom import Results
from yoloom.errors import InputError

NAMES = {0: "person", 1: "fire hydrant", 2: "car", 3: "dog", 4: "cat", 5: "bus", 6: "x"}
SHAPE = (1080, 810)
BOXES = [[100, 100, 300, 400, 0.9, 0], [400, 200, 700, 800, 0.8, 5]]
OBB = [[200, 300, 100, 50, 0.5, 0.9, 0], [400, 400, 300, 80, 2.2, 0.8, 5]]
PROBS = [0.1, 0.5, 0.05, 0.2, 0.06, 0.04, 0.05]
POINTS = np.array(
    [
        [[515.93896, 567.38269, 0.36511], [218.52724, 335.06122, 0.1055]],
        [[438.58359, 258.51901, 0.73448], [242.76663, 946.60297, 0.71114]],
    ],
    np.float32,
)


def mask(*rectangles: tuple[int, int, int, int]) -> np.ndarray:
    """A letterboxed mask of left, top, right, bottom."""
    values = np.zeros((640, 480), np.uint8)
    for left, top, right, bottom in rectangles:
        values[top:bottom, left:right] = 1
    return values


MASKS = [mask((60, 50, 120, 100)), mask((200, 300, 300, 400), (10, 10, 20, 20))]


def make(**members: Any) -> Results:
    return Results(np.full((*SHAPE, 3), 90, np.uint8), "photos/bus.jpg", NAMES, **members)


def detect() -> Results:
    return make(boxes=BOXES)


def segment() -> Results:
    return make(boxes=BOXES, masks=MASKS)


def pose() -> Results:
    return make(boxes=BOXES, keypoints=POINTS)


def obb() -> Results:
    return make(obb=OBB)


def classify() -> Results:
    return make(probs=PROBS)


TASKS = [detect, segment, pose, obb, classify]
ROWED = [detect, segment, pose, obb]
MEMBERS = ("boxes", "masks", "probs", "keypoints", "obb")


def lengths(results: Results) -> dict[str, int]:
    return {name: len(getattr(results, name)) for name in MEMBERS if getattr(results, name) is not None}


# --- members --------------------------------------------------------------------------------------------------------


def test_each_task_has_its_members() -> None:
    assert [list(lengths(make_task())) for make_task in TASKS] == [
        ["boxes"],
        ["boxes", "masks"],
        ["boxes", "keypoints"],
        ["obb"],
        ["probs"],
    ]


def test_length_as_ultralytics() -> None:
    assert [len(make_task()) for make_task in TASKS] == [2, 2, 2, 2, 7]
    assert (len(make(masks=MASKS)), len(make(keypoints=POINTS)), len(make())) == (2, 2, 0)


def test_the_order_of_the_constructor_is_ultralytics_own() -> None:
    image = np.zeros((*SHAPE, 3), np.uint8)
    results = Results(image, "a", NAMES, BOXES, MASKS, None, POINTS, OBB)
    assert lengths(results) == {"boxes": 2, "masks": 2, "keypoints": 2, "obb": 2}
    assert len(Results(image, "a", NAMES, None, None, PROBS).probs) == 7


@pytest.mark.parametrize("make_task", ROWED)
def test_indexing_chooses_from_every_member(make_task: Callable[[], Results]) -> None:
    results = make_task()
    for index in (1, -1, [1], slice(1, 2), np.array([False, True]), results.detections.conf < 0.85):
        chosen = results[index]
        assert set(lengths(chosen).values()) == {1}
        assert list(lengths(chosen)) == list(lengths(results))
        assert chosen.class_names == ["bus"]
        for name in lengths(results):
            assert np.array_equal(getattr(chosen, name).data[0], getattr(results, name).data[1])
    assert [one.class_names for one in results] == [["person"], ["bus"]]
    assert len(results[[]]) == 0


def test_there_is_nothing_to_choose_in_a_classification() -> None:
    with pytest.raises(InputError, match=r"results\.probs"):
        classify()[0]


def test_members_with_different_numbers_of_detections_are_refused() -> None:
    with pytest.raises(InputError, match="boxes of 2, masks of 1"):
        make(boxes=BOXES, masks=MASKS[:1])
    with pytest.raises(InputError, match="boxes of 1, keypoints of 2"):
        pose().replace(boxes=BOXES[:1])


def test_replace_keeps_the_other_members() -> None:
    results = segment()
    assert results.replace(boxes=BOXES[::-1]).masks is results.masks
    assert results.replace(masks=None).masks is None
    both = results.replace(boxes=results.boxes[:1], masks=results.masks[:1], keypoints=POINTS[:1])
    assert lengths(both) == {"boxes": 1, "masks": 1, "keypoints": 1}
    assert classify().replace(probs=[0.2, 0.8]).probs.top1 == 1
    assert len(obb().replace(obb=OBB[:1])) == 1


def test_new_has_no_members() -> None:
    for make_task in TASKS:
        assert lengths(make_task().new()) == {}


@pytest.mark.parametrize("make_task", TASKS)
def test_a_pickle_has_every_member(make_task: Callable[[], Results]) -> None:
    results = make_task()
    twin = pickle.loads(pickle.dumps(results))
    assert lengths(twin) == lengths(results)
    for name in lengths(results):
        assert np.array_equal(getattr(twin, name).data, getattr(results, name).data)


def test_members_given_are_not_copied_and_not_changed() -> None:
    results = segment()
    assert results.replace().masks is results.masks
    smaller = Results(np.zeros((108, 81, 3), np.uint8), "a", NAMES, results.boxes)
    assert (smaller.boxes.orig_shape, results.boxes.orig_shape) == ((108, 81), SHAPE)


def test_classes_and_confidences() -> None:
    for make_task in ROWED:
        results = make_task()
        assert (results.classes, results.class_names) == ([0, 5], ["person", "bus"])
        assert results.confidences == pytest.approx([0.9, 0.8])
    results = classify()
    assert results.class_names == ["fire hydrant", "dog", "person", "cat", "car"]
    assert results.classes == [1, 3, 0, 4, 2]
    assert make(masks=MASKS).class_names == []


# --- words and tables -----------------------------------------------------------------------------------------------


def test_verbose_as_ultralytics() -> None:
    for make_task in ROWED:
        assert make_task().verbose() == "1 person, 1 bus, "
    assert classify().verbose() == "fire hydrant 0.50, dog 0.20, person 0.10, cat 0.06, car 0.05, "
    assert make(probs=[0.7, 0.3]).verbose() == "person 0.70, fire hydrant 0.30, "
    assert make().verbose() == make(obb=np.empty((0, 7))).verbose() == "(no detections), "
    assert make(masks=MASKS).verbose() == ""


def test_segments_as_ultralytics() -> None:
    first, second = segment().summary()
    assert list(first) == ["name", "class", "confidence", "box", "segments"]
    assert first["segments"] == {"x": [101.25, 101.25, 200.8125, 200.8125], "y": [84.375, 167.0625, 167.0625, 84.375]}
    assert second["segments"]["x"] == [
        *(337.5, 337.5, 504.5625, 504.5625, 337.5, 32.0625, 32.0625, 16.875, 16.875, 32.0625),
    ]
    assert segment().summary(normalize=True)[0]["segments"] == {
        "x": [0.125, 0.125, 0.24792, 0.24792],
        "y": [0.07812, 0.15469, 0.15469, 0.07812],
    }


def test_points_as_ultralytics() -> None:
    first = pose().summary()[0]
    assert list(first) == ["name", "class", "confidence", "box", "keypoints"]
    assert first["keypoints"] == {
        "x": [515.93896, 218.52724],
        "y": [567.38269, 335.06122],
        "visible": [0.36511, 0.1055],
    }
    assert pose().summary(normalize=True, decimals=3)[0]["keypoints"] == {
        "x": [0.637, 0.27],
        "y": [0.525, 0.31],
        "visible": [0.365, 0.105],
    }
    without = make(boxes=BOXES, keypoints=POINTS[..., :2]).summary()[1]["keypoints"]
    assert without == {"x": [438.58359, 242.76663], "y": [258.51901, 946.60297]}


def test_oriented_boxes_as_ultralytics() -> None:
    corners = {
        "x1": 231.89348,
        "y1": 345.91086,
        "x2": 255.86476,
        "y2": 302.03171,
        "x3": 168.10652,
        "y3": 254.08916,
        "x4": 144.13524,
        "y4": 297.96829,
    }
    found = obb().summary()[0]
    assert list(found["box"]) == list(corners)
    assert found["box"] == pytest.approx(corners, abs=1e-3)
    assert obb().summary(normalize=True)[0]["box"]["x1"] == pytest.approx(0.28629, abs=2e-5)


def test_classification_as_ultralytics() -> None:
    assert classify().summary()[0] == {"name": "fire hydrant", "class": 1, "confidence": 0.5}
    assert len(classify().summary()) == 5
    assert classify().to_csv().splitlines()[:3] == ["name,class,confidence", "fire hydrant,1,0.5", "dog,3,0.2"]
    assert make(probs=[0.7, 0.3]).to_json() == (
        '[{"name":"person","class":0,"confidence":0.7},{"name":"fire hydrant","class":1,"confidence":0.3}]'
    )


@pytest.mark.parametrize("make_task", TASKS)
def test_tables_agree(make_task: Callable[[], Results]) -> None:
    results = make_task()
    rows = results.summary()
    assert json.loads(results.to_json()) == rows
    assert results.to_csv().splitlines()[0].split(",") == list(rows[0])
    assert len(results.to_csv().splitlines()) == 1 + len(rows)


@pytest.mark.parametrize(
    ("members", "header"),
    [
        ({"boxes": np.empty((0, 6)), "masks": np.empty((0, 64, 64))}, "name,class,confidence,box,segments\n"),
        ({"boxes": np.empty((0, 6)), "keypoints": np.empty((0, 17, 3))}, "name,class,confidence,box,keypoints\n"),
        ({"obb": np.empty((0, 7))}, "name,class,confidence,box\n"),
    ],
)
def test_no_detections_have_the_columns_of_their_task(members: dict[str, Any], header: str, tmp_path: Path) -> None:
    results = make(**members)
    assert (results.summary(), results.to_csv()) == ([], header)
    results.save_txt(tmp_path / "a.txt")
    assert results.save_crop(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make_task", TASKS)
def test_df_has_the_rows_of_the_summary(make_task: Callable[[], Results]) -> None:
    pytest.importorskip("polars")
    results = make_task()
    table = results.to_df()
    assert table.to_dicts() == results.summary()
    if make_task is not classify:
        assert results[[]].to_df().schema == table.schema


@pytest.mark.parametrize("make_task", [detect, obb])
def test_supervision_as_its_own_reader(make_task: Callable[[], Results]) -> None:
    supervision = pytest.importorskip("supervision")
    assert make_task().to_supervision() == supervision.Detections.from_ultralytics(make_task())


def test_supervision_has_masks_in_the_size_of_the_picture() -> None:
    supervision = pytest.importorskip("supervision")
    ours, its = segment().to_supervision(), supervision.Detections.from_ultralytics(segment())
    assert (ours.mask.shape, ours.mask.dtype) == (its.mask.shape, its.mask.dtype) == ((2, *SHAPE), bool)
    assert (ours.mask != its.mask).mean() < 0.001  # along the edges


def test_supervision_of_a_classification() -> None:
    supervision = pytest.importorskip("supervision")
    found = classify().to_supervision()
    assert isinstance(found, supervision.Classifications)
    assert found.class_id.tolist() == list(range(7))
    assert found.confidence.tolist() == pytest.approx(PROBS)


# --- files ----------------------------------------------------------------------------------------------------------

SEGMENTS = """\
0 0.125 0.078125 0.125 0.154687 0.247917 0.154687 0.247917 0.078125
5 0.416667 0.46875 0.416667 0.623438 0.622917 0.623438 0.622917 0.46875 0.416667 0.46875 0.0395833 0.0296875 \
0.0395833 0.015625 0.0208333 0.015625 0.0208333 0.0296875 0.0395833 0.0296875
"""
POSES = """\
0 0.246914 0.231481 0.246914 0.277778 0.636962 0.525354 0.36511 0.269787 0.310242 0.1055
5 0.679012 0.462963 0.37037 0.555556 0.541461 0.239369 0.73448 0.299712 0.876484 0.71114
"""
ORIENTED = """\
0 0.286288 0.320288 0.315882 0.279659 0.207539 0.235268 0.177945 0.275897
5 0.34492 0.460865 0.424771 0.504458 0.642735 0.279876 0.562883 0.236283
"""
CLASSES = "0.50 fire hydrant\n0.20 dog\n0.10 person\n0.06 cat\n0.05 car\n"


@pytest.mark.parametrize(("make_task", "text"), [(segment, SEGMENTS), (pose, POSES), (obb, ORIENTED)])
def test_txt_as_ultralytics(make_task: Callable[[], Results], text: str, tmp_path: Path) -> None:
    plain, with_conf = tmp_path / "plain.txt", tmp_path / "conf.txt"
    make_task().save_txt(plain)
    make_task().save_txt(with_conf, save_conf=True)
    assert plain.read_text() == text
    one, other = text.splitlines()
    assert with_conf.read_text() == f"{one} 0.9\n{other} 0.8\n"


@pytest.mark.parametrize("save_conf", [False, True])
def test_txt_of_a_classification_as_ultralytics(save_conf: bool, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    classify().save_txt(file, save_conf)
    assert file.read_text() == CLASSES


def test_txt_leaves_out_a_detection_with_an_empty_mask(tmp_path: Path) -> None:
    results = make(boxes=BOXES, masks=[MASKS[0], mask()])
    results.save_txt(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == SEGMENTS.splitlines(keepends=True)[0]


def test_txt_of_points_without_visibility(tmp_path: Path) -> None:
    make(boxes=BOXES[:1], keypoints=POINTS[:1, :1, :2]).save_txt(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "0 0.246914 0.231481 0.246914 0.277778 0.636962 0.525354\n"


def read(path: str) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(Path(path).read_bytes(), np.uint8), cv2.IMREAD_COLOR))


def test_crops_of_oriented_boxes_have_their_size_as_ultralytics(tmp_path: Path) -> None:
    paths = obb().save_crop(tmp_path)
    assert [Path(path).relative_to(tmp_path).as_posix() for path in paths] == ["person/im.jpg", "bus/im.jpg"]
    assert [read(path).shape for path in paths] == [(50, 100, 3), (80, 300, 3)]


def test_a_crop_of_an_oriented_box_is_turned_upright(tmp_path: Path) -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    corners = Results(image, "a", NAMES, obb=[[100, 100, 80, 40, 0.6, 0.9, 0]]).obb.xyxyxyxy[0]
    cv2.fillPoly(image, [np.rint(corners).astype(np.int32)], (255, 255, 255))
    right_half = (corners[:2].mean(axis=0) + np.array([100, 100])) / 2
    cv2.circle(image, tuple(np.rint(right_half).astype(int).tolist()), 8, (0, 0, 255), -1)
    (path,) = Results(image, "a", NAMES, obb=[[100, 100, 80, 40, 0.6, 0.9, 0]]).save_crop(tmp_path)
    crop = read(path)
    assert crop.shape == (40, 80, 3)
    assert crop[3:-3, 3:35].min() > 200
    assert crop[20, 60].tolist() == pytest.approx([0, 0, 255], abs=20)


def test_a_crop_is_no_larger_than_the_picture_can_fill(tmp_path: Path) -> None:
    results = make(obb=[[400, 400, 1e7, 20, 0, 0.9, 0], [np.nan, np.nan, np.nan, np.nan, np.nan, 0.9, 0]])
    assert [read(path).shape for path in results.save_crop(tmp_path)] == [(20, 1890, 3), (1, 1, 3)]


def test_crops_of_a_classification_are_none(tmp_path: Path) -> None:
    assert classify().save_crop(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make_task", [segment, pose])
def test_crops_follow_the_boxes(make_task: Callable[[], Results], tmp_path: Path) -> None:
    ours, boxes_only = make_task().save_crop(tmp_path / "a"), detect().save_crop(tmp_path / "b")
    assert [Path(one).read_bytes() for one in ours] == [Path(one).read_bytes() for one in boxes_only]
    assert len(ours) == 2


@pytest.mark.parametrize("make_task", [detect, segment, obb])
def test_supervision_works_on_the_arrays_as_on_plain_ones(make_task: Callable[[], Results]) -> None:
    """Its readers take our arrays as they are, and its annotators then handed OpenCV numbers that it does not take."""
    supervision = pytest.importorskip("supervision")
    detections, plain = (supervision.Detections.from_ultralytics(r) for r in (make_task(), make_task().numpy()))
    assert np.array_equal(detections.with_nms(0.5).xyxy, plain.with_nms(0.5).xyxy)
    for name in ("Box", "RoundBox", "BoxCorner", "Color", "Circle", "Ellipse", "Label", "Mask", "Polygon", "Dot"):
        drawn = [
            getattr(supervision, f"{name}Annotator")().annotate(np.zeros((*SHAPE, 3), np.uint8), d)
            for d in (detections, plain)
        ]
        assert np.array_equal(*drawn), name
