"""Finds leaks: counts what a process holds at rest, lap after lap under one load, and tells growth from noise."""

from __future__ import annotations

import ctypes
import gc
import itertools
import math
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yoloom.sync.clock import Clock, monotonic
from yoloom.system.memory import resident_bytes

MIB = 2**20

LEAST_LAPS = 5
"""Below, a first lap that warms up can not be told from growth."""

MEMORY_FLOOR = 16 * MIB
MEMORY_SHARE = 0.04
GOES_ON = 0.5  # of the growth in the laps before
BLOCKS_FLOOR = 2000
BLOCKS_PER_REQUEST = 0.5

MOST_SAMPLES = 400
FIRST_INTERVAL_S = 0.1


@dataclass(frozen=True)
class Resources:
    """Counts of one process at rest. Immutable.

    Attributes:
        requests: answered until then.
        memory_bytes: physical memory; 0 where the system does not tell.
        blocks: of memory that Python's objects take.
        threads: all of the process's where the system tells, Python's elsewhere.
        descriptors: open files; 0 where the system does not tell.
    """

    requests: int
    memory_bytes: int
    blocks: int
    threads: int
    descriptors: int


def at_rest(requests: int) -> Resources:
    """Collect garbage, give free memory back to the system where that can be asked for, and count."""
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)  # or the allocator's spare pages would look like growth
    blocks = sys.getallocatedblocks()
    threads = _count_entries(Path("/proc/self/task")) or threading.active_count()
    return Resources(requests, resident_bytes(), blocks, threads, _count_entries(Path("/proc/self/fd")))


@cache
def _malloc_trim() -> Any:
    """The C library's, where it has one (glibc)."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def _count_entries(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0


@dataclass(frozen=True)
class Leak:
    """Steady growth under the same load. Immutable: shared freely.

    Attributes:
        what: grows.
        total: from the second lap to the last.
        per_request: on average.
    """

    what: str
    total: float
    per_request: float


def find_leaks(laps: Sequence[Resources]) -> list[Leak]:
    """Return what has grown steadily; nothing for fewer than LEAST_LAPS laps."""
    if len(laps) < LEAST_LAPS:
        return []
    settled = laps[1:]  # the first one fills caches
    requests = max(1, settled[-1].requests - settled[0].requests)
    floors: dict[str, tuple[Callable[[Resources], int], float]] = {
        "bytes of memory": (lambda lap: lap.memory_bytes, max(MEMORY_FLOOR, MEMORY_SHARE * settled[0].memory_bytes)),
        "blocks of Python objects": (lambda lap: lap.blocks, max(BLOCKS_FLOOR, BLOCKS_PER_REQUEST * requests)),
        "threads": (lambda lap: lap.threads, len(settled) - 1),
        "file descriptors": (lambda lap: lap.descriptors, len(settled) - 1),
    }
    leaks = []
    for what, (measure, floor) in floors.items():
        values = [measure(lap) for lap in settled]
        if grows(values, floor):
            total = float(values[-1] - values[0])
            leaks.append(Leak(what, total, total / requests))
    return leaks


def confirmed(suspected: Sequence[Leak], again: Sequence[Leak]) -> list[Leak]:
    """Return the leaks of as many laps again that go on: a cache that fills up slows down, and stops."""
    before = {leak.what: leak.total for leak in suspected}
    return [leak for leak in again if leak.total >= GOES_ON * before.get(leak.what, math.inf)]


def grows(values: Sequence[float], floor: float) -> bool:
    """Return whether `values` rise by `floor` at least, by their median slope, in all steps but one, and to the end."""
    ups = sum(later > earlier for earlier, later in itertools.pairwise(values))
    # Theil-Sen estimator: one lap that stands out does not move the median of all pairs' slopes.
    slopes = [
        (values[later] - values[earlier]) / (later - earlier)
        for earlier, later in itertools.combinations(range(len(values)), 2)
    ]
    rise = statistics.median(slopes) * (len(values) - 1)
    late = values[-1] - values[len(values) // 2]
    return rise >= floor and ups >= len(values) - 2 and late > 0.2 * rise


class MemorySamples:
    """Memory over time, in a bounded number of samples. Thread safety: one thread at a time."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._started = self._next = clock()
        self._interval_s = FIRST_INTERVAL_S
        self._samples: list[tuple[float, int]] = []

    def __call__(self) -> None:
        """Take a sample if one is due: call it often. Intervals double whenever there are many samples."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._interval_s
        self._samples.append((round(now - self._started, 3), resident_bytes()))
        if len(self._samples) >= MOST_SAMPLES:
            self._samples = self._samples[::2]
            self._interval_s *= 2

    def read(self) -> tuple[tuple[float, int], ...]:
        """Return the samples as (seconds, bytes)."""
        return tuple(self._samples)
