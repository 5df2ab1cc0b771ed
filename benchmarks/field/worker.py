"""One contender in a process and an environment of its own, told what to do in JSON lines on stdin.

    python worker.py MODULE PATTERN FILES

FILES is a JSON object with the members of `contender.Files`, and "conf", the confidence of calls without options. The
first line of stdout is {"ok": {"ready_at": seconds of time.monotonic}}, once the first result is there. Then a line
names a command and its arguments, and the answer is one line: {"ok": ...} or {"error": "..."}.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import lone_bench  # noqa: F401  before the next ones
from contender import DEFAULTS, Contender, Files, read_pictures
from yoloom.bench.callers import Sample, run_callers
from yoloom.bench.process_tree import cpu_seconds, memory_mib

TOLERANCE = 0.01  # pixels, and of the confidence: far above what the order of a sum changes


class Worker:
    """Commands for one contender. One thread at a time."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender

    def prepare(self, callers: int) -> None:
        """Make what so many callers need."""
        self._contender.prepare(callers)

    def turn(self, callers: int, seconds: float) -> dict[str, Any]:
        """One turn of so many callers."""
        own_turn: Callable[[int, float], Sample] | None = getattr(self._contender, "turn", None)
        if own_turn is not None:
            return dataclasses.asdict(own_turn(callers, seconds))
        works = [functools.partial(self._predict_next, number, [number % 2]) for number in range(callers)]
        return dataclasses.asdict(run_callers(works, seconds, functools.partial(cpu_seconds, os.getpid())))

    def memory(self) -> float | None:
        """In MiB, of this process and those that it started."""
        return memory_mib(os.getpid())

    def versions(self) -> dict[str, str]:
        """Of all packages in this environment."""
        return {found.name.lower(): found.version for found in metadata.distributions()}

    def wrong_answers(self, options: Sequence[dict[str, Any]], each: int, seconds: float) -> dict[str, Any]:
        """How many answers to callers at once, each with its own options and picture, are not the sequential ones.

        each: calls of each caller, at the most: after so many seconds it makes no other.
        others: wrong ones that are another caller's answer. raised: calls that raised. takes_options: whether calls
        have options of their own.
        """
        callers = len(options)
        asked = options if self._contender.takes_options else [{} for _ in options]
        self._contender.prepare(callers)
        alone = [self._rows(number, asked[number]) for number in range(callers)]
        start = threading.Barrier(callers)

        def caller(number: int) -> list[str]:
            start.wait()
            until = time.monotonic() + seconds
            verdicts = [self._judged(number, asked[number], alone)]
            while len(verdicts) < each and time.monotonic() < until:
                verdicts.append(self._judged(number, asked[number], alone))
            return verdicts

        with ThreadPoolExecutor(callers) as pool:
            verdicts = [verdict for some in pool.map(caller, range(callers)) for verdict in some]
        return {
            "wrong": sum(verdict != "right" for verdict in verdicts),
            "of": len(verdicts),
            "others": verdicts.count("other's"),
            "raised": verdicts.count("raised"),
            "takes_options": self._contender.takes_options,
        }

    def _predict_next(self, caller: int, turn: list[int]) -> None:
        self._contender.predict(caller, turn[0], {})
        turn[0] = 1 - turn[0]

    def _rows(self, number: int, options: dict[str, Any]) -> Any:
        """Of the caller's own picture, copied at once: some results are views of what the next call overwrites."""
        return np.array(self._contender.rows(self._contender.predict(number, number, options)))

    def _judged(self, number: int, options: dict[str, Any], alone: Sequence[Any]) -> str:
        try:
            rows = self._rows(number, options)
        except Exception:
            return "raised"
        if _same(rows, alone[number]):
            return "right"
        return "other's" if any(_same(rows, other) for other in alone) else "wrong"


def _same(rows: Any, others: Any) -> bool:
    return rows.shape == others.shape and bool(np.allclose(rows, others, rtol=0, atol=TOLERANCE))


def serve(worker: Worker, commands: Any, answers: Any) -> None:
    for line in commands:
        asked = json.loads(line)
        command: Callable[..., Any] = getattr(worker, asked.pop("command"))
        answer(answers, functools.partial(command, **asked))


def answer(answers: Any, command: Callable[[], Any]) -> None:
    try:
        told = {"ok": command()}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:300]}
    print(json.dumps(told), file=answers, flush=True)


def made(module: str, pattern: str, asked: dict[str, Any]) -> Contender:
    """The contender, after its first result."""
    defaults = {**DEFAULTS, "conf": asked.pop("conf")}
    files = Files(**{**asked, "photographs": tuple(asked["photographs"])})
    make = importlib.import_module(module).CONTENDER
    contender: Contender = make(files, pattern, read_pictures(files.photographs), defaults)
    contender.prepare(1)
    contender.rows(contender.predict(0, 0, {}))
    return contender


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever is printed on the way does not mix with the answers
    try:
        contender = made(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    except Exception as error:
        told = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        print(json.dumps({"error": told}), file=answers, flush=True)
        return
    answer(answers, lambda: {"ready_at": time.monotonic()})
    try:
        serve(Worker(contender), sys.stdin, answers)
    finally:
        contender.close()


if __name__ == "__main__":
    main()
