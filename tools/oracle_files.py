"""Make the oracle's models and photographs beside `best.pt`. Runs in the oracle's environment.

    python tools/oracle_files.py .oracle/files

best_dynamic.onnx: the export of best.pt for any size. yolov8n.pt: a nano network with random weights, which costs what
a trained one does; its exports are yolov8n_dynamic.onnx and yolov8n_static.onnx.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from ultralytics import YOLO
from ultralytics.utils import ASSETS

import cpu_torchvision  # noqa: F401  lets it predict beside a torch without CUDA

SEED = 0


def export(checkpoint: Path, to: Path, dynamic: bool) -> None:
    made = YOLO(checkpoint).export(format="onnx", dynamic=dynamic, verbose=False)
    Path(made).replace(to)


def main(folder: Path) -> None:
    for photograph in ("bus.jpg", "zidane.jpg"):
        shutil.copy(ASSETS / photograph, folder)
    export(folder / "best.pt", folder / "best_dynamic.onnx", dynamic=True)
    torch.manual_seed(SEED)
    nano = folder / "yolov8n.pt"
    YOLO("yolov8n.yaml").save(nano)
    export(nano, folder / "yolov8n_dynamic.onnx", dynamic=True)
    export(nano, folder / "yolov8n_static.onnx", dynamic=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
