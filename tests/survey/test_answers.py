"""The answers of networks that others made: right in value, or a typed error; never a number that is none."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from survey_networks import classifier, planted, with_input, yolov8
from yoloom import YOLO
from yoloom.cli.main import main
from yoloom.errors import InvalidOption, InvalidOutput, ModelError, PartialFailure, UnsupportedModel
from yoloom.results.results import Results
from yoloom.values import strict_json

BLACK, WHITE = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
NAMES = {"stride": "32", "names": "{0: 'a', 1: 'b', 2: 'c'}"}
BOX = (32, 24, 20, 16)  # centre, width, height
CORNERS = [22, 16, 42, 32]
EIGHT = (1, 252, 8)  # YOLOv5's rows of three classes
U8 = TensorProto.UINT8

Save = Callable[[onnx.ModelProto], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(model: onnx.ModelProto) -> Path:
        path = tmp_path / "foreign.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


@pytest.fixture(params=["openvino", "onnxruntime"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def boxes_of(path: Path, backend: str, image: np.ndarray = BLACK, **arguments: Any) -> list[list[float]]:
    with YOLO(path, backend=backend, threads=1, **arguments) as model:
        data = model(image)[0].boxes.data
    return [[round(float(value), 3) for value in row] for row in data]


# ---- Rows of other families


def test_objectness_times_class(save: Save, backend: str) -> None:
    rows = {(0, 7): (*BOX, 0.9, 0.1, 0.8, 0.2), (0, 9): (*BOX, 0.5, 0.4, 0.4, 0.4)}  # the second is 0.2
    assert boxes_of(save(planted(EIGHT, rows, NAMES)), backend) == [[*CORNERS, 0.72, 1]]


def test_objectness_of_one_class(save: Save, backend: str) -> None:
    path = save(planted((1, 252, 6), {(0, 0): (*BOX, 0.9, 0.8)}, NAMES | {"names": "{0: 'plate'}"}))
    assert boxes_of(path, backend) == [[*CORNERS, 0.72, 0]]


def test_objectness_is_suppressed_and_filtered(save: Save) -> None:
    rows = {(0, 3): (*BOX, 0.9, 0.9, 0, 0), (0, 4): (*BOX, 0.8, 0.9, 0, 0), (0, 5): (12, 50, 8, 8, 0.7, 0, 0, 0.7)}
    with YOLO(save(planted(EIGHT, rows, NAMES)), threads=1) as model:
        assert [round(float(score), 2) for score in model(BLACK)[0].boxes.conf] == [0.81, 0.49]
        assert model(BLACK, classes=[2])[0].boxes.cls.tolist() == [2]
        assert len(model(BLACK, conf=0.5)[0]) == 1


def test_layout_of_the_caller(save: Save, backend: str) -> None:
    """The same numbers, read in each of the ways."""
    path = save(planted((1, 84, 6), {(0, 5): (22, 16, 42, 32, 0.5, 1)}))
    assert boxes_of(path, backend, layout="rows") == [[*CORNERS, 0.5, 1]]
    assert boxes_of(path, backend, layout="end2end") == [[*CORNERS, 0.5, 1]]
    assert boxes_of(path, backend, layout="objectness") == [[1, 0, 43, 32, 0.5, 0]]
    assert boxes_of(path, backend, layout="transposed") == [[1, 0, 43, 32, 1, 1]]


def test_transposed_and_raw(save: Save, backend: str) -> None:
    assert boxes_of(save(planted((1, 84, 7), {(0, 5): (*BOX, 0, 0.5, 0)})), backend, layout="transposed") == [
        [*CORNERS, 0.5, 1]
    ]
    raw = {(0, ..., 5): (*BOX, 0, 0.5, 0)}
    assert boxes_of(save(planted((1, 7, 84), raw)), backend, layout="raw") == [[*CORNERS, 0.5, 1]]


def test_boxes_of_yolox_are_decoded(save: Save, backend: str) -> None:
    """Anchor 64 + 5 is the cell (1, 1) of stride 16: centre (1 + 1, 1 + 0.5) * 16, size exp(...) * 16."""
    row = (1.0, 0.5, math.log(20 / 16), 0.0, 0.9, 0.1, 0.8, 0.2)
    assert boxes_of(save(planted((1, 84, 8), {(0, 69): row})), backend, layout="yolox") == [[22, 16, 42, 32, 0.72, 1]]


def test_yolox_that_is_decoded_is_not_decoded_again(save: Save, backend: str) -> None:
    path = save(planted((1, 84, 8), {(0, 69): (*BOX, 0.9, 0.1, 0.8, 0.2)}))
    assert boxes_of(path, backend, layout="yolox-decoded") == [[*CORNERS, 0.72, 1]]


def test_two_handles_with_two_layouts_do_not_share_their_input(save: Save) -> None:
    path = save(planted((1, 84, 8), {(0, 3): (*BOX, 0.5, 0, 0, 0)}, when_bright={(0, 3, 6): 1 / 255}))
    with YOLO(path, layout="yolox-decoded", threads=1) as pixels, YOLO(path, layout="objectness", threads=1) as unit:
        assert pixels(WHITE)[0].boxes.conf.tolist() == pytest.approx([0.5])
        assert len(unit(WHITE)[0]) == 0  # 1/255 of the score


def test_workers_read_the_layout_of_the_caller(save: Save) -> None:
    path = save(planted((1, 84, 6), {(0, 5): (22, 16, 42, 32, 0.5, 1)}))
    with YOLO(path, layout="rows", workers=1, threads=1) as model:
        assert model(BLACK)[0].boxes.xyxy.round().tolist() == [CORNERS]


def test_handle_pickles_with_its_layout(save: Save) -> None:
    with YOLO(save(planted((1, 84, 6))), layout="rows", threads=1) as model, pickle.loads(pickle.dumps(model)) as copy:
        assert copy.model.layout is model.model.layout


@pytest.mark.parametrize("layout", ["rawest", "candidates", "", 7])
def test_layout_that_does_not_exist(save: Save, layout: Any) -> None:
    with pytest.raises(InvalidOption, match="layout must be one of raw, transposed"):
        YOLO(save(planted((1, 7, 84))), layout=layout)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((1, 7, 84), "end2end"), ((1, 3, 84), "raw"), ((1, 84, 5), "objectness"), ((1, 84, 8), "logits")],
)
def test_layout_that_the_output_can_not_have(save: Save, shape: tuple[int, ...], layout: str) -> None:
    with pytest.raises(ModelError, match=r"expected .* got"):
        YOLO(save(planted(shape)), layout=layout)


# ---- Classifiers


def test_logits_become_probabilities(save: Save, backend: str) -> None:
    notes = {"task": "classify", "names": "['a', 'b', 'c']"}
    with YOLO(save(classifier(notes, "Gemm")), backend=backend, threads=1) as logits:
        probs = np.asarray(logits(WHITE)[0].probs.data)
    with YOLO(save(classifier(notes)), backend=backend, threads=1) as graph:
        expected = np.asarray(graph(WHITE)[0].probs.data)
    np.testing.assert_allclose(probs, expected, atol=1e-5)
    assert probs.sum() == pytest.approx(1)


def test_large_logits_do_not_overflow(save: Save) -> None:
    path = save(planted((1, 3), {(0, 1): 1000, (0, 2): -1000}))
    with YOLO(path, task="classify", layout="logits", threads=1) as model:
        assert model(BLACK)[0].probs.data.tolist() == [0, 1, 0]


@pytest.mark.parametrize("value", [14.57, -0.5, np.nan, np.inf])
def test_probabilities_that_are_none(save: Save, value: float) -> None:
    path = save(planted((1, 3), {(0, 1): value}, {"task": "classify", "names": "['a', 'b', 'c']"}))
    with pytest.raises(InvalidOutput):
        YOLO(path, threads=1)


# ---- Pixels


@pytest.mark.parametrize(
    ("kind", "input_type"),
    [
        ("divides by 255", U8),
        ("multiplies by 1/255", U8),
        ("divides by 255", TensorProto.FLOAT),
        ("multiplies by 1/255", TensorProto.FLOAT),
    ],
)
def test_networks_that_scale_by_themselves_see_the_same_picture(
    save: Save, backend: str, kind: str, input_type: int
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    plain = with_input("none")
    expected = boxes_of(save(plain), backend, picture)
    assert expected
    found = boxes_of(save(with_input(kind, input_type)), backend, picture)
    np.testing.assert_allclose(found, expected, atol=2e-2)


@pytest.mark.parametrize("kind", ["reverses the channels", "flips the channels"])
def test_channels_that_the_network_reverses_are_not_reversed_twice(save: Save, backend: str, kind: str) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    reverse = boxes_of(save(with_input(kind)), backend, picture)
    np.testing.assert_allclose(reverse, boxes_of(save(with_input("none")), backend, picture), atol=2e-2)


# ---- Numbers that are no answer


@pytest.mark.parametrize("value", [372, 1.5, -0.5, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("layout", ["raw", "transposed", "objectness", "rows", "end2end"])
def test_score_out_of_range_when_the_model_is_opened(save: Save, layout: str, value: float) -> None:
    shape, place = ((1, 6, 84), (0, 4, 9)) if layout == "raw" else ((1, 84, 6), (0, 9, 4))
    with pytest.raises(InvalidOutput):
        YOLO(save(planted(shape, {place: value})), layout=layout, threads=1)


@pytest.mark.parametrize("value", [372, 3e38])
@pytest.mark.parametrize("layout", ["raw", "transposed", "objectness", "rows", "end2end"])
def test_score_out_of_range_in_one_picture(save: Save, layout: str, value: float) -> None:
    """The others have their results, and the model goes on."""
    shape, place = ((1, 6, 84), (0, 4, 9)) if layout == "raw" else ((1, 84, 6), (0, 9, 4))
    with YOLO(save(planted(shape, None, None, {place: value})), layout=layout, threads=1) as model:
        with pytest.raises(PartialFailure) as failure:
            model([BLACK, WHITE, BLACK])
        assert list(failure.value.errors) == [1]
        assert type(failure.value.errors[1]) is InvalidOutput
        assert len(model(BLACK)[0]) == 0


@pytest.mark.parametrize("box", [(5000, 32, 9, 9), (32, -5000, 9, 9), (32, 32, 1e6, 9), (1e9, 1e9, 1e9, 1e9)])
def test_box_far_outside(save: Save, box: tuple[float, ...]) -> None:
    bright = {(0, 4, 9): 0.9, **{(0, place, 9): value for place, value in enumerate(box)}}
    with YOLO(save(planted((1, 6, 84), when_bright=bright)), layout="raw", threads=1) as model:
        with pytest.raises(InvalidOutput, match="far outside"):
            model(WHITE)
        assert len(model(BLACK)[0]) == 0


def test_box_somewhat_outside_is_clipped(save: Save) -> None:
    path = save(planted((1, 6, 84), {(0, ..., 9): (-20, 32, 60, 20, 0.9, 0)}))
    assert boxes_of(path, "openvino", layout="raw") == [[0, 22, 10, 42, 0.9, 0]]


@pytest.mark.parametrize("layout", ["raw", "transposed", "objectness", "end2end"])
def test_normalised_boxes(save: Save, layout: str) -> None:
    rows = {(0, place): (0.5, 0.4, 0.7, 0.9, 0.9, 1) for place in range(20)}
    model = planted((1, 84, 6), rows)
    if layout == "raw":
        model = planted((1, 6, 84), {(0, ..., place): row for (_, place), row in rows.items()})
    with pytest.raises(InvalidOutput, match="normalised"):
        YOLO(save(model), layout=layout, threads=1)


@pytest.mark.parametrize("number", [0.8, 7, -1])
def test_class_that_does_not_exist(save: Save, number: float) -> None:
    path = save(planted((1, 40, 6), {(0, 3): (*CORNERS, 0.9, number)}))
    with pytest.raises(InvalidOutput, match="the class"):
        YOLO(path, layout="end2end", names=["a", "b"], threads=1)


def test_error_crosses_from_workers(save: Save) -> None:
    path = save(planted((1, 6, 84), when_bright={(0, 4, 9): 372}))
    with YOLO(path, layout="raw", workers=1, threads=1) as model:
        with pytest.raises(InvalidOutput, match="372"):
            model(WHITE)
        assert len(model(BLACK)[0]) == 0


# ---- Names


@pytest.mark.parametrize("wrong", ["{1: 'a', 2: 'b', 3: 'c'}", "a, b, c", "['a']", "{}", "{0: 'a', 5: 'b'}", "7"])
def test_names_of_the_caller_mend_the_file(save: Save, wrong: str) -> None:
    path = save(yolov8({"task": "detect", "names": wrong}))
    with pytest.raises(ModelError):
        YOLO(path, threads=1)
    with YOLO(path, names=["x", "y", "z"], threads=1) as model:
        assert model.names == {0: "x", 1: "y", 2: "z"}


# ---- Output


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_of_numbers_that_are_none(value: float) -> None:
    def refuse(text: str) -> None:
        raise ValueError(text)

    text = strict_json({"a": [1.5, value, {"b": (value,)}], "c": "NaN"})
    assert json.loads(text, parse_constant=refuse) == {"a": [1.5, None, {"b": [None]}], "c": "NaN"}
    results = Results(WHITE, "a.jpg", {0: "a"}, np.array([[1, 2, 3, 4, 0.5, 0]], np.float32))
    assert json.loads(results.to_json(), parse_constant=refuse)[0]["confidence"] == 0.5


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_command_ends_with_a_message(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    import cv2

    path = save(planted((1, 6, 84), {(0, 4, 9): np.nan}, {"task": "detect", "names": "['a', 'b']"}))
    cv2.imwrite(str(tmp_path / "gray.png"), WHITE)
    status = main(["predict", str(path), str(tmp_path / "gray.png"), "--format", form])
    out, err = capsys.readouterr()
    assert status != 0
    assert "Traceback" not in out + err
    assert "NaN" not in out
    assert "no number" in err or "none (NaN" in err


def test_refusal_says_the_argument(save: Save) -> None:
    with pytest.raises(UnsupportedModel, match=r"YOLO\(path, layout='objectness'\)"):
        YOLO(save(planted(EIGHT)))


def test_layout_on_the_command_line(save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import cv2

    path = save(planted((1, 84, 6), {(0, 5): (22, 16, 42, 32, 0.5, 1)}))
    cv2.imwrite(str(tmp_path / "white.png"), WHITE)
    arguments = ["predict", str(path), str(tmp_path / "white.png"), "--format", "jsonl"]
    assert main([*arguments, "--layout", "rows"]) == 0
    assert json.loads(capsys.readouterr().out)["detections"][0]["confidence"] == 0.5
    assert main(arguments) != 0
    assert "layout='rows'" in capsys.readouterr().err
