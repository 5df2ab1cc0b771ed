"""Callers in threads, each with its next image as soon as it has the last result: rate, latencies, CPU time.

Only the standard library: `benchmarks/` runs this file in environments without yoloom, so that rivals are measured by
the same code.
"""

from __future__ import annotations

import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Work = Callable[[], object]
"""One image from start to end, in the calling thread."""

Seconds = Callable[[], float]

LONE_CALLS = 2
"""Untimed calls before a lone caller's turn: an engine that served a crowd sees by then that it has gone."""


@dataclass(frozen=True)
class Sample:
    """One turn of one contender. Immutable: shared freely.

    latencies_ms: one for each image, in no order. cpu_ms: what an image cost the contender on all cores together.
    elsewhere: the part of the machine that others took meanwhile, 0..1.
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
    """Call each of `works` in a thread of its own, over and over for `seconds`. Calls under way are let finish.

    The rate counts all calls over all the time they took, the last ones included. A lone caller begins with so many
    lone calls that do not count, so that what is measured is the steady state and not the change to it. own_seconds: of
    CPU that the contender has taken, by default those of this process. Raises what a call raises.
    """
    latencies: list[list[float]] = [[] for _ in works]
    failures: list[BaseException] = []
    gate = threading.Barrier(len(works) + 1)

    def caller(number: int) -> None:
        with _kept(failures):
            for _ in range(lone_calls * (len(works) == 1)):
                works[number]()
        gate.wait()
        until = time.perf_counter() + seconds
        with _kept(failures):
            while not failures and (started := time.perf_counter()) < until:
                works[number]()
                latencies[number].append((time.perf_counter() - started) * 1e3)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    gate.wait()
    before = Clocks.now(own_seconds)
    for thread in threads:
        thread.join()
    spent = Clocks.now(own_seconds) - before
    if failures:
        raise failures[0]
    return sample_of([latency for one in latencies for latency in one], spent)


@contextmanager
def _kept(failures: list[BaseException]) -> Iterator[None]:
    """What is raised is kept for the thread that waits for this one."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001
        failures.append(error)


def sample_of(latencies_ms: Sequence[float], spent: Clocks) -> Sample:
    """What a turn of so many calls was, NaN of CPU time when there were none."""
    count = len(latencies_ms)
    return Sample(
        count / spent.wall, tuple(latencies_ms), spent.own * 1e3 / count if count else math.nan, spent.elsewhere
    )


@dataclass(frozen=True)
class Clocks:
    """Seconds: on the wall, of a contender on all cores, and of all processes on all cores (Linux, else 0)."""

    wall: float
    own: float
    machine: float

    @classmethod
    def now(cls, own_seconds: Seconds = time.process_time) -> Clocks:
        return cls(time.perf_counter(), own_seconds(), _machine_seconds())

    def __sub__(self, earlier: Clocks) -> Clocks:
        return Clocks(self.wall - earlier.wall, self.own - earlier.own, self.machine - earlier.machine)

    @property
    def elsewhere(self) -> float:
        """The part of the machine that other processes and the hypervisor's other guests took, 0..1."""
        return max(0.0, self.machine - self.own) / (self.wall * (os.cpu_count() or 1))


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median with the smallest and the largest."""
    return {"median": short(statistics.median(values)), "min": short(min(values)), "max": short(max(values))}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank in rising values; NaN when there are none."""
    if not ordered:
        return math.nan
    return short(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)])


def short(value: float) -> float:
    """Four digits: more are noise."""
    return float(f"{value:.4g}")


def _machine_seconds() -> float:
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
