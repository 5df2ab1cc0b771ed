"""Runs one idiom of a program written for Ultralytics with either library, and writes its answer down.

Shared by the tests, which run yoloom, and tools/golden_compat.py, which runs Ultralytics in the oracle's environment.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[1] / "data"
NAMES = {0: "person", 1: "bus", 2: "dog"}
SHAPE_HW = (120, 160)
BOXES = [
    [10.5, 20.25, 60.75, 90.5, 0.91, 0],
    [70.0, 10.0, 150.5, 110.25, 0.83, 1],
    [5.25, 5.5, 40.0, 44.75, 0.62, 0],
    [100.0, 60.0, 130.0, 100.0, 0.4, 2],
]
OBBS = [[50, 40, 40, 20, 0.5, 0.9, 1], [100, 70, 30, 10, 2.2, 0.7, 0], [30, 90, 24, 24, 0.1, 0.5, 1]]
PROBS = [0.05, 0.6, 0.1, 0.02, 0.2, 0.03]


@dataclass(frozen=True)
class Case:
    """One idiom.

    Attributes:
        code: Statements that leave their answer in `out`.
        differs: Why yoloom answers something else, and what to write instead; empty where both must answer the same.
        says: A pattern that the message of yoloom's error must match, where it raises one.
        needs: Modules without which the case is left out.
    """

    code: str
    differs: str = ""
    says: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Idioms about one thing.

    Attributes:
        title: For the page.
        given: The names that the code may use, in words.
        setup: Library ("yoloom" or "ultralytics") → those names.
        cases: The idioms.
    """

    title: str
    given: str
    setup: Callable[[str], Mapping[str, Any]]
    cases: tuple[Case, ...]


# --- what the code is given -----------------------------------------------------------------------------------------


def picture() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (*SHAPE_HW, 3), np.uint8)


def results_of(library: str, **members: Any) -> Any:
    """Results with these members, made of lists."""
    if library == "ultralytics":
        torch = importlib.import_module("torch")
        kind = importlib.import_module("ultralytics.engine.results").Results
        arrays = {name: torch.tensor(np.asarray(values)) for name, values in members.items()}
    else:
        kind, arrays = importlib.import_module("yoloom").Results, {k: np.asarray(v) for k, v in members.items()}
    return kind(picture(), path="pictures/street.jpg", names=dict(NAMES), **arrays)


def detect(library: str) -> dict[str, Any]:
    r = results_of(library, boxes=np.array(BOXES, np.float32))
    return {"r": r, "results": [r], "b": r.boxes, "img": picture()}


def nothing(library: str) -> dict[str, Any]:
    """Nothing found, by a model of each task, as the predictor of each library gives it."""
    none = np.zeros((0, 6), np.float32)
    return {
        "detected": results_of(library, boxes=none),
        "segmented": _segmented_nothing(library),
        "posed": results_of(library, boxes=none, keypoints=np.zeros((0, 17, 3), np.float32)),
    }


def _segmented_nothing(library: str) -> Any:
    """What a network whose every score is 0 has found."""
    rows, protos = np.zeros((4 + 3 + 4, 7), np.float32), np.zeros((4, 16, 24), np.float32)
    if library == "yoloom":
        letterbox = importlib.import_module("yoloom.images.letterbox")
        post = importlib.import_module("yoloom.postprocess.tasks")
        layout = importlib.import_module("yoloom.postprocess.detections").OutputLayout(False, 3)
        options = importlib.import_module("yoloom.options").PredictOptions()
        place = letterbox.plan_letterbox(SHAPE_HW, (64, 96), 32)
        found = post.TASKS["segment"]((rows, protos), layout, place, options, None)
        return importlib.import_module("yoloom").Results(picture(), "a.jpg", NAMES, found.boxes, found.masks)
    torch = importlib.import_module("torch")
    segment = importlib.import_module("ultralytics.models.yolo.segment")
    predictor = segment.SegmentationPredictor(overrides={"model": "none.pt", "verbose": False})
    predictor.batch = (["a.jpg"], None, None)
    predictor.model = type("Model", (), {"names": NAMES, "end2end": False, "device": torch.device("cpu")})()
    outputs = (torch.from_numpy(rows)[None], torch.from_numpy(protos)[None])
    [results] = predictor.postprocess((outputs,), torch.zeros(1, 3, 64, 96), [picture()])
    return results


def segment(library: str) -> dict[str, Any]:
    masks = np.zeros((4, *SHAPE_HW), np.uint8)
    for mask, (left, top, right, bottom, *_) in zip(masks, np.array(BOXES).astype(int), strict=True):
        mask[top:bottom, left:right] = 1
    r = results_of(library, boxes=np.array(BOXES, np.float32), masks=masks)
    return {"r": r, "results": [r], "masks": r.masks, "img": picture()}


def pose(library: str) -> dict[str, Any]:
    points = np.random.default_rng(2).uniform(5, 115, (4, 17, 3)).astype(np.float32)
    points[..., 2] /= 115
    r = results_of(library, boxes=np.array(BOXES, np.float32), keypoints=points)
    return {"r": r, "k": r.keypoints}


def obb(library: str) -> dict[str, Any]:
    r = results_of(library, obb=np.array(OBBS, np.float32))
    return {"r": r, "o": r.obb}


def classify(library: str) -> dict[str, Any]:
    r = results_of(library, probs=np.array(PROBS, np.float32))
    return {"r": r, "p": r.probs}


def model(library: str) -> dict[str, Any]:
    """A network with random weights that both libraries open; the code makes the picture that it wants."""
    path = str(DATA / "tiny-detect.pt")
    lib = importlib.import_module(library)
    return {"lib": lib, "YOLO": lib.YOLO, "PT": path, "model": lib.YOLO(path), "img": picture()}


# --- running --------------------------------------------------------------------------------------------------------


def answers(library: str, group: Group, case: Case) -> Any:
    """What `out` is after the code, or the error that it raised, as JSON values."""
    with _elsewhere(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        names = {"np": np, "os": os, "Path": pathlib.Path, **group.setup(library)}
        try:
            exec(case.code, names)
        except Exception as error:
            return {"error": type(error).__name__, "text": str(error)}
        else:
            return plain(names["out"])
        finally:
            for value in names.values():
                if type(value).__module__ == "yoloom.yolo":
                    value.close()


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """Code that writes files does so in a folder of its own."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def plain(value: Any) -> Any:
    """A value as JSON, in which a tensor and an `Array` of the same numbers are the same."""
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, dict):
        return {"dict": [[plain(key), plain(inner)] for key, inner in value.items()]}
    if isinstance(value, (tuple, list)):
        return {"tuple" if isinstance(value, tuple) else "list": [plain(item) for item in value]}
    if isinstance(value, np.ndarray) or hasattr(value, "requires_grad"):
        return _array(value)
    if isinstance(value, np.generic):
        return {"scalar": value.dtype.name, "value": plain(value.item())}
    length = len(value) if hasattr(value, "__len__") else None
    return {"object": type(value).__name__, "length": length}


def _array(value: Any) -> dict[str, Any]:
    is_tensor = hasattr(value, "requires_grad")
    array = np.array(value.detach() if is_tensor else value)
    found = {"tensor" if is_tensor else "numpy": str(value.dtype).removeprefix("torch."), "shape": list(array.shape)}
    if array.size <= 600:
        return found | {"values": [plain(item) for item in array.ravel().tolist()]}
    wide = array.astype(np.float64).ravel()  # of a mask or a picture: its sums tell two apart
    return found | {"sums": [float(wide.sum()), float((wide * np.arange(wide.size) % 997).sum())]}


def same(left: Any, right: Any) -> bool:
    """Whether two answers are the same: numbers to six digits, and any two errors."""
    if isinstance(left, dict) and isinstance(right, dict):
        if "error" in left or "error" in right:
            return "error" in left and "error" in right
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-5, abs_tol=1e-6)
    return type(left) is type(right) and bool(left == right)
