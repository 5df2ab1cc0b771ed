"""Write down what Ultralytics answers, for the parity tests. Runs in the oracle's environment.

    python tools/oracle_predict.py .oracle/files

Writes `predictions.json`: a list of {"model", "image", "options", "rows"}, where rows are x1, y1, x2, y2, confidence
and class of each box, best first.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ultralytics import YOLO

import cpu_torchvision  # noqa: F401  lets it predict beside a torch without CUDA

MODELS = ("best.pt", "best_dynamic.onnx", "best_fp16.onnx")
IMAGES = ("bus.jpg", "zidane.jpg")
CONFIDENCES = (0.05, 0.25)
SIZES = (640, 480, 320)
VARIANTS: tuple[dict[str, Any], ...] = (
    {"conf": 0.01, "iou": 0.3},
    {"conf": 0.01, "iou": 0.95},
    {"conf": 0.01, "classes": [0]},
    {"conf": 0.01, "classes": [1], "imgsz": 480},
    {"conf": 0.001, "max_det": 5},
    {"conf": 0.01, "agnostic_nms": True},
    {"conf": 0.01, "agnostic_nms": True, "iou": 0.2, "imgsz": 320},
    {"conf": 0.05, "imgsz": [320, 640]},
    {"conf": 0.05, "rect": False, "imgsz": 480},
)


def options() -> Iterator[dict[str, Any]]:
    for conf, imgsz in itertools.product(CONFIDENCES, SIZES):
        yield {"conf": conf, "imgsz": imgsz}
    yield from VARIANTS


def cases(folder: Path) -> Iterator[dict[str, Any]]:
    for name in MODELS:
        for asked in options():
            # A model for each set of options: Ultralytics keeps some of them for the next call.
            model = YOLO(folder / name, task="detect")
            for image in IMAGES:
                (result,) = model.predict(folder / image, verbose=False, device="cpu", **asked)
                yield {"model": name, "image": image, "options": asked, "rows": result.boxes.data.tolist()}


def main(folder: Path) -> None:
    (folder / "predictions.json").write_text(json.dumps(list(cases(folder))))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
