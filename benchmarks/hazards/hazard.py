"""What the four reproductions share: the same calls under either library, and which of their answers are wrong.

Runs in yoloom's environment and in that of Ultralytics: the only difference is whose YOLO is imported.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))
sys.path.insert(1, str(Path(__file__).resolve().parent.parent.parent / "tools"))

import cv2
import numpy as np
from numpy.typing import NDArray

import lone_bench  # noqa: F401  before the next one
from yoloom.bench.process_tree import memory_mib

LIBRARIES = ("ultralytics", "yoloom")
TOLERANCE = 0.01  # pixels, and of the confidence: far above what the order of a sum changes
OPTIONS: tuple[Mapping[str, Any], ...] = (
    {"conf": 0.01},
    {"conf": 0.25},
    {"conf": 0.5},
    {"conf": 0.01, "classes": [1]},
    {"conf": 0.05, "max_det": 2},
    {"conf": 0.01, "iou": 0.2},
)
"""What the threads ask for, one each."""

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """Where and with what. each: calls of each thread."""

    library: str
    checkpoint: str
    pictures: tuple[str, ...]
    each: int

    def open(self) -> Any:
        """A model: `YOLO(path)` of either library."""
        if self.library == "ultralytics":
            import cpu_torchvision  # noqa: F401  lets it predict beside a torch without CUDA
        return importlib.import_module(self.library).YOLO(self.checkpoint)

    def read_pictures(self) -> list[Any]:
        return [cv2.imread(path) for path in self.pictures]


def rows_of(model: Any, picture: Any, options: Mapping[str, Any]) -> Rows:
    [result] = model.predict(picture, verbose=False, **options)
    return np.asarray(result.boxes.data)


def close(*models: Any) -> None:
    """Give back those that want it."""
    for model in models:
        if hasattr(model, "close"):
            model.close()


def answers_alone(setting: Setting) -> list[list[Rows]]:
    """For each set of options a fresh model, one call after another: what every caller must get."""
    alone = []
    for options in OPTIONS:
        model = setting.open()
        alone.append([rows_of(model, picture, options) for picture in setting.read_pictures()])
        close(model)
    return alone


def judge(setting: Setting, model_of: Callable[[int], Any], alone: Sequence[Sequence[Rows]]) -> dict[str, Any]:
    """A thread for each set of options calls the model that `model_of` gives for its number, all at once."""
    pictures = setting.read_pictures()
    start = threading.Barrier(len(OPTIONS))

    def caller(number: int) -> list[str]:
        model = model_of(number)
        start.wait()
        return [_verdict(model, pictures, number, turn, alone[number]) for turn in range(setting.each)]

    with ThreadPoolExecutor(len(OPTIONS)) as pool:
        verdicts = [verdict for some in pool.map(caller, range(len(OPTIONS))) for verdict in some]
    return {
        "wrong": len(verdicts) - verdicts.count("right"),
        "raised": verdicts.count("raised"),
        "of": len(verdicts),
    }


def _verdict(model: Any, pictures: Sequence[Any], number: int, turn: int, alone: Sequence[Rows]) -> str:
    position = turn % len(pictures)
    try:
        rows = rows_of(model, pictures[position], OPTIONS[number])
    except Exception:
        return "raised"
    return "right" if same(rows, alone[position]) else "wrong"


def same(rows: Rows, others: Rows) -> bool:
    return rows.shape == others.shape and bool(np.allclose(rows, others, rtol=0, atol=TOLERANCE))


def held_mib() -> float:
    """Memory of this process and those that it started (Linux, else 0)."""
    return memory_mib(os.getpid()) or 0.0


def main(description: str | None, measure: Callable[[Setting], dict[str, Any]]) -> None:
    """Read the command line, measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", choices=LIBRARIES, required=True)
    parser.add_argument("--files", type=Path, default=Path(".oracle/files"))
    parser.add_argument("--quick", action="store_true", help="few calls: to see that it works")
    asked = parser.parse_args()
    files = asked.files.resolve()
    pictures = (str(files / "bus.jpg"), str(files / "zidane.jpg"))
    setting = Setting(asked.library, str(files / "best.pt"), pictures, 2 if asked.quick else 12)
    print(json.dumps({"library": asked.library, **measure(setting)}))
