"""Threads that share one model, each with options of its own: what came out, how fast, and in how much memory.

```
jobs 0 1 2 3 4 5 ...           thread t takes jobs t, t + threads, t + 2 * threads, ...
     │ │ └▶ thread 2 ─┐        and puts each outcome in its job's place, which is nobody else's
     │ └▶ thread 1 ───┼▶ model
     └▶ thread 0 ─────┘        the caller's thread watches
```
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.cli.memory import resident_bytes
from yoloom.results.results import Results
from yoloom.yolo import YOLO

WATCH_INTERVAL_S = 0.05

Watch = Callable[[int], None]


@dataclass(frozen=True)
class Job:
    """A picture, and what is asked about it. Immutable: shared freely."""

    image: NDArray[np.uint8]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The bits of a result, and how long its caller waited. Immutable: shared freely."""

    bits: bytes
    seconds: float


@dataclass(frozen=True)
class Run:
    """What all jobs gave. peak_bytes: most memory of the process meanwhile, 0 where it can not be told."""

    outcomes: list[Outcome]
    seconds: float
    peak_bytes: int

    @property
    def images_per_second(self) -> float:
        return len(self.outcomes) / self.seconds

    def latency_ms(self, percent: float) -> float:
        return float(np.percentile([outcome.seconds for outcome in self.outcomes], percent)) * 1e3

    def identical_to(self, other: Run) -> int:
        """How many results have the same bits in both runs."""
        pairs = zip(self.outcomes, other.outcomes, strict=True)
        return sum(mine.bits == theirs.bits for mine, theirs in pairs)


def run_jobs(model: YOLO, jobs: Sequence[Job], threads: int, watch: Watch) -> Run:
    """Predict every job on `threads` threads; `watch` is told again and again how many are done.

    Raises what a prediction raises. However this ends, the threads have ended, each after its present job.
    """
    outcomes: dict[int, Outcome] = {}
    stop = threading.Event()

    def work(first: int) -> None:
        for index in range(first, len(jobs), threads):
            if stop.is_set():
                return
            outcomes[index] = _outcome(model, jobs[index])

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        try:
            workers = [pool.submit(work, first) for first in range(threads)]
            peak_bytes = _watch_until_done(workers, lambda: watch(len(outcomes)))
        finally:
            stop.set()
    return Run([outcomes[index] for index in range(len(jobs))], time.perf_counter() - started, peak_bytes)


def _outcome(model: YOLO, job: Job) -> Outcome:
    started = time.perf_counter()
    [results] = model.predict(job.image, **job.options)
    return Outcome(_bits(results), time.perf_counter() - started)


def _bits(results: Results) -> bytes:
    members = (results.boxes, results.masks, results.probs, results.keypoints, results.obb)
    return b"".join(member.data.tobytes() for member in members if member is not None)


def _watch_until_done(workers: list[Future[None]], tick: Callable[[], None]) -> int:
    """Raise the first worker's error, or return the most memory that was seen."""
    peak_bytes = 0
    running = True
    while running:
        done, not_done = wait(workers, WATCH_INTERVAL_S, FIRST_EXCEPTION)
        for worker in done:
            worker.result()
        peak_bytes = max(peak_bytes, resident_bytes())
        tick()
        running = bool(not_done)
    return peak_bytes
