"""The boxes of Ultralytics 8.4.190: as many, within 0.1 px, confidences within 1e-3, the same classes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom import YOLO

PIXELS = 0.1
CONFIDENCE = 1e-3

CASES = json.loads((Path(os.environ["YOLOOM_ORACLE_FILES"]) / "predictions.json").read_text())
MODELS = ("best.pt", "best_dynamic.onnx", "best_fp16.onnx")


def _title(case: dict[str, Any]) -> str:
    asked = "-".join(f"{name}={value}" for name, value in case["options"].items())
    return f"{case['model']}-{case['image']}-{asked}"


@pytest.fixture(scope="module")
def opened(files: Path) -> Iterator[dict[str, YOLO]]:
    models = {name: YOLO(files / name) for name in MODELS}
    yield models
    for model in models.values():
        model.close()


@pytest.mark.parametrize("case", CASES, ids=_title)
def test_boxes_are_those_of_ultralytics(case: dict[str, Any], opened: dict[str, YOLO], files: Path) -> None:
    model = opened[case["model"]]
    (result,) = model.predict(files / case["image"], **case["options"])
    compare(np.asarray(result.boxes.data), np.array(case["rows"], np.float32).reshape(-1, 6))


def test_cases_are_worth_comparing() -> None:
    # 3 models, 2 photographs, 6 plain and 9 special sets of options; a comparison of nothing proves nothing.
    assert len(CASES) == 3 * 2 * (6 + 9)
    assert sum(bool(case["rows"]) for case in CASES) > 0.7 * len(CASES)
    assert max(len(case["rows"]) for case in CASES) > 20


def compare(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Match each box with the nearest of its class that is still free, and compare the pairs."""
    assert len(ours) == len(theirs)
    free = list(range(len(ours)))
    for row in theirs:
        nearest = min(free, key=lambda index: _distance(ours[index], row))
        free.remove(nearest)
        assert ours[nearest, 5] == row[5]
        np.testing.assert_allclose(ours[nearest, :4], row[:4], rtol=0, atol=PIXELS)
        np.testing.assert_allclose(ours[nearest, 4], row[4], rtol=0, atol=CONFIDENCE)


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Pixels and thousandths of confidence in one number; another class is farther than anything."""
    other_class = 1e6 * float(ours[5] != theirs[5])
    return float(np.abs(ours[:4] - theirs[:4]).max() + 1e3 * abs(ours[4] - theirs[4]) + other_class)
