"""What the way through the engine costs: requests per second and latency when the network costs nothing.

Regime: `YOLO.predict` and `YOLO.predict_async` of the bundled model, with a runtime that answers at once and finds
nothing, on images of 64 x 64 pixels: options, queue, hand-over to a lane and back, letterbox, heads and Results remain.
Threads that call again as soon as their result is there, so all that is measured is held up by Python's own lock too.
"Paced" callers send a fixed number of requests per second instead, and show the latency below saturation. "One CPU" is
the same with all threads on one CPU, where no wake-up has to reach another one: hand_over_us says what that costs.

    python benchmarks/dispatch.py
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import importlib.resources
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import measure
from measure import Clocks, Sample, Turn, Work
from noop import NoopBackend
from yoloom import YOLO

SIZE = 64
IMAGE = np.zeros((SIZE, SIZE, 3), np.uint8)


@contextmanager
def null_model() -> Iterator[YOLO]:
    """The bundled model on that runtime."""
    demo = Path(str(importlib.resources.files("yoloom") / "assets" / "demo.onnx"))
    with mock.patch("yoloom.facade.open_model.find_backend", return_value=NoopBackend()), YOLO(demo) as model:
        yield model


def threads_round(model: YOLO, threads: int, seconds: float) -> Sample:
    return measure.run_callers([_work(model) for _ in range(threads)], seconds)


def paced_round(model: YOLO, threads: int, per_second: float, seconds: float) -> Sample:
    """Each thread sends its share of the requests at fixed times."""
    latencies: list[float] = []
    callers = [_paced(_work(model), per_second / threads, latencies) for _ in range(threads)]
    return replace(measure.run_callers(callers, seconds), latencies_ms=tuple(latencies))


def tasks_round(model: YOLO, tasks: int, seconds: float) -> Sample:
    return asyncio.run(_tasks(model, tasks, seconds))


def _work(model: YOLO) -> Work:
    return lambda: model.predict(IMAGE, imgsz=SIZE)


def _paced(work: Work, per_second: float, latencies: list[float]) -> Work:
    """Waits until the next request is due, and notes what that takes alone."""
    due = time.perf_counter()

    def waiting() -> None:
        nonlocal due
        due = max(due + 1 / per_second, time.perf_counter() - 1 / per_second)
        time.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        work()
        latencies.append((time.perf_counter() - started) * 1e3)

    return waiting


async def _tasks(model: YOLO, tasks: int, seconds: float) -> Sample:
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def caller() -> None:
        while (started := time.perf_counter()) < until:
            await model.predict_async(IMAGE, imgsz=SIZE)
            latencies.append((time.perf_counter() - started) * 1e3)

    before = Clocks.now()
    await asyncio.gather(*(caller() for _ in range(tasks)))
    spent = Clocks.now() - before
    return Sample(len(latencies) / spent.wall, tuple(latencies), spent.own * 1e3 / len(latencies), spent.elsewhere)


def on_one_cpu(turn: Turn) -> Turn:
    def turned() -> Sample:
        allowed = os.sched_getaffinity(0)
        _bind({min(allowed)})
        try:
            return turn()
        finally:
            _bind(allowed)

    return turned


def _bind(cpus: set[int]) -> None:
    """All threads of this process."""
    for task in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):  # it has just ended
            os.sched_setaffinity(int(task.name), cpus)


def hand_over_us(count: int = 5000) -> float:
    """Microseconds for a thread to wake another one and be woken by it, with nothing in between."""
    there, back = threading.Lock(), threading.Lock()
    there.acquire()
    back.acquire()

    def other() -> None:
        for _ in range(count):
            there.acquire()
            back.release()

    thread = threading.Thread(target=other)
    thread.start()
    started = time.perf_counter()
    for _ in range(count):
        there.release()
        back.acquire()
    spent = time.perf_counter() - started
    thread.join()
    return measure.short(spent / count * 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    parser.add_argument("--pace", type=float, default=1000.0, help="requests per second of all paced callers together")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    with null_model() as model:
        turns: dict[str, Turn] = {
            "1 thread": functools.partial(threads_round, model, 1, asked.seconds),
            "8 threads": functools.partial(threads_round, model, 8, asked.seconds),
            "8 threads, one CPU": on_one_cpu(functools.partial(threads_round, model, 8, asked.seconds)),
            "8 threads, paced": functools.partial(paced_round, model, 8, asked.pace, asked.seconds),
            "8 tasks": functools.partial(tasks_round, model, 8, asked.seconds),
            "64 tasks": functools.partial(tasks_round, model, 64, asked.seconds),
        }
        for warm_up in turns.values():
            warm_up()
        series = measure.interleave(turns, asked.rounds)
    result: dict[str, Any] = {
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "paced_per_s": asked.pace,
        "hand_over_us": measure.spread([hand_over_us() for _ in range(asked.rounds)]),
        "contenders": {name: one.report() for name, one in series.items()},
        "versions": measure.versions("numpy", "opencv-python-headless", "yoloom"),
    }
    measure.finish("dispatch", result, asked.results)


if __name__ == "__main__":
    main()
