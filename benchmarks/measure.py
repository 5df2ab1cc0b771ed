"""What the benchmarks share: callers in threads, interleaved rounds, medians with their spread, one JSON line.

Only the standard library, so that a rival can be measured by the same code in an environment of its own.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

Work = Callable[[], object]
"""One image from start to end, in the calling thread."""

CALM = 0.04
"""A turn counts at once when others took no more than this part of the machine."""

RETRIES = 3


@dataclass(frozen=True)
class Sample:
    """One turn of one contender.

    latencies_ms: one for each image, in no order. cpu_ms: what an image cost this process on all cores together.
    elsewhere: the part of the machine that others took meanwhile, 0..1.
    """

    images_per_s: float
    latencies_ms: tuple[float, ...] = ()
    cpu_ms: float = math.nan
    elsewhere: float = 0.0


Turn = Callable[[], Sample]


@dataclass
class Series:
    """The turns of one contender."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [sample.images_per_s for sample in self.samples]

    def report(self) -> dict[str, Any]:
        latencies = sorted(latency for sample in self.samples for latency in sample.latencies_ms)
        return {
            "images_per_s": spread(self.rates),
            "p50_ms": percentile(latencies, 50),
            "p99_ms": percentile(latencies, 99),
            "cpu_ms_per_image": spread([sample.cpu_ms for sample in self.samples]),
            "taken_by_others": spread([sample.elsewhere for sample in self.samples]),
        }


LONE_CALLS = 2
"""Untimed calls before a lone caller's turn: an engine that served a crowd sees by then that it has gone."""


def run_callers(works: Sequence[Work], seconds: float, lone_calls: int = LONE_CALLS) -> Sample:
    """Call each of `works` in a thread of its own, over and over for `seconds`. Calls under way are let finish.

    The rate counts all calls over all the time they took, the last ones included. A lone caller begins with so many
    lone calls that do not count, so that what is measured is the steady state and not the change to it.
    """
    latencies: list[list[float]] = [[] for _ in works]
    failures: list[BaseException] = []
    gate = threading.Barrier(len(works) + 1)

    def caller(number: int) -> None:
        for _ in range(lone_calls * (len(works) == 1)):
            works[number]()
        gate.wait()
        until = time.perf_counter() + seconds
        try:
            while (started := time.perf_counter()) < until:
                works[number]()
                latencies[number].append((time.perf_counter() - started) * 1e3)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    gate.wait()
    before = Clocks.now()
    for thread in threads:
        thread.join()
    spent = Clocks.now() - before
    if failures:
        raise failures[0]
    every = tuple(latency for one in latencies for latency in one)
    return Sample(len(every) / spent.wall, every, spent.own * 1e3 / len(every), spent.elsewhere)


@dataclass(frozen=True)
class Clocks:
    """Seconds: on the wall, of this process on all cores, and of all processes on all cores (Linux, else 0)."""

    wall: float
    own: float
    machine: float

    @classmethod
    def now(cls) -> Clocks:
        return cls(time.perf_counter(), time.process_time(), _machine_seconds())

    def __sub__(self, earlier: Clocks) -> Clocks:
        return Clocks(self.wall - earlier.wall, self.own - earlier.own, self.machine - earlier.machine)

    @property
    def elsewhere(self) -> float:
        """The part of the machine that other processes and the hypervisor's other guests took, 0..1."""
        return max(0.0, self.machine - self.own) / (self.wall * (os.cpu_count() or 1))


def interleave(contenders: Mapping[str, Turn], rounds: int) -> dict[str, Series]:
    """Give each contender a turn in each round; rounds begin with different ones, so that no place is always first."""
    series = {name: Series() for name in contenders}
    names = list(contenders)
    for number in range(rounds):
        shift = number * len(names) // rounds
        for name in names[shift:] + names[:shift]:
            sample = calmest(contenders[name])
            series[name].samples.append(sample)
            log(
                f"round {number + 1}/{rounds}  {name:28} {sample.images_per_s:7.2f} images/s"
                f"  {sample.cpu_ms:6.1f} cpu ms  {sample.elsewhere:4.0%} taken by others"
            )
    return series


def calmest(turn: Turn) -> Sample:
    """A turn; one that others disturbed is repeated a few times, and the least disturbed counts."""
    best = turn()
    for _ in range(RETRIES):
        if best.elsewhere <= CALM:
            break
        best = min(best, turn(), key=lambda sample: sample.elsewhere)
    return best


def ratios(series: Series, rival: Series) -> dict[str, float]:
    """Ours over theirs, round by round: what slows the machine for a while slows both."""
    return spread([ours / theirs for ours, theirs in zip(series.rates, rival.rates, strict=True)])


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median with the smallest and the largest."""
    return {"median": _short(statistics.median(values)), "min": _short(min(values)), "max": _short(max(values))}


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest rank in rising values; NaN when there are none."""
    if not ordered:
        return math.nan
    return _short(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)])


def memory_mib() -> float:
    """What this process holds: its own pages and its share of shared ones, in MiB (Linux)."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return int(fields["Pss"].split()[0]) / 1024


def machine() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": _cpu_model(), "cores": cores}


def versions(*packages: str) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    installed = {found.name: found.version for found in metadata.distributions()}
    return {"python": platform.python_version(), **{name: installed[name] for name in packages if name in installed}}


def finish(name: str, result: Mapping[str, Any], results_folder: Path | None) -> None:
    """Write the JSON line, the last of stdout, and keep it as a file when a folder is given."""
    line = {"benchmark": name, **result, "machine": machine()}
    if results_folder is not None:
        results_folder.mkdir(parents=True, exist_ok=True)
        (results_folder / f"{name}.json").write_text(json.dumps(line, indent=1) + "\n")
    print(json.dumps(line), flush=True)


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _machine_seconds() -> float:
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal = map(int, stat.read_text().split(maxsplit=9)[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
