"""Options are checked and frozen when the call is made; what is wrong is one typed error that says so."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloom.errors import InputError, InvalidOption, UnknownClass, UnknownDevice, UnknownOption, UnsupportedOption
from yoloom.options import PredictOptions, SaveOptions, class_ids, parse_options
from yoloom.validation import MAX_IMGSZ

NAMES = {0: "person", 1: "car", 2: "bus", 3: "car"}
OPTIONS = [field.name for kind in (PredictOptions, SaveOptions) for field in dataclasses.fields(kind)]
IGNORED = ["batch", "verbose", "stream_buffer", "dnn", "compile", "data", "half", "vid_stride", "epochs", "mosaic"]
REFUSED = [
    "augment",
    "embed",
    "quantize",
    "cfg",
    "visualize",
]


def predict(**options: Any) -> PredictOptions:
    return parse_options(options)[0]


def test_defaults_are_those_of_ultralytics() -> None:
    assert parse_options({}) == (PredictOptions(), SaveOptions())
    assert predict() == PredictOptions(
        conf=0.25, iou=0.7, imgsz=None, rect=True, max_det=300, classes=None, agnostic_nms=False, retina_masks=False
    )


def test_options_are_frozen_and_hashable() -> None:
    options = predict(classes=[1, "bus"], imgsz=[320, 640])
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.conf = 0.5  # type: ignore[misc]
    assert hash(options) == hash(predict(classes=(1, "bus"), imgsz=(320, 640)))


def test_lists_of_the_caller_are_copied() -> None:
    classes, imgsz = [1, 2], [320, 640]
    options = predict(classes=classes, imgsz=imgsz)
    classes.append(3)
    imgsz[0] = 0
    assert options.classes == (1, 2)
    assert options.imgsz == (320, 640)


# ---- Numbers


@pytest.mark.parametrize("name", ["conf", "iou"])
@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5), np.float64(0.5), np.int64(1), np.array(0.5)])
def test_fractions(name: str, value: Any) -> None:
    found = getattr(predict(**{name: value}), name)
    assert type(found) is float
    assert found == float(value)


@pytest.mark.parametrize("name", ["conf", "iou"])
@pytest.mark.parametrize(
    "value",
    [-0.1, 1.0001, 25, math.nan, math.inf, -math.inf, True, np.True_, "0.5", [0.5], 1j, 10**400, np.array([0.1, 0.2])],
)
def test_fractions_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=f"{name} must be"):
        predict(**{name: value})


@pytest.mark.parametrize("value", [1, 300.0, np.int32(7), np.uint8(3), np.float32(3), np.array(3.0)])
def test_max_det(value: Any) -> None:
    assert predict(max_det=value).max_det == int(value)


@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf, True, np.True_, np.float32(1.5), "3", [3]])
def test_max_det_that_is_none(value: Any) -> None:
    with pytest.raises(InvalidOption, match="max_det must be"):
        predict(max_det=value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (640, (640, 640)), (640.0, (640, 640)), ([320], (320, 320)), ([320, 640], (320, 640)),
        ((1, MAX_IMGSZ), (1, MAX_IMGSZ)), (np.array([320, 640]), (320, 640)), (np.array(320), (320, 320)),
        (np.int64(320), (320, 320)),
    ],
)  # fmt: skip
def test_imgsz(value: Any, expected: tuple[int, int] | None) -> None:
    assert predict(imgsz=value).imgsz == expected


@pytest.mark.parametrize(
    "value",
    [
        0,
        -32,
        640.5,
        math.nan,
        math.inf,
        "640",
        b"64",
        [],
        [1, 2, 3],
        [0, 640],
        [640, "x"],
        [[640]],
        True,
        MAX_IMGSZ + 1,
        10**30,
    ],
)
def test_imgsz_that_is_none(value: Any) -> None:
    with pytest.raises(InvalidOption, match="imgsz must be"):
        predict(imgsz=value)


@pytest.mark.parametrize("name", ["rect", "agnostic_nms", "retina_masks", "save", "save_txt", "show", "exist_ok"])
def test_flags(name: str) -> None:
    options = parse_options({name: True})
    assert any(getattr(option, name, False) is True for option in options)
    assert not getattr(parse_options({name: 0})[name not in ("rect", "agnostic_nms", "retina_masks")], name)
    for value in ("yes", "True", 2, [], np.array([True, False]), math.nan):
        with pytest.raises(InvalidOption, match=f"{name} must be True or False"):
            parse_options({name: value})


# ---- Classes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (0, (0,)), ([0, 2], (0, 2)), ("bus", ("bus",)), (["bus", 0], ("bus", 0)), ([], ()),
        (np.array([0, 2]), (0, 2)),
        (np.int64(2), (2,)), ((0.0,), (0,)), (range(2), (0, 1)), (np.array(2), (2,)), (iter([1]), (1,)),
    ],
)  # fmt: skip
def test_classes(value: Any, expected: tuple[int | str, ...] | None) -> None:
    assert predict(classes=value).classes == expected


@pytest.mark.parametrize("value", [[None], [0.5], [True], [math.nan], [[0]], b"bus", True, object()])
def test_classes_that_are_none(value: Any) -> None:
    with pytest.raises(InvalidOption, match="classes must be"):
        predict(classes=value)


def test_class_ids() -> None:
    assert class_ids(None, NAMES) is None
    assert class_ids((), NAMES) == frozenset()
    assert class_ids((0, "bus"), NAMES) == {0, 2}
    assert class_ids(("car",), NAMES) == {1, 3}  # two classes of one name


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("persn", r"no class 'persn'; did you mean 'person'\? It names 4: 0 person, 1 car, 2 bus, 3 car\."),
        ("zebra crossing", r"no class 'zebra crossing'\. It names 4"),
        (4, r"no class 4\. It names 4"),
        (-1, "no class -1"),
        ("0", "no class '0'"),
    ],
)
def test_unknown_class(wanted: int | str, message: str) -> None:
    with pytest.raises(UnknownClass, match=message):
        class_ids((wanted,), NAMES)


def test_long_lists_of_names_are_cut() -> None:
    with pytest.raises(UnknownClass, match=r"It names 80: 0 c0, .*, 7 c7, \.\.\.$"):
        class_ids(("no",), {index: f"c{index}" for index in range(80)})


def test_classes_of_a_file_without_names() -> None:
    """Any number may be right; a name can not be, and must not silently find nothing."""
    assert class_ids((0, 17), {}) == {0, 17}
    with pytest.raises(UnknownClass, match="ask by number"):
        class_ids(("person",), {})


# ---- Names


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("config", "conf"),
        ("img_size", "imgsz"),
        ("maxdet", "max_det"),
        ("agnostic", "agnostic_nms"),
        ("Conf", "conf"),
        ("class", "classes"),
    ],
)
def test_unknown_option_suggests_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownOption, match=f"there is no option '{name}'. Did you mean '{near}'"):
        predict(**{name: 1})


def test_unknown_option_like_no_other_says_where_they_are_listed() -> None:
    with pytest.raises(UnknownOption, match=r"there is no option 'xylophone'\. help\(YOLO\.predict\) lists them\."):
        predict(xylophone=1)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("confidence", "conf"),
        ("size", "imgsz"),
        ("iou_thres", "iou"),
        ("classs", "classes"),
        ("max_detections", "max_det"),
    ],
)
def test_names_of_other_libraries_lead_to_ours(name: str, meant: str) -> None:
    """Seen to fail: `size` led to 'visualize', and `confidence` to a list of forty names."""
    with pytest.raises(UnknownOption, match=f"Did you mean '{meant}'"):
        predict(**{name: 1})


def test_earlier_names_of_ultralytics_are_understood() -> None:
    _, save = parse_options({"boxes": False, "hide_labels": True, "hide_conf": False, "line_thickness": 3})
    assert (save.show_boxes, save.show_labels, save.show_conf, save.line_width) == (False, False, True, 3)
    with pytest.raises(InvalidOption, match="hide_labels must be True or False"):
        parse_options({"hide_labels": "yes"})


@pytest.mark.parametrize("name", IGNORED)
def test_options_that_mean_nothing_here(name: str) -> None:
    assert parse_options({name: 16}) == (PredictOptions(), SaveOptions())


@pytest.mark.parametrize("name", REFUSED)
def test_options_of_ultralytics_that_are_not_here(name: str) -> None:
    neutral = None if name in ("embed", "quantize", "cfg") else False
    for value in (neutral, None):
        assert parse_options({name: value}) == (PredictOptions(), SaveOptions())
    for value in (7, [1], np.array([1, 2])):
        with pytest.raises(UnsupportedOption, match=f"{name}=.* is not available"):
            predict(**{name: value})


def test_device_is_chosen_when_the_model_is_opened() -> None:
    for device in (None, "cpu", "CPU", "cpu:0", ""):
        assert predict(device=device) == PredictOptions()
    for device in ("cuda:0", 0, [0, 1], "mps", np.array([0, 1])):
        with pytest.raises(UnknownDevice, match="when the model is opened"):
            predict(device=device)


# ---- What is written


def test_save_options(tmp_path: Path) -> None:
    assert not SaveOptions().writes
    for name in ("save", "save_txt", "save_crop"):
        assert parse_options({name: True})[1].writes
    save = parse_options({"project": tmp_path, "name": "run", "line_width": 3})[1]
    assert (save.project, save.name, save.line_width) == (str(tmp_path), "run", 3)
    assert parse_options({"project": None, "line_width": None})[1] == SaveOptions()


@pytest.mark.parametrize(
    ("name", "value"), [("project", 5), ("name", ["a"]), ("line_width", 0), ("line_width", "thick")]
)
def test_save_options_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=name):
        parse_options({name: value})


# ---- Anything at all


@pytest.mark.parametrize("name", [*OPTIONS, *IGNORED, *REFUSED, "device"])
def test_none_asks_for_the_default(name: str) -> None:
    assert parse_options({name: None}) == (PredictOptions(), SaveOptions())


class Hostile:
    """A value that can not even be looked at."""

    def fail(self, *_: object) -> Any:
        raise RuntimeError("no")

    __eq__ = __float__ = __index__ = __str__ = __repr__ = __iter__ = __fspath__ = fail
    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("name", [*OPTIONS, *REFUSED, "device"])
def test_values_that_raise_are_refused_in_our_words(name: str) -> None:
    with pytest.raises(InvalidOption, match="a value of type Hostile"):
        parse_options({name: Hostile()})


_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text("ab 0.5é"), st.binary(), st.complex_numbers()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text("ab", max_size=3), inner, max_size=2),
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(st.sampled_from([*OPTIONS, *IGNORED, *REFUSED, "device", "no such option"]), _values, max_size=3)
)
def test_any_values_are_accepted_or_refused_in_our_words(options: dict[str, Any]) -> None:
    try:
        asked, save = parse_options(options)
    except InputError as error:
        assert str(error)  # noqa: PT017  either way is right
        return
    assert 0 <= asked.conf <= 1
    assert 0 <= asked.iou <= 1
    assert asked.max_det >= 1
    assert hash(asked) is not None
    assert hash(save) is not None


def test_every_field_is_checked() -> None:
    for name in OPTIONS:
        with pytest.raises(InvalidOption):
            parse_options({name: object()})


def test_what_was_asked_before_is_known_by_type_too() -> None:
    """True == 1 == 1.0. Seen to fail when the options of earlier calls are looked up without their types."""
    assert parse_options({"conf": 1})[0].conf == 1
    assert parse_options({"conf": 1})[0] is parse_options({"conf": 1})[0]
    with pytest.raises(InvalidOption):
        parse_options({"conf": True})


@pytest.mark.parametrize(("option", "nms"), [({"nms": True}, True), ({"nms": False}, False), ({"end2end": 1}, False)])
def test_the_head_is_that_of_the_opened_model(option: dict[str, Any], nms: bool) -> None:
    assert parse_options(option, {nms}) == parse_options({})
    for answered in ({not nms}, set()):
        with pytest.raises(UnsupportedOption, match=rf"when the model is opened: YOLO\(path, nms={nms}\)"):
            parse_options(option, answered)


def test_no_wish_for_a_head_is_always_fine() -> None:
    assert parse_options({"nms": None, "end2end": None}) == parse_options({})
    with pytest.raises(InvalidOption, match="nms must be True or False, got 'yes'"):
        parse_options({"nms": "yes"}, {True})
