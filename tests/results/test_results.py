"""Results hold what was found, look like the ones people know, and can not change.

Texts and numbers marked "as Ultralytics" were read off Ultralytics 8.4.190 for the same picture and `ROWS`.
"""

from __future__ import annotations

import copy
import json
import pickle
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.errors import BackendUnavailable, InputError, InvalidImage, InvalidOption, UnknownDevice
from yoloom.results.arrays import Array
from yoloom.results.results import Boxes, Results
from yoloom.values import FrozenDict

NAMES = {0: "person", 1: "fire hydrant", 5: "bus"}
ROWS = np.array(
    [
        [3.8, 229.4, 796.2, 728.4, 0.94, 5],
        [671.0, 394.8, 809.8, 878.7, 0.898, 0],
        [47.4, 399.6, 239.3, 904.2, 0.883, 0],
        [0.06, 549.7, 57.9, 868.0, 0.5312345, 1],
    ],
    np.float32,
)
SPEED = {"preprocess": 1.0, "inference": 20.0, "postprocess": 0.5}
SHAPE = (1080, 810)
TABLES = hnp.arrays(np.float32, (5, 6), elements=st.integers(0, 500))


def make(rows: Any = ROWS, names: dict[int, str] = NAMES, shape: tuple[int, int] = SHAPE, **options: Any) -> Results:
    return Results(np.full((*shape, 3), 90, np.uint8), "photos/bus.jpg", names, rows, **options)


@pytest.fixture
def results() -> Results:
    return make(speed=SPEED)


@pytest.fixture
def boxes(results: Results) -> Boxes:
    return results.boxes


# --- Boxes ---------------------------------------------------------------------------------------------------------


def test_columns(boxes: Boxes) -> None:
    assert np.array_equal(boxes.data, ROWS)
    assert np.array_equal(boxes.xyxy, ROWS[:, :4])
    assert np.array_equal(boxes.conf, ROWS[:, 4])
    assert np.array_equal(boxes.cls, ROWS[:, 5])
    assert (boxes.id, boxes.is_track) == (None, False)
    assert (boxes.shape, boxes.orig_shape, len(boxes)) == ((4, 6), SHAPE, 4)


def test_xywhn_as_ultralytics(boxes: Boxes) -> None:
    assert boxes.xywhn[0].tolist() == pytest.approx([0.493827, 0.443426, 0.978272, 0.462037], abs=1e-6)
    assert boxes.xywh[3].tolist() == pytest.approx([28.98, 708.85, 57.84, 318.3], abs=1e-3)
    assert boxes.xyxyn[0].tolist() == pytest.approx([4.6914e-03, 2.1241e-01, 9.8296e-01, 6.7444e-01], abs=1e-5)


@pytest.mark.parametrize("name", ["data", "xyxy", "xywh", "xyxyn", "xywhn", "conf", "cls"])
def test_every_array_is_a_read_only_float32_array(boxes: Boxes, name: str) -> None:
    array = getattr(boxes, name)
    assert (type(array), array.dtype, array.flags.writeable) == (Array, np.float32, False)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


@given(TABLES)
def test_xywh_is_xyxy_in_other_words(rows: np.ndarray) -> None:
    xywh = Boxes(rows, (100, 200)).xywh
    assert np.array_equal(xywh[:, :2] - xywh[:, 2:] / 2, rows[:, :2])
    assert np.array_equal(xywh[:, :2] + xywh[:, 2:] / 2, rows[:, 2:4])


@given(TABLES, st.integers(1, 4000), st.integers(1, 4000))
def test_normalised_times_the_picture_is_pixels(rows: np.ndarray, height: int, width: int) -> None:
    boxes = Boxes(rows, (height, width))
    size = np.array([width, height, width, height], np.float32)
    np.testing.assert_allclose(boxes.xyxyn * size, boxes.xyxy, rtol=1e-6)
    np.testing.assert_allclose(boxes.xywhn * size, boxes.xywh, rtol=1e-6)


@given(TABLES, st.one_of(st.slices(5), st.lists(st.integers(-5, 4), min_size=1), hnp.arrays(np.bool_, 5)))
def test_indexing_equals_numpy(rows: np.ndarray, index: Any) -> None:
    chosen = Boxes(rows, SHAPE)[index]
    assert np.array_equal(chosen.data, rows[index])
    assert chosen.orig_shape == SHAPE


def test_one_index_gives_one_row(boxes: Boxes) -> None:
    assert boxes[-1].shape == (1, 6)
    assert boxes[-1].cls.item() == 1
    assert boxes[boxes.conf.argmin()].conf.item() == pytest.approx(0.5312345)
    assert [box.conf.item() for box in boxes] == boxes.conf.tolist()


def test_what_people_write(boxes: Boxes) -> None:
    box = boxes[0]
    x1, y1, x2, y2 = box.xyxy[0]
    assert list(map(int, box.xyxy[0])) == [int(x1), int(y1), int(x2), int(y2)] == [3, 229, 796, 728]
    assert NAMES[int(box.cls)] == "bus"
    assert f"{box.conf:.2f} {float(box.conf[0]):.1f}" == "0.94 0.9"
    assert box.cls[0].cpu().numpy() == 5
    assert len(boxes[boxes.conf > 0.5]) == 4
    assert len(boxes[boxes.cls == 0]) == 2


@pytest.mark.parametrize("index", [4, -5, "conf", [7]])
def test_an_index_that_is_not_there(boxes: Boxes, index: Any) -> None:
    with pytest.raises(IndexError):
        boxes[index]


@pytest.mark.parametrize("shape", [(0,), (5,), (4, 5), (4, 7), (1, 4, 6)])
def test_boxes_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(N, 6\)"):
        Boxes(np.zeros(shape), SHAPE)


def test_one_row_and_no_rows() -> None:
    assert Boxes(ROWS[0], SHAPE).shape == (1, 6)
    none = Boxes(np.empty((0, 6)), SHAPE)
    assert (len(none), none.xywhn.shape, list(none)) == (0, (0, 4), [])


def test_boxes_do_not_alias_what_they_were_made_of() -> None:
    source = ROWS.copy()
    boxes = Boxes(source, SHAPE)
    source[...] = -1
    assert np.array_equal(boxes.data, ROWS)
    assert boxes.data.flags.owndata
    assert source.flags.writeable


def test_chosen_boxes_do_not_keep_the_others(boxes: Boxes) -> None:
    assert boxes[:1].data.flags.owndata


def test_boxes_print_their_values(boxes: Boxes) -> None:
    assert "orig_shape=(1080, 810)" in repr(boxes)
    assert "xywh" not in repr(boxes)
    assert str(boxes.data) in str(boxes)


# --- Results: construction and freezing -----------------------------------------------------------------------------


def test_defaults_as_ultralytics() -> None:
    results = make()
    assert results.speed == {"preprocess": None, "inference": None, "postprocess": None}
    assert (results.path, results.save_dir, results.orig_shape) == ("photos/bus.jpg", None, SHAPE)
    assert (results.masks, results.probs, results.keypoints, results.obb) == (None,) * 4


def test_the_picture_is_not_copied_and_not_writable_through_results() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    results = Results(image, Path("a.jpg"), NAMES, ROWS)
    assert np.shares_memory(results.orig_img, image)
    assert image.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        results.orig_img[0] = 1


@pytest.mark.parametrize("name", ["boxes", "orig_img", "names", "path", "speed", "orig_shape", "masks", "new_one"])
def test_results_are_frozen(results: Results, name: str) -> None:
    with pytest.raises(AttributeError, match="frozen"):
        setattr(results, name, None)
    with pytest.raises(AttributeError, match="frozen"):
        delattr(results, name)
    with pytest.raises(AttributeError, match="frozen"):
        setattr(results.boxes, name, None)


CHANGES: list[Callable[[Any], object]] = [
    lambda names: names.__setitem__(0, "x"),
    lambda names: names.__delitem__(0),
    lambda names: names.update({0: "x"}),
    lambda names: names.setdefault(9, "x"),
    lambda names: names.pop(0),
    lambda names: names.popitem(),
    lambda names: names.clear(),
    lambda names: names.__ior__({0: "x"}),
]


@pytest.mark.parametrize("change", CHANGES)
def test_names_are_frozen(results: Results, change: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match="frozen"):
        change(results.names)
    assert results.names == NAMES


def test_names_are_a_dictionary_otherwise(results: Results) -> None:
    editable = results.names.copy()
    editable[0] = "someone"
    assert type(editable) is dict
    assert results.names[0] == "person"
    assert json.loads(json.dumps(results.names)) == {"0": "person", "1": "fire hydrant", "5": "bus"}
    assert pickle.loads(pickle.dumps(results.names)) == copy.deepcopy(results.names) == NAMES
    assert type(pickle.loads(pickle.dumps(results.names))) is FrozenDict


def test_names_given_may_change_later() -> None:
    names = dict(NAMES)
    results = make(names=names)
    names[0] = "x"
    assert results.names[0] == "person"


def test_names_of_many_results_are_one_object(results: Results) -> None:
    assert results[0].names is results.names


def test_update_says_what_to_write_instead(results: Results) -> None:
    with pytest.raises(FrozenInstanceError, match=r"results\.replace\(boxes=\.\.\.\)"):
        results.update(boxes=ROWS[:1])


def test_replace_makes_new_results(results: Results) -> None:
    fewer = results.replace(boxes=ROWS[:1])
    assert (len(results), len(fewer)) == (4, 1)
    assert (fewer.speed, fewer.path, fewer.names) == (results.speed, results.path, results.names)
    assert len(results.replace(boxes=results.boxes[1:])) == 3


def test_new_has_no_detections(results: Results) -> None:
    assert len(results.new()) == 0
    assert results.new().boxes is None


def test_pickle_and_deepcopy_are_equal_and_frozen(results: Results) -> None:
    for twin in (pickle.loads(pickle.dumps(results)), copy.deepcopy(results)):
        assert np.array_equal(twin.boxes.data, results.boxes.data)
        assert np.array_equal(twin.orig_img, results.orig_img)
        assert (twin.path, twin.names, twin.speed) == (results.path, results.names, results.speed)
        assert not twin.boxes.data.flags.writeable
        assert not twin.orig_img.flags.writeable


def test_indexing_and_iteration_give_results(results: Results) -> None:
    assert [len(one) for one in results] == [1] * 4
    assert results[1].boxes.conf.item() == pytest.approx(0.898)
    assert results[results.boxes.cls == 0].class_names == ["person", "person"]
    assert np.shares_memory(results[0].orig_img, results.orig_img)
    with pytest.raises(IndexError):
        results[4]


def test_moving_to_the_cpu_is_free(results: Results) -> None:
    assert results.cpu() is results.to("cpu") is results
    assert results.boxes.cpu() is results.boxes.to("cpu") is results.boxes


def test_there_is_no_other_device(results: Results) -> None:
    for move in (results.cuda, results.boxes.cuda, lambda: results.to("cuda:0"), lambda: results.boxes.to("mps")):
        with pytest.raises(UnknownDevice):
            move()


def test_repr_says_what_was_found(results: Results) -> None:
    assert repr(results) == ("Results(2 persons, 1 fire hydrant, 1 bus; path='photos/bus.jpg', orig_shape=(1080, 810))")
    assert str(results.new()).startswith("Results((no detections); ")


# --- Results: words and tables --------------------------------------------------------------------------------------


def test_verbose_as_ultralytics(results: Results) -> None:
    assert results.verbose() == "2 persons, 1 fire hydrant, 1 bus, "
    assert results.new().verbose() == "(no detections), "


def test_a_class_without_a_name() -> None:
    results = make(names={5: "bus"})
    assert results.class_names == ["bus", "class0", "class0", "class1"]
    assert results.verbose() == "2 class0s, 1 class1, 1 bus, "


def test_summary_as_ultralytics(results: Results) -> None:
    box = {"x1": 3.8, "y1": 229.39999, "x2": 796.20001, "y2": 728.40002}
    assert results.summary()[0] == {"name": "bus", "class": 5, "confidence": 0.94, "box": box}
    assert results.summary(normalize=True)[0]["box"] == {"x1": 0.00469, "y1": 0.21241, "x2": 0.98296, "y2": 0.67444}
    assert results.summary(decimals=2)[0]["box"] == {"x1": 3.8, "y1": 229.4, "x2": 796.2, "y2": 728.4}
    assert results.new().summary() == []


def test_json_as_ultralytics(results: Results) -> None:
    assert results[3].to_json() == (
        '[{"name":"fire hydrant","class":1,"confidence":0.53123,"box":{"x1":0.06,"y1":549.70001,"x2":57.9,"y2":868.0}}]'
    )
    assert results.tojson(normalize=True) == results.to_json(True)
    assert results.new().to_json() == "[]"


def test_csv_as_ultralytics(results: Results) -> None:
    assert results[:1].to_csv() == (
        "name,class,confidence,box\nbus,5,0.94,\"{'x1': 3.8, 'y1': 229.39999, 'x2': 796.20001, 'y2': 728.40002}\"\n"
    )
    assert results.new().to_csv() == "name,class,confidence,box\n"


def test_df_is_polars_with_fixed_types(results: Results) -> None:
    polars = pytest.importorskip("polars")
    table = results.to_df()
    assert isinstance(table, polars.DataFrame)
    assert table.to_dicts() == results.summary()
    assert results.new().to_df().schema == table.schema


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)  # importing it raises ImportError


def test_df_is_pandas_without_polars(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    without(monkeypatch, "polars")
    table = results.to_df()
    assert isinstance(table, pandas.DataFrame)
    assert table.to_dict("records") == results.summary()
    assert list(results.new().to_df().columns) == list(table.columns)


@pytest.mark.parametrize(
    ("call", "missing", "install"),
    [
        (lambda r: r.to_df(), ("polars", "pandas"), "pip install polars"),
        (lambda r: r.to_supervision(), ("supervision",), "pip install supervision"),
        (lambda r: r.plot(pil=True), ("PIL.Image",), "pip install pillow"),
    ],
)
def test_a_missing_library_is_named(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[Results], object], missing: tuple[str, ...], install: str
) -> None:
    without(monkeypatch, *missing)
    with pytest.raises(BackendUnavailable, match=install):
        call(make(shape=(32, 32)))


def test_supervision(results: Results) -> None:
    supervision = pytest.importorskip("supervision")
    detections = results.to_supervision()
    assert detections == supervision.Detections.from_ultralytics(results)
    assert detections.data["class_name"].tolist() == results.class_names
    detections.xyxy[...] = 0
    assert np.array_equal(results.boxes.data, ROWS)
    assert len(results.new().to_supervision()) == 0


# --- Results: files -------------------------------------------------------------------------------------------------

TXT = """\
5 0.493827 0.443426 0.978272 0.462037
0 0.914074 0.589583 0.171358 0.448056
0 0.176975 0.603611 0.236914 0.467222
1 0.0357778 0.656343 0.0714074 0.294722
"""


def test_txt_as_ultralytics(results: Results, tmp_path: Path) -> None:
    file = tmp_path / "labels" / "bus.txt"
    assert results.save_txt(file) == str(file)
    assert file.read_text() == TXT
    results[3].save_txt(str(file), save_conf=True)
    assert file.read_text() == TXT + "1 0.0357778 0.656343 0.0714074 0.294722 0.531235\n"


def test_txt_of_nothing_is_no_file(results: Results, tmp_path: Path) -> None:
    assert results.new().save_txt(tmp_path / "none.txt") == str(tmp_path / "none.txt")
    assert list(tmp_path.iterdir()) == []


def read(path: Path) -> Any:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def sizes_hw(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(folder).as_posix()): read(p).shape[:2] for p in folder.rglob("*.*")}


def test_crops_as_ultralytics(results: Results, tmp_path: Path) -> None:
    paths = results.save_crop(tmp_path, "im.png")
    expected = {
        "bus/im.jpg": (519, 809),
        "person/im.jpg": (504, 146),
        "person/im-2.jpg": (525, 206),
        "fire hydrant/im.jpg": (335, 63),
    }
    assert sizes_hw(tmp_path) == expected
    assert [Path(path).relative_to(tmp_path).as_posix() for path in paths] == list(expected)


def test_crops_have_the_pixels_of_the_picture(tmp_path: Path) -> None:
    image = np.zeros((60, 90, 3), np.uint8)
    image[:, 45:] = 255
    Results(image, "a", NAMES, [[30, 20, 60, 40, 0.9, 0]]).save_crop(tmp_path)
    crop = read(tmp_path / "person" / "im.jpg")
    assert crop.shape == (31, 41, 3)  # 20 and 30, each with 2 % and 10 pixels more
    assert crop[:, :16].max() < 30
    assert crop[:, 28:].min() > 225


def test_crops_overwrite_nothing_in_any_number_of_threads(tmp_path: Path) -> None:
    """Seen to fail when the file is looked for first and opened after."""
    results = make([[2, 2, 20, 20, 0.9, 0]], shape=(32, 32))
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: results.save_crop(tmp_path)[0], range(24)))
    assert len(set(paths)) == len(list(tmp_path.rglob("*.jpg"))) == 24


def test_crop_outside_the_picture_is_left_out(tmp_path: Path) -> None:
    results = make([[100, 100, 120, 120, 0.9, 0], [-20, -20, 10, 10, 0.8, 0]], shape=(32, 32))
    assert len(results.save_crop(tmp_path)) == 1


@pytest.mark.parametrize("name", ["../../evil", "/etc", "..", "", "a\\..\\b", "nul\0l"])
def test_a_class_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in" / "crops"
    results = make([[2, 2, 20, 20, 0.9, 0]], {0: name}, (32, 32))
    (path,) = results.save_crop(folder)
    assert Path(path).resolve().parent.parent == folder.resolve()


def test_save_writes_the_plot(tmp_path: Path) -> None:
    results = make(ROWS / 10, shape=(108, 81))
    file = tmp_path / "new" / "Straße.png"
    assert results.save(file, conf=False) == str(file)
    assert np.array_equal(read(file), results.plot(conf=False))


@pytest.mark.parametrize(
    ("path", "name"),
    [("photos/bus.jpg", "results_bus.jpg"), ("a.mp4", "results_a.mp4.jpg"), ("image0", "results_image0.jpg")],
)
def test_save_finds_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert Results(np.zeros((32, 32, 3), np.uint8), path, NAMES).save() == name
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.mp4"])
def test_save_in_no_known_format(results: Results, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidOption, match=r"\.jpg"):
        results.new().save(tmp_path / name)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.gif", "a.pgm"])
def test_save_in_a_format_that_can_not_hold_it(tmp_path: Path, name: str) -> None:
    wide = Results(np.zeros((2, 70_000, 3), np.uint8), "wide", NAMES)
    with pytest.raises(InvalidOption):
        wide.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["zero\0.png", "file/a.png", "x" * 300 + ".png"])
def test_save_to_a_path_that_can_not_be_written(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidOption, match="can not be written"):
        make(shape=(20, 20)).new().save(tmp_path / name)


# --- Results: pictures ----------------------------------------------------------------------------------------------


@pytest.fixture
def small() -> Results:
    return make([[20, 30, 60, 80, 0.9, 0], [70, 40, 110, 90, 0.8, 0]], shape=(100, 120))


def test_plot_is_a_new_writable_picture(small: Results) -> None:
    plot = small.plot()
    assert (plot.shape, str(plot.dtype), plot.flags.writeable) == ((100, 120, 3), "uint8", True)
    assert (small.orig_img == 90).all()
    assert not np.array_equal(plot, small.orig_img)


def test_plot_leaves_out_what_it_is_told_to(small: Results) -> None:
    assert np.array_equal(small.plot(boxes=False), small.orig_img)
    pictures = [small.plot(), small.plot(conf=False), small.plot(labels=False)]
    changed = [int((picture != 90).any(axis=2).sum()) for picture in pictures]
    assert changed == sorted(changed, reverse=True)
    assert len(set(changed)) == 3


def test_plot_options_reach_the_picture(small: Results) -> None:
    plain = small.plot()
    assert not np.array_equal(plain, small.plot(True, 5))
    assert not np.array_equal(plain, small.plot(font_size=20))
    assert not np.array_equal(plain, small.plot(txt_color=(0, 255, 0)))


def test_plot_colours_classes_or_instances(small: Results) -> None:
    corners = [(80, 60), (90, 110)]
    by_class = small.plot(labels=False)
    by_instance = small.plot(labels=False, color_mode="instance")
    assert by_class[corners[0]].tolist() == by_class[corners[1]].tolist()
    assert by_instance[corners[0]].tolist() != by_instance[corners[1]].tolist()
    with pytest.raises(InvalidOption, match='"class" or "instance"'):
        small.plot(color_mode="rainbow")


def test_plot_on_another_picture(small: Results) -> None:
    other = np.zeros((100, 120, 3), np.uint8)
    plot = small.plot(img=other)
    assert (plot[50, 5] == 0).all()
    assert not other.any()


@pytest.mark.parametrize("img", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), [[1]]])
def test_plot_on_no_picture(small: Results, img: Any) -> None:
    with pytest.raises(InvalidImage, match=r"\(H, W, 3\)"):
        small.plot(img=img)


def test_plot_refuses_a_misspelt_option(small: Results) -> None:
    with pytest.raises(TypeError, match="line_widht"):
        small.save(line_widht=2)


def test_plot_as_pil(small: Results) -> None:
    image = pytest.importorskip("PIL.Image")
    plot: Any = small.plot(pil=True)
    assert isinstance(plot, image.Image)
    assert np.array_equal(np.asarray(plot)[..., ::-1], small.plot())


def test_plot_can_save_and_show(small: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    monkeypatch.setattr("yoloom.results.results.show_image", lambda image, *_: shown.append(image))
    plot = small.plot(show=True, save=True, filename=tmp_path / "a.png")
    assert np.array_equal(shown[0], plot)
    assert np.array_equal(read(tmp_path / "a.png"), plot)


def test_show_without_a_display_points_to_save(small: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(BackendUnavailable, match=r"save\(\)"):
        small.show()


def test_show_without_windows_points_to_the_package(small: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def imshow(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", imshow)
    with pytest.raises(BackendUnavailable, match="install opencv-python"):
        small.show()


def test_show_opens_a_window(small: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", lambda title, image: calls.append((title, image.shape)))
    monkeypatch.setattr(cv2, "waitKey", calls.append)
    small.show(wait_ms=7)
    assert calls == [("photos/bus.jpg", (100, 120, 3)), 7]


def test_show_is_inline_in_a_notebook(small: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bytes] = []
    module = SimpleNamespace(display=shown.append, Image=lambda data: data)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object())))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    small.show(labels=False)
    picture: Any = cv2.imdecode(np.frombuffer(shown[0], np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(picture, small.plot(labels=False))


def test_a_terminal_is_no_notebook(small: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "imshow", lambda title, image: titles.append(title))
    monkeypatch.setattr(cv2, "waitKey", lambda wait_ms: -1)
    small.show()
    assert titles == ["photos/bus.jpg"], "a window, and no picture in a notebook"


# --- sharing --------------------------------------------------------------------------------------------------------


def everything(results: Results) -> list[object]:
    boxes = results.boxes
    arrays = (boxes.xyxy, boxes.xywh, boxes.xyxyn, boxes.xywhn, boxes.conf, boxes.cls, results.plot())
    pictures = [one.plot(color_mode="instance").tobytes() for one in results]
    texts = (results.verbose(), results.to_json(), results.to_csv(), repr(results), repr(boxes))
    return [*(array.tobytes() for array in arrays), *pictures, *texts, results.class_names, pickle.dumps(boxes)]


def test_threads_that_share_results_see_the_same(small: Results) -> None:
    expected = everything(small)
    barrier = Barrier(6)

    def look(_: int) -> list[object]:
        barrier.wait(timeout=10)
        return everything(small)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(look, range(6))) == [expected] * 6


def test_using_results_needs_no_other_library(small: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "polars", "pandas", "supervision", "PIL", "IPython.display", "torch")
    assert everything(small)


def test_plot_accepts_what_other_tasks_draw(small: Results) -> None:
    picture = small.plot(font="Arial.ttf", masks=True, probs=True, kpt_radius=5, kpt_line=True, im_gpu=None)
    assert np.array_equal(picture, small.plot())
