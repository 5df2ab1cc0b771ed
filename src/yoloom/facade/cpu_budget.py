"""The CPU budget of this process as it stands: the CPUs, the models that compute with them, and oversubscription."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import cv2

from yoloom.engine.engine_registry import registry
from yoloom.engine.lanes.cpu_gate import Share
from yoloom.engine.lanes.thread_lanes import ThreadLanes
from yoloom.system.cpus import affinity_cpus, available_cpus, container_cpus

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Environment variables that size the thread pools of other libraries. Without them, each takes all CPUs."""


@dataclass(frozen=True)
class EngineBudget:
    """The part of one open model in the budget. Immutable. Thread safety: any number of threads.

    Attributes:
        file: The path of the model.
        backend: The runtime that computes it.
        threads: The most threads that it computes with.
        lanes: Contexts that are compiled for it.
        computing: CPUs that its runs have at this moment.
        waiting: Runs that wait until other models give CPUs back.
    """

    file: str
    backend: str
    threads: int
    lanes: int
    computing: int
    waiting: int


@dataclass(frozen=True)
class CpuBudget:
    """The CPUs of this process and their users, at one moment. Immutable. Thread safety: any number of threads.

    Attributes:
        cpus: CPUs that the affinity mask and the container's quota leave to this process, shared by all open models.
        affinity: CPUs of the affinity mask.
        quota: CPUs' worth of time that the container may use, None without a limit.
        engines: The open models.
        opencv_threads: Threads of OpenCV's own pool, which yoloom's letterboxes and pictures use and never resize.
        warnings: Libraries and models that use more threads than there are CPUs, each with what to do about it.
    """

    cpus: int
    affinity: int
    quota: float | None
    engines: tuple[EngineBudget, ...]
    opencv_threads: int
    warnings: tuple[str, ...]


def cpu_budget() -> CpuBudget:
    """Return the CPU budget of this process now. Changes nothing. Thread safety: any number of threads."""
    cpus, quota = available_cpus(), container_cpus()
    engines = []
    for engine in registry().engines():
        gate = engine.lanes.gate if isinstance(engine.lanes, ThreadLanes) else None
        share = gate if isinstance(gate, Share) else None
        engines.append(
            EngineBudget(
                str(engine.model.graph.path),
                engine.guarantee().backend,
                engine.threads,
                engine.statistics().lanes,
                0 if share is None else share.computing,
                0 if share is None else len(share.waiting),
            )
        )
    opencv_threads = cv2.getNumThreads()
    warnings = [*_oversubscribed(cpus, os.environ, sys.modules, opencv_threads)]
    for budget in engines:
        if budget.threads > cpus:
            asked = f"{budget.file} was opened with threads={budget.threads} on {cpus} CPUs"
            warnings.append(f"{asked}: ask for {cpus} at the most.")
    threads = sum(budget.threads for budget in engines)
    if len(engines) > 1 and threads > cpus:
        warnings.append(
            f"{len(engines)} open models ask for {threads} threads on {cpus} CPUs: while several are busy they take "
            "turns, and each is as much slower."
        )
    found_quota = None if quota == math.inf else quota
    return CpuBudget(cpus, affinity_cpus(), found_quota, tuple(engines), opencv_threads, tuple(warnings))


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
