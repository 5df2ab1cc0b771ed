"""Adapts models of other libraries as people share them, for `yoloom verify --target yoloom.verify.adapters:NAME`.

```
yoloom verify --target yoloom.verify.adapters:ultralytics --target-arg yolov8n.pt
yoloom verify --target yoloom.verify.adapters:onnxruntime --target-arg yolov8n.onnx --target-arg threads=2
yoloom verify --target yoloom.verify.adapters:openvino --target-arg yolov8n.onnx --target-arg request=each
```

Each runs in the environment in which its library is installed, which is imported when its function is called. All
arguments may be texts, as a command line gives them.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable, InvalidOption, ModelNotFound
from yoloom.images.letterbox import plan_letterbox
from yoloom.validation import positive
from yoloom.verify.target import CONFIDENCES, OVERLAPS, Target

DEFAULT_IMGSZ = 640


def ultralytics(path: str, task: str | None = None, device: str | None = None, imgsz: str = "320") -> Target:
    """Share one Ultralytics `YOLO` among all callers, each with options of its own.

    Args:
        path: of the model's file.
        task: as Ultralytics names it; None for the one that the file says.
        device: as Ultralytics names it; None for its own choice.
        imgsz: pixels of the smaller network input; callers ask for twice that too.

    Returns:
        A target for `check`.

    Raises:
        BackendUnavailable: Ultralytics is not installed.
        InvalidOption: imgsz is no whole number.
    """
    package = _import("ultralytics")
    model = package.YOLO(path, task=task)
    placed = {} if device is None else {"device": device}
    side = _whole("imgsz", imgsz)
    classes = list(model.names)

    def predict(image: NDArray[np.uint8], **options: Any) -> Any:
        [results] = model.predict(image, verbose=False, **placed, **options)
        return results

    return Target(
        name=f"ultralytics.YOLO({os.fspath(path)!r}), one for all",
        predict=predict,
        options={
            "conf": CONFIDENCES,
            "iou": OVERLAPS,
            "max_det": (1, 5, 300),
            "classes": (None, classes[:1], classes[::2]),
            "imgsz": (side, 2 * side),
        },
        facts={"library": f"ultralytics {package.__version__}"},
    )


def onnxruntime(path: str, threads: str | None = None, imgsz: str | None = None) -> Target:
    """Share one `InferenceSession` on the CPU among all callers, as ONNX Runtime documents it.

    Args:
        path: of the ONNX file.
        threads: of one run; None for the runtime's choice.
        imgsz: pixels of the network input where the file leaves it open; None for 640.

    Returns:
        A target for `check`.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
        InvalidOption: a number is none, or the graph's input is no image.
        ModelNotFound: there is no such file.
    """
    _import("yoloom.runtime.onnxruntime_quietly")
    package = _import("onnxruntime")
    options = package.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = _whole("threads", threads)
    session = package.InferenceSession(_existing(path), options, providers=["CPUExecutionProvider"])
    [entry] = session.get_inputs()
    prepare = _preparation(entry.shape, imgsz)
    return Target(
        name=f"onnxruntime.InferenceSession({os.fspath(path)!r}), one for all",
        predict=lambda image: session.run(None, {entry.name: prepare(image)}),
        facts={"library": f"onnxruntime {package.__version__}"},
    )


def openvino(path: str, request: str = "shared", imgsz: str | None = None) -> Target:
    """Share one `CompiledModel` on the CPU among all callers.

    Args:
        path: of the ONNX or OpenVINO file.
        request: "shared" calls it as `compiled(image)`, which has one infer request behind it; "each" makes an infer
            request for each call.
        imgsz: pixels of the network input where the file leaves it open; None for 640.

    Returns:
        A target for `check`.

    Raises:
        InvalidOption: `request` is neither, a number is none, or the graph's input is no image.
        ModelNotFound: there is no such file.
    """
    if request not in ("shared", "each"):
        raise InvalidOption(f"request must be 'shared' or 'each', got {request!r}.")
    package: Any = importlib.import_module("yoloom.runtime.openvino_quietly").openvino
    compiled = package.Core().compile_model(_existing(path), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
    shape = [side.get_length() if side.is_static else None for side in compiled.input(0).partial_shape]
    prepare = _preparation(shape, imgsz)

    def run(image: NDArray[np.uint8]) -> Any:
        return (
            compiled(prepare(image)) if request == "shared" else compiled.create_infer_request().infer(prepare(image))
        )

    return Target(
        name=f"openvino.CompiledModel({os.fspath(path)!r}), {request} infer request",
        predict=run,
        facts={"library": f"openvino {package.__version__}"},
    )


def _import(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise BackendUnavailable(
            f"this adapter needs {error.name or package}, which can not be imported here ({error}): "
            "run yoloom in the environment that has it."
        ) from error


def _existing(path: str) -> str:
    if not Path(path).exists():
        raise ModelNotFound(f"expected a model file that exists, got {os.fspath(path)!r}.")
    return os.fspath(path)


def _whole(name: str, value: str | int) -> int:
    """Read a text of the command line, or a number, as a whole number of at least 1. Raises InvalidOption."""
    try:
        number = int(value)
    except ValueError as error:
        raise InvalidOption(f"{name} must be a whole number, got {value!r}.") from error
    return positive(name, number)


def _preparation(shape: Sequence[Any], imgsz: str | None) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """Return a function: image (H, W, 3) uint8 BGR → network input (B, 3, h, w) float32 RGB, 0 to 1.

    shape: of the graph's input, None or texts where it is open. imgsz: pixels of open sides.
    """
    if len(shape) != 4:
        raise InvalidOption(f"the model's input must be (batch, 3, height, width), got {list(shape)}.")
    open_side = DEFAULT_IMGSZ if imgsz is None else _whole("imgsz", imgsz)
    batch, _, height, width = (side if isinstance(side, int) and side > 0 else None for side in shape)
    size_hw = (height or open_side, width or open_side)

    def prepare(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        letterbox = plan_letterbox((image.shape[0], image.shape[1]), size_hw, None)
        canvas = np.empty((*letterbox.canvas_hw, 3), np.uint8)
        letterbox.draw(image, canvas)
        rgb = cv2.cvtColor(canvas, cv2.COLOR_BGR2RGB).transpose(2, 0, 1)
        scaled = np.ascontiguousarray(rgb, np.float32) / np.float32(255)
        return np.repeat(scaled[None], batch or 1, axis=0)

    return prepare
