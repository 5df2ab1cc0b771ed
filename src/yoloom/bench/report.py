"""What `yoloom bench` has measured, in the words of its JSON.

Only the standard library, see `callers`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from yoloom.system.machine import cpu_model, package_versions

PACKAGES = ("yoloom", "numpy", "opencv-python-headless", "openvino", "onnxruntime")


@dataclass(frozen=True)
class Level:
    """One number of callers. Immutable: shared freely.

    Rates are medians over the rounds. bare_images_per_s: of the fastest bare loop. ratio: over that loop, the median
    of the rounds' own ratios, with the smallest and the largest. memory_mib: of all its processes, after these callers.
    """

    callers: int
    images_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms_per_image: float
    bare: str
    bare_images_per_s: float
    bare_p50_ms: float
    bare_p99_ms: float
    ratio: float
    ratio_min: float
    ratio_max: float
    memory_mib: float | None


@dataclass(frozen=True)
class BenchReport:
    """A measurement. Immutable: shared freely.

    asked: how the model was opened. start_s: seconds of a fresh process, by part. empty_mib: memory before the model
    was opened. taken_by_others: the largest part of the machine that others took in a turn, 0..1.
    """

    model: str
    asked: dict[str, Any]
    runtime: dict[str, Any]
    images: int
    rounds: int
    seconds: float
    levels: tuple[Level, ...]
    start_s: dict[str, float]
    empty_mib: float | None
    open_mib: float | None
    taken_by_others: float
    machine: dict[str, Any]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def machine() -> dict[str, Any]:
    """The CPU by its name, and how many of them this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": cpu_model(), "cores": cores, "system": platform.system()}


def versions_of(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    return {"python": platform.python_version(), **package_versions(packages)}
