"""Holds a measurement of `yoloom bench`, under the names of its JSON, with the machine that it was made on.

Only the standard library, see `callers`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from yoloom.system.cpu_model import cpu_model
from yoloom.system.machine import package_versions

PACKAGES = ("yoloom", "numpy", "opencv-python-headless", "openvino", "onnxruntime")


@dataclass(frozen=True)
class BenchLevel:
    """One number of callers. Immutable: shared freely.

    Attributes:
        callers: threads that share the model.
        images_per_s: of all of them together, the median over the rounds.
        p50_ms: latency in milliseconds, median.
        p99_ms: latency that 1 % exceeds.
        cpu_ms_per_image: CPU time on all cores together.
        bare: name of the fastest bare loop.
        bare_images_per_s: of that loop.
        bare_p50_ms: of the bare loop with as many callers.
        bare_p99_ms: of the bare loop with as many callers.
        ratio: of the rate to that of the fastest bare loop, the median of the rounds' own ratios.
        ratio_min: the smallest of them.
        ratio_max: the largest of them.
        memory_mib: of all processes, after these callers; None where the system does not tell.
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

    Attributes:
        model: its file.
        asked: the options that it was opened with.
        runtime: backend, version, device and precision.
        images: how many different ones.
        rounds: turns of each contender.
        seconds: of a turn.
        levels: one for each number of callers.
        start_s: seconds of a fresh process to its first result, by part.
        empty_mib: memory before the model was opened.
        open_mib: memory when it was open.
        taken_by_others: the largest part of the machine that others took in a turn, 0..1.
        machine: see `machine`.
        versions: see `versions_of`.
    """

    model: str
    asked: dict[str, Any]
    runtime: dict[str, Any]
    images: int
    rounds: int
    seconds: float
    levels: tuple[BenchLevel, ...]
    start_s: dict[str, float]
    empty_mib: float | None
    open_mib: float | None
    taken_by_others: float
    machine: dict[str, Any]
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values only, as in the JSON."""
        return asdict(self)


def machine() -> dict[str, Any]:
    """Return the CPU by its name, and how many of them this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": cpu_model(), "cores": cores, "system": platform.system()}


def versions_of(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of those of the packages that are installed."""
    return {"python": platform.python_version(), **package_versions(packages)}
