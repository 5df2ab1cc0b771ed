"""Who takes part, each in its environment."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

MANY = 64
FEW = 8


@dataclass(frozen=True)
class Entry:
    """A contender. python: of its environment. most_callers: that it is measured with, and why no more."""

    name: str
    module: str
    pattern: str
    python: Path
    most_callers: int = MANY
    because: str = ""


def entries(field: Path, oracle: Path) -> list[Entry]:
    """All contenders, with environments below `field` and the one of Ultralytics in `oracle`."""

    def of(environment: str) -> Path:
        return field / environment / "bin" / "python"

    ultralytics = oracle / "bin" / "python"
    memory = "a process with PyTorch and a model takes some 300 MB"
    return [
        Entry("yoloom", "by_yoloom", "threads", Path(sys.executable)),
        Entry("yoloom, 2 workers", "by_yoloom", "workers", Path(sys.executable)),
        Entry("OpenVINO, LATENCY", "by_openvino", "latency", of("runtimes")),
        Entry("OpenVINO, THROUGHPUT", "by_openvino", "throughput", of("runtimes")),
        Entry("ONNX Runtime, shared", "by_onnxruntime", "shared", of("runtimes")),
        Entry("ONNX Runtime, lock", "by_onnxruntime", "locked", of("runtimes")),
        Entry("Ultralytics, shared", "by_ultralytics", "shared", ultralytics),
        Entry("Ultralytics, ThreadingLocked", "by_ultralytics", "locked", ultralytics),
        Entry("Ultralytics, model per thread", "by_ultralytics", "own", ultralytics),
        Entry("Ultralytics, model per process", "by_ultralytics", "processes", ultralytics, FEW, memory),
        Entry("batched", "by_batched", "batch", of("batched")),
        Entry("yowo, shared", "by_yowo", "shared", of("yowo")),
        Entry("yowo, lock", "by_yowo", "locked", of("yowo")),
        Entry("onnx-predictor-yolo", "by_onnx_predictor", "shared", of("onnx-predictor")),
        Entry("openvino-model-api, shared", "by_model_api", "shared", of("model-api")),
        Entry("openvino-model-api, lock", "by_model_api", "locked", of("model-api")),
    ]


def missing(entry: Entry) -> str | None:
    """Why the environment is not there, None when it is. `tools/make_field.sh` leaves the reason beside it."""
    if entry.python.exists():
        return None
    told = entry.python.parent.parent.with_suffix(".skipped")
    return told.read_text().strip() if told.exists() else f"{entry.python} is not there, see make bench"
