"""The distance of yoloom's graph of a checkpoint from the results of Ultralytics, which lie beside it as arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from yoloom.formats.checkpoint.onnx_model import build_onnx
from yoloom.formats.checkpoint.parse import read_checkpoint

Array = npt.NDArray[Any]
Runner = Callable[[bytes, Array], "list[Array]"]
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """The worst difference of one network: of the output for NMS, and of the head without NMS where there is one."""

    task: str
    raw: float
    best: float | None

    @property
    def worst(self) -> float:
        return max(self.raw, self.best or 0.0)


def compare(path: Path, run: Runner) -> Parity:
    """Compare one checkpoint with the arrays beside it, which tools/ made."""
    with np.load(path.with_suffix(".npz")) as arrays:
        expected = dict(arrays)
    checkpoint, images = read_checkpoint(path), expected["images"]
    outputs = run(build_onnx(checkpoint), images)
    raw = max(difference(output, expected[f"raw{index}"]) for index, output in enumerate(outputs))
    if "best0" not in expected:
        return Parity(checkpoint.task, raw, None)
    best = run(build_onnx(checkpoint, nms=False), images)[0]
    return Parity(checkpoint.task, raw, difference_of_rows(best, expected["best0"]))


def difference(actual: Array, expected: Array) -> float:
    """Find the largest difference, relative to the value, but at least to 1 and to the channel's (axis 1) mean size.

    Probabilities (B, classes), which sum to 1, are relative to the largest of their image.
    """
    _check_shape(actual, expected)
    if expected.ndim == 2:
        return float((np.abs(actual - expected) / expected.max(axis=1, keepdims=True)).max())
    axes = (0, *range(2, expected.ndim))
    sizes = np.abs(expected).mean(axis=axes, keepdims=True)
    return _largest(actual, expected, sizes)


def difference_of_rows(actual: Array, expected: Array) -> float:
    """Find the largest difference of detections in falling order of score.

    Equal scores may come in any order, and any of them may be the last.
    """
    _check_shape(actual, expected)
    return max(_difference_of_image(*pair) for pair in zip(actual, expected, strict=True))


def _difference_of_image(actual: Array, expected: Array) -> float:
    sizes = np.abs(expected).mean(axis=0)
    score = _largest(actual[:, 4], expected[:, 4], sizes[4])
    sure = expected[expected[:, 4] > expected[-1, 4] + 1e-5]
    return max([score, *(min(_largest(row, other, sizes) for other in actual) for row in sure)])


def _largest(actual: Array, expected: Array, sizes: Array) -> float:
    return float((np.abs(actual - expected) / np.maximum(np.maximum(np.abs(expected), sizes), 1)).max())


def _check_shape(actual: Array, expected: Array) -> None:
    if actual.shape != expected.shape:
        raise ValueError(f"expected the shape {expected.shape}, got {actual.shape}")


def run_openvino(model: bytes, images: Array) -> list[Array]:
    from yoloom.runtime.openvino import core

    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core().compile_model(core().read_model(model), "CPU", settings)
    return [np.array(tensor) for tensor in compiled([images]).values()]


def run_onnxruntime(model: bytes, images: Array) -> list[Array]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return list(session.run(None, {"images": images}))


RUNNERS: dict[str, Runner] = {"openvino": run_openvino, "onnxruntime": run_onnxruntime}
