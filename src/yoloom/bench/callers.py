"""Runs callers in threads, each with its next image as soon as it has the last result: rate, latencies, CPU time.

Only the standard library: `benchmarks/` runs this file in environments without yoloom, so that rivals are measured by
the same code.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from yoloom.sync.thread_group import ThreadGroup

Work = Callable[[], object]
"""One image from start to end, in the calling thread."""

Seconds = Callable[[], float]

LONE_CALLS = 2
"""Untimed calls before a lone caller's turn: an engine that served a crowd sees by then that it has gone."""


@dataclass(frozen=True)
class Sample:
    """One turn of one contender. Immutable: shared freely.

    Attributes:
        images_per_s: all calls over all the time they took, the last ones included.
        latencies_ms: one for each image, in no order.
        cpu_ms: CPU time of one image, on all cores together; NaN when there were none.
        elsewhere: part of the machine that others took meanwhile, 0..1.
    """

    images_per_s: float
    latencies_ms: tuple[float, ...] = ()
    cpu_ms: float = math.nan
    elsewhere: float = 0.0


def run_callers(
    works: Sequence[Work],
    seconds: float,
    own_seconds: Seconds = time.process_time,
    lone_calls: int = LONE_CALLS,
) -> Sample:
    """Call each of `works` in a thread of its own, over and over. Calls under way are let finish.

    Args:
        works: one for each caller.
        seconds: after which no call begins.
        own_seconds: of CPU that the contender has taken, by default those of this process.
        lone_calls: of a lone caller before its turn, which do not count: so the steady state is measured and not the
            change to it.

    Raises:
        BaseException: raised by a call; it ends the turn.
    """
    latencies: list[list[float]] = [[] for _ in works]

    def prepare(number: int) -> None:
        for _ in range(lone_calls * (len(works) == 1)):
            works[number]()

    def call(number: int) -> None:
        until = time.perf_counter() + seconds
        while not group.errors and (started := time.perf_counter()) < until:
            works[number]()
            latencies[number].append((time.perf_counter() - started) * 1e3)

    group = ThreadGroup(len(works), call, "caller-", prepare)
    group.start()
    before = Clocks.now(own_seconds)
    group.join()
    spent = Clocks.now(own_seconds) - before
    if group.errors:
        raise group.errors[0]
    return sample_of([latency for one in latencies for latency in one], spent)


def sample_of(latencies_ms: Sequence[float], spent: Clocks) -> Sample:
    """Return a turn's sample from the latencies of its calls and the clocks over all of them."""
    count = len(latencies_ms)
    return Sample(
        count / spent.wall, tuple(latencies_ms), spent.own * 1e3 / count if count else math.nan, spent.elsewhere
    )


@dataclass(frozen=True)
class Clocks:
    """Seconds of three clocks. Immutable: shared freely.

    Attributes:
        wall: as it passes.
        own: CPU time of a contender, on all cores together.
        machine: CPU time of all processes, on all cores together (Linux, else 0).
    """

    wall: float
    own: float
    machine: float

    @classmethod
    def now(cls, own_seconds: Seconds = time.process_time) -> Clocks:
        """Read all clocks. own_seconds: reads the contender's."""
        wall, own, machine = time.perf_counter(), own_seconds(), 0.0
        stat = Path("/proc/stat")
        if stat.exists():
            # Idle and waiting time are left out; "steal" is the hypervisor's other guests.
            user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split(maxsplit=9)[1:9])
            machine = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return cls(wall, own, machine)

    def __sub__(self, earlier: Clocks) -> Clocks:
        """Return the seconds since `earlier`."""
        return Clocks(self.wall - earlier.wall, self.own - earlier.own, self.machine - earlier.machine)

    @property
    def elsewhere(self) -> float:
        """Part of the machine that other processes and the hypervisor's other guests took, 0..1."""
        return max(0.0, self.machine - self.own) / (self.wall * (os.cpu_count() or 1))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median with the smallest and the largest."""
    return {"median": short(statistics.median(values)), "min": short(min(values)), "max": short(max(values))}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest rank in rising values; NaN when there are none."""
    if not ordered:
        return math.nan
    return short(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)])


def short(value: float) -> float:
    """Round to four digits: more are noise."""
    return float(f"{value:.4g}")
