"""Ultralytics in a process and an environment of its own, told what to do in JSON lines on stdin.

It gets its best: arrays decoded before, a warm-up, `verbose=False`, its own defaults. Started by `rival.py`; runs in
the oracle's environment (`tools/make_oracle.sh`), without yoloom. A line names a command and its arguments:

    {"command": "throughput", "pattern": "shared", "callers": 4, "seconds": 3}

and the answer is one line to the file descriptor that the first argument names: {"ok": ...} or {"error": "..."}. Its
stdout is not for answers: Ultralytics prints to it, for the first time while it is imported.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import ultralytics
from ultralytics import YOLO

import measure

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))
import cpu_torchvision  # noqa: F401  lets it predict beside a torch without CUDA

SHARED, OWN = "shared", "own"
TOLERANCE = 0.01  # pixels, and of the confidence: far above what the order of a sum changes


class Worker:
    """The models and photographs of one process. One thread at a time gives it commands."""

    def __init__(self, model: Path, images: Sequence[Path]) -> None:
        self._path = model
        self._images = [cv2.imread(str(image)) for image in images]
        self._models: list[Any] = []

    def throughput(self, pattern: str, callers: int, seconds: float) -> dict[str, Any]:
        """One turn of `callers` threads on one model, or on a model each."""
        models = self._warm(1) * callers if pattern == SHARED else self._warm(callers)
        works = [functools.partial(self._predict_next, model, self._turns(n)) for n, model in enumerate(models)]
        return dataclasses.asdict(measure.run_callers(works, seconds))

    def wrong_answers(self, options: Sequence[Mapping[str, Any]], each: int) -> dict[str, int]:
        """Predictions of threads that share a model, each with its own options, that are not the sequential ones."""
        sequential = [[self._rows(YOLO(self._path), image, asked) for image in self._images] for asked in options]
        shared = YOLO(self._path)
        start = threading.Barrier(len(options))

        def caller(number: int) -> int:
            start.wait()
            return sum(self._differs(shared, turn, options[number], sequential[number]) for turn in range(each))

        with ThreadPoolExecutor(len(options)) as pool:
            return {"wrong": sum(pool.map(caller, range(len(options)))), "of": len(options) * each}

    def version(self) -> str:
        return str(ultralytics.__version__)

    def memory(self, models: int) -> float:
        """What the process holds, in MiB, after that many models were used, each by a thread of its own."""
        self.throughput(OWN, models, 0.5)
        return measure.memory_mib()

    def _warm(self, count: int) -> list[Any]:
        while len(self._models) < count:
            model = YOLO(self._path)
            for image in self._images:
                model.predict(image, verbose=False)
            self._models.append(model)
        return self._models[:count]

    def _turns(self, number: int) -> itertools.cycle[Any]:
        start = number % len(self._images)
        return itertools.cycle([*self._images[start:], *self._images[:start]])

    @staticmethod
    def _predict_next(model: Any, turns: itertools.cycle[Any]) -> None:
        model.predict(next(turns), verbose=False)

    @staticmethod
    def _rows(model: Any, image: Any, asked: Mapping[str, Any]) -> Any:
        (result,) = model.predict(image, verbose=False, **asked)
        return result.boxes.data.numpy()

    def _differs(self, model: Any, turn: int, asked: Mapping[str, Any], expected: Sequence[Any]) -> bool:
        position = turn % len(self._images)
        try:
            rows = self._rows(model, self._images[position], asked)
        except Exception:
            return True  # no answer is no right answer
        return rows.shape != expected[position].shape or not np.allclose(rows, expected[position], atol=TOLERANCE)


def serve(worker: Worker, commands: Any, answers: Any) -> None:
    for line in commands:
        asked = json.loads(line)
        command: Callable[..., Any] = getattr(worker, asked.pop("command"))
        try:
            answer = {"ok": command(**asked)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    answers = os.fdopen(int(sys.argv[1]), "w")
    serve(Worker(Path(sys.argv[2]), [Path(image) for image in sys.argv[3:]]), sys.stdin, answers)


if __name__ == "__main__":
    main()
