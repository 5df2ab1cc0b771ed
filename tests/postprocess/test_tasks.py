"""Every task finds what Ultralytics 8.4.190 finds in the same raw outputs: tools/golden_heads.py made the files."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom.errors import InvalidModel
from yoloom.images.letterbox import Letterbox, plan_letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.tasks import TASKS
from yoloom.testing import barrier_run, shaken

FILES = sorted((Path(__file__).parents[1] / "data/heads").glob("*.npz"))
OPTIONS = ("conf", "iou", "max_det", "agnostic_nms")


@dataclass
class Case:
    """What one golden file holds."""

    plan: dict[str, Any]
    outputs: tuple[np.ndarray, ...]
    expected: dict[str, np.ndarray]

    @property
    def head(self) -> OutputLayout:
        points = self.plan["kpt_shape"]
        end2end = self.plan["end2end"]
        return OutputLayout(end2end, None if end2end else self.plan["nc"], None if points is None else tuple(points))

    def find(self, outputs: tuple[np.ndarray, ...] | None = None, **options: Any) -> Detections:
        placed = Letterbox(tuple(self.plan["source_hw"]), tuple(self.plan["canvas_hw"]), (1, 1), 0, 0)
        asked = PredictOptions(**{name: self.plan[name] for name in OPTIONS}, **options)
        keep = None if self.plan["classes"] is None else set(self.plan["classes"])
        return TASKS[self.plan["task"]](outputs or self.outputs, self.head, placed, asked, keep)


def load(path: Path) -> Case:
    held = np.load(path)
    outputs = tuple(held[name].astype(np.float32) for name in ("output", "protos") if name in held)
    expected = {name: held[name] for name in held.files if name not in ("plan", "output", "protos")}
    return Case(json.loads(str(held["plan"])), outputs, expected)


def bits(found: Detections) -> list[bytes | None]:
    columns = (getattr(found, field.name) for field in fields(found))
    return [None if column is None else column.tobytes() for column in columns]


def check_masks(found: np.ndarray, packed: np.ndarray, hw: list[int], count: int) -> None:
    assert found.shape == (count, *hw)
    assert found.dtype == np.uint8
    expected = np.unpackbits(packed, count=found.size).reshape(found.shape)
    assert 0 < expected.mean() < 0.5
    assert (found != expected).sum() <= 2  # pixels whose logit is 0 but for its last bits


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_agrees_with_ultralytics(path: Path) -> None:
    case = load(path)
    found = case.find()
    columns = ("boxes", "keypoints", "obb")
    assert {name for name in columns if getattr(found, name) is not None} == case.expected.keys() & set(columns)
    for name in case.expected.keys() & set(columns):
        assert getattr(found, name).dtype == np.float32
        assert len(case.expected[name]) > 15
        np.testing.assert_allclose(getattr(found, name), case.expected[name], rtol=1e-6, atol=1e-4)
    if case.plan["task"] == "segment":
        assert found.masks is not None
        check_masks(found.masks, case.expected["masks"], case.plan["canvas_hw"], len(case.expected["boxes"]))


@pytest.mark.parametrize("path", [path for path in FILES if "segment" in path.stem], ids=lambda path: path.stem)
def test_retina_masks_agree_with_ultralytics(path: Path) -> None:
    case = load(path)
    found = case.find(retina_masks=True)
    np.testing.assert_allclose(found.boxes, case.expected["retina_boxes"], rtol=1e-6, atol=1e-4)
    assert found.masks is not None
    check_masks(found.masks, case.expected["retina_masks"], case.plan["source_hw"], len(found.masks))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_same_bits_in_every_thread_and_input_is_left_alone(path: Path) -> None:
    case = load(path)
    for output in case.outputs:
        output.flags.writeable = False
    expected = bits(case.find())
    with shaken():
        assert barrier_run(4, lambda _: bits(case.find())) == [expected] * 4
    assert bits(case.find(tuple(np.asfortranarray(output) for output in case.outputs))) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_findings_belong_to_the_caller(path: Path) -> None:
    case = load(path)
    found = case.find(retina_masks=True)
    for column in (found.boxes, found.masks, found.keypoints, found.obb):
        if column is not None:
            assert not any(np.shares_memory(column, output) for output in case.outputs)
            column[...] = 0


EMPTY = {
    "detect": ((5, 7), {"boxes": (0, 6)}),
    "pose": ((11, 7), {"boxes": (0, 6), "keypoints": (0, 2, 3)}),
    "obb": ((6, 7), {"obb": (0, 7)}),
    "segment": ((9, 7), {"boxes": (0, 6)}),  # as with Ultralytics, there are no masks of nothing
}
PROTOS = np.zeros((4, 16, 24), np.float32)


@pytest.mark.parametrize("end2end", [False, True])
@pytest.mark.parametrize("task", EMPTY)
def test_nothing_found_has_the_shape_of_nothing(task: str, end2end: bool) -> None:
    shape, expected = EMPTY[task]
    output = np.zeros((7, shape[0] + 1) if end2end else shape, np.float32)
    outputs = (output, PROTOS) if task == "segment" else (output,)
    head = OutputLayout(end2end, None if end2end else 1, (2, 3))
    found = TASKS[task](outputs, head, plan_letterbox((128, 192), (64, 96), 32), PredictOptions(), None)
    columns = {field.name: getattr(found, field.name) for field in fields(found)}
    assert {name: column.shape for name, column in columns.items() if column is not None} == expected


@pytest.mark.parametrize("end2end", [False, True])
@pytest.mark.parametrize("task", EMPTY)
def test_output_of_another_shape(task: str, end2end: bool) -> None:
    """A file may say one thing and its network do another: never a wrong column read as a score."""
    channels = EMPTY[task][0][0] + 1 + end2end
    output = np.zeros((7, channels) if end2end else (channels, 7), np.float32)
    outputs = (output, PROTOS) if task == "segment" else (output,)
    head = OutputLayout(end2end, None if end2end else 1, (2, 3))
    with pytest.raises(
        InvalidModel, match=r"gave an output of shape \(\d+, \d+\) for an image; expected .*4 box values"
    ):
        TASKS[task](outputs, head, plan_letterbox((64, 96), (64, 96), 32), PredictOptions(), None)


def test_classes_are_counted_where_the_file_does_not_say() -> None:
    output = np.array([[50, 40, 20, 10, 0.5, 0.75, 0.125]], np.float32).T
    placed = plan_letterbox((96, 96), (96, 96), 32)
    found = TASKS["obb"]((output,), OutputLayout(end2end=False), placed, PredictOptions(), None)
    assert found.obb is not None
    assert found.obb.tolist() == [[50, 40, 20, 10, 0.125, 0.75, 1]]
    with pytest.raises(InvalidModel, match="expected 4 box values, at least one class score and 1 more values"):
        TASKS["obb"]((output[:5],), OutputLayout(end2end=False), placed, PredictOptions(), None)


def test_pose_that_does_not_say_its_keypoints() -> None:
    placed = plan_letterbox((96, 96), (96, 96), 32)
    with pytest.raises(InvalidModel, match="kpt_shape"):
        TASKS["pose"](
            (np.zeros((11, 7), np.float32),), OutputLayout(end2end=False, nc=1), placed, PredictOptions(), None
        )


# ---- Classification


def test_probabilities_come_out_as_they_are() -> None:
    """Neither `conf` nor `classes` changes them."""
    probs = np.array([0.125, 0.75, 0.125], np.float32)
    for nc in (3, None):
        found = TASKS["classify"]((probs,), OutputLayout(False, nc), None, PredictOptions(conf=0.9), {0})
        assert found.probs is not None
        assert found.probs.tolist() == [0.125, 0.75, 0.125]
        assert not np.shares_memory(found.probs, probs)
        assert found.boxes is None


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), (3, 7, 7)])
def test_probabilities_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidModel, match="one probability for each of its 3 classes"):
        TASKS["classify"]((np.zeros(shape, np.float32),), OutputLayout(False, 3), None, PredictOptions(), None)
