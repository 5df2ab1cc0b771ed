"""The networks that contenders read: those of the oracle, or the bundled model where that is missing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoloom.assets import DEMO_MODEL, PICTURES

SIDE = 640
ANCHORS = sum((SIDE // stride) ** 2 for stride in (8, 16, 32))


@dataclass(frozen=True)
class Networks:
    """`contender.Files` as JSON. speed: costs what a trained one does. trained: finds something."""

    name: str
    speed: dict[str, Any]
    trained: dict[str, Any]


def find_networks(files: Path, scratch: Path) -> Networks:
    """scratch: a folder for what has to be made."""
    if not (files / "yolov8n_static.onnx").exists():
        return _bundled(scratch)
    photographs = [str((files / name).resolve()) for name in ("bus.jpg", "zidane.jpg")]

    def of(*names: str) -> dict[str, Any]:
        paths = [str((files / name).resolve()) for name in names]
        return {**dict(zip(("checkpoint", "dynamic", "static"), paths, strict=True)), "photographs": photographs}

    return Networks(
        "yolov8n (random weights); wrong answers: a trained YOLOv8s",
        of("yolov8n.pt", "yolov8n_dynamic.onnx", "yolov8n_static.onnx"),
        of("best.pt", "best_dynamic.onnx", "best_fp16.onnx"),
    )


def _bundled(scratch: Path) -> Networks:
    static = scratch / "static.onnx"
    _make_static(Path(DEMO_MODEL), static)
    one = {
        "checkpoint": "",
        "dynamic": str(DEMO_MODEL),
        "static": str(static),
        "photographs": [str(path) for path in PICTURES[:2]],
    }
    return Networks("yoloom's bundled model", one, one)


def _make_static(dynamic: Path, static: Path) -> None:
    import onnx

    model = onnx.load(str(dynamic))
    del model.graph.value_info[:]  # sizes of what is between, which are free
    [output] = model.graph.output
    values = output.type.tensor_type.shape.dim[1].dim_value
    for tensor, sizes in ((model.graph.input[0], (1, 3, SIDE, SIDE)), (output, (1, values, ANCHORS))):
        for dim, size in zip(tensor.type.tensor_type.shape.dim, sizes, strict=True):
            dim.dim_value = size
    onnx.save(model, str(static))
