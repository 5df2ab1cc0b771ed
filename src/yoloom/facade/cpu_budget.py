"""The CPU budget of this process as it stands: what there is, who computes with it, and who takes more than that."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2

from yoloom.engine.engine import Engine
from yoloom.engine.registry import registry
from yoloom.system.cpus import affinity_cpus, available_cpus, container_cpus

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What other libraries size their thread pools by. Without them, each takes all CPUs."""


@dataclass(frozen=True)
class EngineBudget:
    """What one open model has of the budget. Immutable: shared freely.

    threads: the most that it computes with. lanes: contexts that are compiled for it. computing: CPUs that its runs
    have at this moment. waiting: runs that wait until other models give CPUs back.
    """

    file: str
    backend: str
    threads: int
    lanes: int
    computing: int
    waiting: int


@dataclass(frozen=True)
class CpuBudget:
    """The CPUs of this process and who uses them, at one moment. Immutable: shared freely.

    cpus: what its affinity and its container's quota leave to it, shared by all open models. quota: None without one.
    opencv_threads: of OpenCV's own pool, which yoloom's letterboxes and pictures use, and which it never resizes.
    warnings: who takes more than there is, and what to do about it.
    """

    cpus: int
    affinity: int
    quota: float | None
    engines: tuple[EngineBudget, ...]
    opencv_threads: int
    warnings: tuple[str, ...]


def cpu_budget() -> CpuBudget:
    """The budget of this process now. Any thread; changes nothing."""
    cpus, quota = available_cpus(), container_cpus()
    engines = tuple(map(_budget_of, registry().engines()))
    opencv_threads = cv2.getNumThreads()
    warnings = (
        *_oversubscribed(cpus, os.environ, sys.modules, opencv_threads),
        *_crowded(cpus, engines),
    )
    return CpuBudget(cpus, affinity_cpus(), None if quota == math.inf else quota, engines, opencv_threads, warnings)


def _budget_of(engine: Engine) -> EngineBudget:
    share = engine.share
    return EngineBudget(
        str(engine.model.graph.path),
        engine.backend.name,
        engine.threads,
        engine.statistics().lanes,
        share.computing,
        len(share.waiting),
    )


def _oversubscribed(
    cpus: int, environment: Mapping[str, str], modules: Mapping[str, Any], opencv_threads: int
) -> Iterator[str]:
    for name in _VARIABLES:
        text = environment.get(name, "").split(",")[0].strip()
        if text.isascii() and text.isdecimal() and int(text) > cpus:
            yield f"{name}={text} lets other libraries use more threads than there are CPUs ({cpus}): set it to {cpus}."
    torch: Any = modules.get("torch")  # it may be half imported
    threads = torch.get_num_threads() if hasattr(torch, "get_num_threads") else 0
    if threads > cpus:
        yield f"torch computes with {threads} threads on {cpus} CPUs: call torch.set_num_threads({cpus})."
    if opencv_threads > cpus:
        yield f"OpenCV's pool has {opencv_threads} threads on {cpus} CPUs: call cv2.setNumThreads({cpus})."


def _crowded(cpus: int, engines: tuple[EngineBudget, ...]) -> Iterator[str]:
    for engine in engines:
        if engine.threads > cpus:
            yield f"{engine.file} was opened with threads={engine.threads} on {cpus} CPUs: ask for {cpus} at the most."
    threads = sum(engine.threads for engine in engines)
    if len(engines) > 1 and threads > cpus:
        yield (
            f"{len(engines)} open models ask for {threads} threads on {cpus} CPUs: while several are busy they take "
            "turns, and each is as much slower."
        )
