"""`yoloom demo`: share one model between threads, with different options, and compare with a sequential run.

```
jobs 0 1 2 3 4 5 ...           thread t takes jobs t, t + threads, t + 2 * threads, ...
     │ │ └▶ thread 2 ─┐        and stores each outcome in its job's own place
     │ └▶ thread 1 ───┼▶ model
     └▶ thread 0 ─────┘        the calling thread shows progress and watches the memory
```

The model and the pictures come with the package.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.assets import DEMO_MODEL, PICTURES
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.stderr import progress_bar, report_line
from yoloom.cli.table import print_facts
from yoloom.images.decode import decode_image
from yoloom.results.drawing.plot import contact_sheet
from yoloom.results.save import save_image
from yoloom.system.memory import MIB, resident_bytes
from yoloom.yolo import YOLO

SHEET_COLUMNS = 4
TILE_WH = (480, 360)
WATCH_INTERVAL_S = 0.05

OPTIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"conf": 0.6, "imgsz": 320},
    {"classes": ["car", "house", "boat"]},
    {"max_det": 3, "imgsz": 480},
    {"conf": 0.05, "iou": 0.4, "imgsz": 320},
    {"imgsz": (320, 480), "classes": ["apple", "fish", "rocket"]},
    {"conf": 0.4, "iou": 0.9, "imgsz": 480},
    {"agnostic_nms": True, "imgsz": 256},
)
"""Options of the threads, one set each: if calls shared any state, the bits would differ."""


@dataclass(frozen=True)
class Job:
    """A picture, and the options to predict it with.

    Thread safety: any number of threads.
    """

    image: NDArray[np.uint8]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class DemoOutcome:
    """The bits of a result, and how many seconds its caller waited.

    Thread safety: any number of threads.
    """

    bits: bytes
    seconds: float


@dataclass(frozen=True)
class DemoRun:
    """The outcomes of all jobs. peak_bytes: most memory of the process during the run, 0 where it is not known.

    Thread safety: any number of threads.
    """

    outcomes: list[DemoOutcome]
    seconds: float
    peak_bytes: int

    def identical_to(self, other: DemoRun) -> int:
        """Count the results that have the same bits in both runs."""
        pairs = zip(self.outcomes, other.outcomes, strict=True)
        return sum(mine.bits == theirs.bits for mine, theirs in pairs)


def run(arguments: argparse.Namespace) -> ExitCode:
    """Run the jobs on all threads and on one, compare the bits, and save annotated pictures."""
    threads = arguments.threads
    pictures = [np.ascontiguousarray(decode_image(path)) for path in PICTURES]
    # Every thread predicts every picture, with options of its own.
    jobs = [
        Job(pictures[index // threads % len(pictures)], OPTIONS[index % threads % len(OPTIONS)])
        for index in range(arguments.images)
    ]
    with YOLO(DEMO_MODEL) as model:
        _warm_up(model, jobs)
        before = resident_bytes()
        with progress_bar(f"{threads} threads, one model", len(jobs)) as advance:
            shared = run_jobs(model, jobs, threads, advance)
        with progress_bar("one after the other", len(jobs)) as advance:
            alone = run_jobs(model, jobs, 1, advance)
        print_facts(sys.stdout, _facts(shared, alone, threads, before))
        sys.stdout.flush()
        saved = _save_plots(model, pictures, Path(arguments.output))
    sys.stdout.write("".join(f"{path}\n" for path in ("", *saved)))
    return verdict(shared.identical_to(alone), len(jobs))


def run_jobs(model: YOLO, jobs: Sequence[Job], threads: int, advance: Callable[[int], None]) -> DemoRun:
    """Predict all jobs on `threads` threads, and call `advance` again and again with how many are done.

    However this ends, the threads have ended too, each after its present job.

    Raises:
        YoloomError: the first error of a prediction.
    """
    outcomes: dict[int, DemoOutcome] = {}
    stop = threading.Event()

    def work(first: int) -> None:
        for index in range(first, len(jobs), threads):
            if stop.is_set():
                return
            started = time.perf_counter()
            [results] = model.predict(jobs[index].image, **jobs[index].options)
            seconds = time.perf_counter() - started
            members = (results.boxes, results.masks, results.probs, results.keypoints, results.obb)
            bits = b"".join(member.data.tobytes() for member in members if member is not None)
            outcomes[index] = DemoOutcome(bits, seconds)  # no other thread has this index

    peak_bytes = 0
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:  # leaving it waits for its threads
        try:
            running = {pool.submit(work, first) for first in range(threads)}
            while running:
                done, running = wait(running, WATCH_INTERVAL_S, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                peak_bytes = max(peak_bytes, resident_bytes())
                advance(len(outcomes))
        finally:
            stop.set()
    return DemoRun([outcomes[index] for index in range(len(jobs))], time.perf_counter() - started, peak_bytes)


def verdict(identical: int, count: int) -> ExitCode:
    """Return the exit code, and report results that differ."""
    if identical == count:
        return ExitCode.OK
    report_line(f"error: {count - identical} of {count} results differ from the sequential run; please report this.")
    return ExitCode.SOME_FAILED


def _warm_up(model: YOLO, jobs: Sequence[Job]) -> None:
    """Compile both forms and use every lane once: their memory is the model's, and not the threads'."""
    some = jobs[: 2 * len(OPTIONS)]
    with progress_bar("warming up", len(some)) as advance:
        while len(model.statistics().forms) < 2:
            run_jobs(model, some, 2, advance)
        run_jobs(model, some, model.statistics().lanes, advance)


def _facts(shared: DemoRun, alone: DemoRun, threads: int, before: int) -> list[tuple[str, str]]:
    count, memory = len(shared.outcomes), "not available on this system"
    if peak := shared.peak_bytes:
        extra = max(0, peak - before) / threads
        memory = f"{peak / MIB:.0f} MiB in all, {extra / MIB:.1f} MiB of it for each thread and its image"
    rate, usual_rate = (count / one.seconds for one in (shared, alone))
    p50_ms, p99_ms = 1e3 * np.percentile([outcome.seconds for outcome in shared.outcomes], (50, 99))
    return [
        ("images", str(count)),
        ("threads", f"{threads}, sharing one model, with {min(threads, len(OPTIONS))} sets of options"),
        ("images/s", f"{rate:.1f} ({usual_rate:.1f} one after the other)"),
        ("latency p50, p99", f"{p50_ms:.1f} ms, {p99_ms:.1f} ms"),
        ("identical to a sequential run", f"{shared.identical_to(alone)}/{count}"),
        ("memory", memory),
    ]


def _save_plots(model: YOLO, pictures: Sequence[NDArray[np.uint8]], folder: Path) -> list[str]:
    """Save each picture with its detections, and demo.png with all of them; return their paths."""
    plots, saved = [], []
    for path, picture in until_interrupted(zip(PICTURES, pictures, strict=True)):
        [results] = model.predict(picture)
        plots.append(results.plot())
        saved.append(save_image(plots[-1], folder / path.name))
    sheet = contact_sheet(plots, SHEET_COLUMNS, TILE_WH)
    return [*saved, *(save_image(picture, folder / "demo.png") for picture in until_interrupted([sheet]))]
