"""Checkpoints with random weights of every family and task, and what Ultralytics computes from them.

For a name, which is a plan and what is changed in it, such as yolo11n-pose or yolov8n-pose:nc=3,kpt_shape=5x2, `make`
puts NAME.pt and NAME.npz into a folder: `images`, a random input of odd multiples of the stride; `raw0` and
`raw1`, the outputs of the default head; `best0`, those of the head without NMS where there is one. The reference is the
eager network in float32, not fused.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cpu_torchvision  # noqa: F401  # isort: skip  before ultralytics
import numpy as np
import torch
import yaml
from ultralytics import YOLO
from ultralytics.nn.modules.head import Detect
from ultralytics.nn.tasks import yaml_model_load

from oracle_lively import liven, noise

BATCH = 2
SMALLEST = (
    *("yolov3-tiny", "yolov5n", "yolov5n-p6", "yolov6n", "yolov8n", "yolov8n-p2", "yolov8n-p6"),
    *("yolov8n-ghost", "yolov8n-ghost-p2", "yolov8n-ghost-p6", "yolov8n-cls-resnet50"),
    *("yolov8n-seg", "yolov8n-seg-p6", "yolov8n-pose", "yolov8n-pose-p6", "yolov8n-obb", "yolov8n-cls"),
    *("yolov9t", "yolov9c-seg", "yolov10n"),
    *("yolo11n", "yolo11n-seg", "yolo11n-pose", "yolo11n-obb", "yolo11n-cls"),
    *("yolo12n", "yolo12n-seg", "yolo12n-pose", "yolo12n-obb", "yolo12n-cls"),
    *("yolo26n", "yolo26n-p2", "yolo26n-p6", "yolo26n-seg", "yolo26n-pose", "yolo26n-obb", "yolo26n-cls"),
)
LARGER = (
    *("yolov3", "yolov3-spp", "yolov5s", "yolov5s-p6", "yolov6s", "yolov8s", "yolov8s-p2", "yolov8s-p6"),
    *("yolov8s-seg", "yolov8s-pose", "yolov8s-obb", "yolov8s-cls", "yolov8s-ghost"),
    *("yolov9s", "yolov9m", "yolov9c", "yolov9e", "yolov9e-seg"),
    *("yolov10s", "yolov10m", "yolov10b", "yolov10l", "yolov10x"),
    *("yolo11m", "yolo11s-seg", "yolo11s-pose", "yolo11s-obb", "yolo11s-cls"),
    *("yolo12s", "yolo12l", "yolo12s-seg", "yolo12s-pose", "yolo12s-obb", "yolo12s-cls"),
    *("yolo26m", "yolo26s-p2", "yolo26s-p6", "yolo26s-seg", "yolo26s-pose", "yolo26s-obb", "yolo26s-cls"),
)
UNUSUAL = (
    *("yolov8n:nc=3,channels=1", "yolo11n:nc=1", "yolo26n:nc=7,channels=4", "yolov10n:nc=2"),
    *("yolov8n-pose:nc=3,kpt_shape=5x2", "yolo11n-pose:kpt_shape=17x2", "yolo26n-pose:nc=2,kpt_shape=4x2"),
    *("yolov8n-seg:nc=2", "yolov8n-obb:nc=15", "yolo26n-obb:nc=3", "yolo11n-cls:nc=5", "yolov9t:activation=ReLU"),
)
PLANS = SMALLEST + LARGER + UNUSUAL


def make(folder: Path, name: str) -> None:
    make_from(changed_plan(name), folder, name)


def make_from(plan: dict[str, Any], folder: Path, name: str, stride: int | None = None) -> None:
    torch.manual_seed(0)
    model = from_plan(plan, name)
    channels, step = plan.get("channels", 3), stride or largest_stride(model.model)
    liven(model.model, channels)
    images = noise(BATCH, channels, (3 * step, 5 * step))
    model.save(folder / f"{name}.pt")
    arrays = reference(folder / f"{name}.pt", images)
    np.savez_compressed(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]


def changed_plan(name: str) -> dict[str, Any]:
    base, _, changes = name.partition(":")
    plan = dict(yaml_model_load(f"{base}.yaml"))
    for change in filter(None, changes.split(",")):
        key, value = change.split("=")
        plan[key] = changed(key, value)
    return plan


def changed(key: str, value: str) -> object:
    if key == "activation":
        return f"torch.nn.{value}()"
    numbers = [int(number) for number in value.split("x")]
    return numbers if len(numbers) > 1 else numbers[0]


def from_plan(plan: dict[str, Any], name: str) -> Any:
    plan = {key: value for key, value in plan.items() if key != "yaml_file"}
    Detect.legacy = False  # which the network built before may have left as it needs it
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name.partition(':')[0]}.yaml"
        path.write_text(yaml.safe_dump(plan))
        model = YOLO(path)
    if "channels" in plan:  # which it takes from the data set, not from the plan
        colour = model.model
        model.model = type(colour)(colour.yaml | {"channels": plan["channels"]}, ch=plan["channels"], verbose=False)
        model.model.args, model.model.task = colour.args, colour.task
    return model


def largest_stride(network: Any) -> int:
    return 64 if network.task == "classify" else int(max(network.stride))  # a classifier says 1


def reference(path: Path, images: torch.Tensor) -> dict[str, np.ndarray]:
    network = torch.load(path, weights_only=False)["model"].float().eval()  # its own loader renames v3 and v5
    head = network.model[-1]
    arrays = {"images": images}
    with torch.no_grad():
        arrays |= {f"raw{index}": output for index, output in enumerate(outputs(network(images)))}
        if hasattr(head, "one2one_cv2"):
            head.end2end = True
            arrays["best0"] = next(outputs(network(images)))
    return {key: value.numpy() for key, value in arrays.items()}


def outputs(result: Any) -> Iterator[torch.Tensor]:
    """The prediction, and the prototypes of a segmentation; not what the losses need."""
    result = result[0] if isinstance(result, tuple) else result
    yield from (part for part in (result if isinstance(result, tuple) else [result]) if isinstance(part, torch.Tensor))
