"""Writes tests/data/tiny-*.pt: the smallest networks with random weights, saved by Ultralytics itself.

Runs where Ultralytics and PyTorch are installed: python tools/tiny_checkpoints.py FOLDER. `detect` is saved in
float16, as Ultralytics does; `classify` in bfloat16, with the transforms that trained classifiers carry.
"""

from __future__ import annotations  # noqa: I001

import sys
from pathlib import Path
from typing import Any

import cpu_torchvision  # noqa: F401 - before ultralytics, which needs it
import torch
import yaml
from ultralytics import YOLO
from ultralytics.data.augment import classify_transforms

NAMES = ("cat", "dog", "Škoda", "鳥")
PLANS: dict[str, dict[str, Any]] = {
    "detect": {
        "nc": 3,
        "reg_max": 1,
        "backbone": [
            [-1, 1, "Conv", [8, 3, 2]],
            [-1, 1, "Conv", [8, 3, 2]],
            [-1, 1, "C2f", [8, True]],
            [-1, 1, "Conv", [16, 3, 2]],
            [-1, 1, "SPPF", [16, 5]],
        ],
        "head": [
            [-1, 1, "nn.Upsample", ["None", 2, "nearest"]],
            [[-1, 2], 1, "Concat", [1]],
            [[6, 4], 1, "Detect", ["nc"]],
        ],
    },
    "classify": {
        "nc": 4,
        "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "C2f", [8, True]]],
        "head": [[-1, 1, "Classify", ["nc"]]],
    },
}


def make(task: str, folder: Path) -> None:
    """One file."""
    torch.manual_seed(0)
    plan = folder / f"tiny-{task}.yaml"
    plan.write_text(yaml.safe_dump(PLANS[task]))
    model = YOLO(str(plan), task=task).model
    plan.unlink()
    model.names = dict(enumerate(NAMES[: PLANS[task]["nc"]]))
    model.task, model.args = task, {"imgsz": 64, "task": task}
    model.yaml.pop("yaml_file", None)
    if task == "classify":
        model.transforms = classify_transforms(32)
    model = model.bfloat16() if task == "classify" else model.half()
    torch.save(
        {"model": model, "ema": None, "version": "8.4.190", "train_args": model.args}, folder / f"tiny-{task}.pt"
    )


if __name__ == "__main__":
    for task in PLANS:
        make(task, Path(sys.argv[1]))
