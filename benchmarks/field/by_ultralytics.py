"""Ultralytics in the ways that its guide shows, with its own defaults but squares (`rect=False`), as everybody here.

Patterns: "shared", one model for all threads; "locked", that with its own `ThreadingLocked`; "own", a model for each
thread; "processes", a model in each of several processes.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ultralytics import YOLO
from ultralytics.utils import ThreadingLocked

from contender import Contender, Files, Image, Options, read_pictures
from yoloom.bench.callers import Clocks, Sample, sample_of
from yoloom.bench.process_tree import cpu_seconds

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tools"))
import cpu_torchvision  # noqa: F401  lets it predict beside a torch without CUDA

Predict = Callable[[Any, Image, Options], Any]


def predict_with(model: Any, picture: Image, options: Options) -> Any:
    return model.predict(picture, verbose=False, rect=False, imgsz=640, **options)[0]


class InThreads(Contender):
    """The patterns "shared", "locked" and "own"."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        self._predict: Predict = ThreadingLocked()(predict_with) if pattern == "locked" else predict_with
        self._models = [YOLO(files.checkpoint)]

    def prepare(self, callers: int) -> None:
        while self.pattern == "own" and len(self._models) < callers:
            self._models.append(YOLO(self.files.checkpoint))
            predict_with(self._models[-1], self.pictures[0], self.defaults)

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        model = self._models[caller if self.pattern == "own" else 0]
        return self._predict(model, self.pictures[picture], {**self.defaults, **options})

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.asarray(result.boxes.data.numpy(), np.float32)


class InProcesses(Contender):
    """The pattern "processes": a caller is a process with a model of its own, which runs its loop by itself."""

    def __init__(self, files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> None:
        super().__init__(files, pattern, pictures, defaults)
        self._processes: list[tuple[Any, Connection]] = []
        self.prepare(1)

    def prepare(self, callers: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        new = []
        while len(self._processes) < callers:
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(theirs, self.files, dict(self.defaults)), daemon=True)
            process.start()
            new.append(ours)
            self._processes.append((process, ours))
        for ready in new:
            ready.recv()

    def predict(self, caller: int, picture: int, options: Options) -> Any:
        self.prepare(caller + 1)
        connection = self._processes[caller][1]
        connection.send(("predict", picture, dict(options)))
        return connection.recv()

    def turn(self, callers: int, seconds: float) -> Sample:
        """All of them at once, each in its own loop."""
        connections = [connection for _, connection in self._processes[:callers]]
        before = Clocks.now(_own_seconds)
        for number, connection in enumerate(connections):
            connection.send(("loop", number, seconds))
        latencies = [connection.recv() for connection in connections]
        return sample_of([one for some in latencies for one in some], Clocks.now(_own_seconds) - before)

    def rows(self, result: Any) -> NDArray[np.float32]:
        return np.asarray(result, np.float32)

    def close(self) -> None:
        for _, connection in self._processes:
            connection.close()
        for process, _ in self._processes:
            process.join()


def _own_seconds() -> float:
    return cpu_seconds(os.getpid())


def _serve(connection: Connection, files: Files, defaults: Options) -> None:
    """Runs in a process of its own, until the other end is closed."""
    pictures = read_pictures(files.photographs)
    model = YOLO(files.checkpoint)
    predict_with(model, pictures[0], defaults)
    connection.send("ready")
    while True:
        try:
            kind, number, more = connection.recv()
        except EOFError:
            return
        if kind == "loop":
            connection.send(_loop(model, pictures, number, more, defaults))
        else:
            connection.send(predict_with(model, pictures[number], {**defaults, **more}).boxes.data.numpy())


def _loop(model: Any, pictures: Sequence[Image], number: int, seconds: float, defaults: Options) -> list[float]:
    latencies = []
    until = time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        predict_with(model, pictures[number % 2], defaults)
        latencies.append((time.perf_counter() - started) * 1e3)
        number += 1
    return latencies


def make(files: Files, pattern: str, pictures: Sequence[Image], defaults: Options) -> Contender:
    kind = InProcesses if pattern == "processes" else InThreads
    return kind(files, pattern, pictures, defaults)


CONTENDER = make
