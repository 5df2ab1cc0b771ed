"""Everything at once, for a while: hundreds of threads and tasks, faults, cancellations, swaps and closes.

    python tests/support/stress.py --seconds 600

Callers do random things with one handle after the other. Meanwhile one thread swaps the model, and another closes it in
the middle of the traffic and opens the next one. The runtime fails at every step: it can not compile, makes no context,
raises what it should not, is slow. It must hold: each call ends, once, with a typed error or with the very bits that
one of the two models gives alone; each engine's counts add up; and nothing is left: no thread, file or memory.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import gc
import importlib.resources
import json
import logging
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx
import psutil

from yoloom import YOLO, Client, QueuePolicy
from yoloom.engine.engine import Engine
from yoloom.engine.engine_registry import registry
from yoloom.engine.futures import ResultFuture
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.request import Request
from yoloom.engine.stream import ResultStream
from yoloom.errors import EngineClosed, EngineError, InvalidImage, PartialFailure, RuntimeFailed, YoloomError
from yoloom.facade.open_model import OpenModel
from yoloom.formats.model import Model
from yoloom.results.results import Results
from yoloom.runtime.protocol import Backend, Batch, Precision, Profile, RawOutputs
from yoloom.testing import FakeBackend, FakeCompiled

PICTURES = [np.random.default_rng(seed).integers(0, 256, (32, 32, 3), np.uint8) for seed in range(8)]
OPTIONS: list[dict[str, Any]] = [
    {"imgsz": 32, "conf": 0.0},
    {"imgsz": 32, "conf": 0.7},
    {"imgsz": 32, "conf": 0.0, "max_det": 1},
    {"imgsz": 32, "conf": 0.0, "classes": [0, 1]},
    {"imgsz": 64, "conf": 0.0},
]
KEPT = frozenset({Engine, LocalImageJob, OpenModel, Request, Results, ResultFuture, ResultStream})
HANG_S = 60.0
"""A call that takes longer hangs."""

Alone = list[dict[tuple[int, int], bytes]]
"""For each model: the bits of each picture with each set of options."""


class FaultyBackend(FakeBackend):
    """A fake runtime that fails at random at every step, once it is told to. Shared freely."""

    def __init__(self, seed: int) -> None:
        super().__init__(lanes=3)
        self.faulty = False
        self._dice = random.Random(seed)
        self._dice_lock = threading.Lock()  # guards the dice
        self.script_every(self._fault)

    def strikes(self, chance: float) -> bool:
        with self._dice_lock:
            return self.faulty and self._dice.random() < chance

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> FakeCompiled:
        if self.strikes(0.1):
            raise RuntimeFailed("no memory for this form")
        compiled = super().compile(model, profile, precision)
        return _FaultyCompiled(self, model, compiled.lanes)

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        """The second model sees every picture in negative."""
        return super().execute(model, 255 - batch if model.graph.path.stem == "second" else batch)

    def _fault(self) -> None:
        if self.strikes(0.01):
            raise RuntimeError("the runtime failed")
        if self.strikes(0.002):
            raise ZeroDivisionError("the runtime broke its contract")
        if self.strikes(0.01):
            time.sleep(0.01)  # a slow run, not a wait for anybody


class _FaultyCompiled(FakeCompiled):
    def __init__(self, backend: FaultyBackend, model: Model, lanes: int) -> None:
        super().__init__(backend, model, lanes)
        self._faulty = backend

    def context(self) -> Any:
        if self._faulty.strikes(0.02):
            raise RuntimeError("no memory for a context")
        return super().context()


class Stress:
    """One run. `run` does all of it and raises AssertionError for what does not hold."""

    def __init__(self, paths: list[Path], backend: Backend | None, threads: int, tasks: int, seed: int) -> None:
        """backend: what models are opened with, see `opened_with`. paths: of two models of one task."""
        self.paths = paths
        self.backend = backend
        self.threads = threads
        self.tasks = tasks
        self.seed = seed
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.engines: list[Engine] = []
        self.swaps = self.lives = 0
        self._lock = threading.Lock()  # guards the counts above
        self._stop = threading.Event()
        self._open = threading.Event()  # between two lives callers wait, or they would do nothing but be refused
        self._before = _objects_alive()
        self._model = self._opened()
        self._open.set()
        self.alone = self._answers_alone()

    def run(self, seconds: float, results: int = 0, swaps: int = 0, lives: int = 0) -> dict[str, Any]:
        """Go on for so many seconds, and until so much has happened: on a busy machine, that takes longer.

        Raises AssertionError. Returns what happened.
        """

        def has_enough() -> bool:
            return self.outcomes["result"] >= results and self.swaps >= swaps and self.lives >= lives

        if isinstance(self.backend, FaultyBackend):
            self.backend.faulty = True
        workers = [
            threading.Thread(target=self._guarded, args=(self._caller, i), daemon=True) for i in range(self.threads)
        ]
        workers += [
            threading.Thread(target=self._guarded, args=(work, number), daemon=True)
            for number, work in enumerate((self._event_loop, self._swapper, self._closer))
        ]
        grown = Growth()
        for worker in workers:
            worker.start()
        grown.watch(seconds, self._stop, has_enough)
        self._stop.set()
        deadline = time.monotonic() + HANG_S
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
        hung = [worker.name for worker in workers if worker.is_alive()]
        if hung:
            faulthandler.dump_traceback()
        assert not hung, f"{len(hung)} callers hang: {hung[:5]}"
        self._model.close()
        self._check_counts()
        assert not self.wrong, self.wrong[:5]
        self.engines.clear()
        gc.collect()
        left = _objects_alive() - self._before
        assert left <= Counter(Engine=1, OpenModel=1), f"more than the last handle is left: {left}"
        return {"outcomes": dict(self.outcomes), "swaps": self.swaps, "lives": self.lives, **grown.report()}

    # ---- Callers

    def _caller(self, number: int) -> None:
        dice = random.Random(self.seed * 1000 + number)
        while not self._stop.is_set():
            dice.choice((self._predict, self._predict, self._submit, self._map, self._several, self._nonsense))(dice)

    def _predict(self, dice: random.Random) -> None:
        picture, options = self._chosen(dice)
        with self._noting():
            (results,) = self._model.predict(PICTURES[picture], **OPTIONS[options], **self._terms(dice))
            self._judge(picture, options, results)

    def _submit(self, dice: random.Random) -> None:
        picture, options = self._chosen(dice)
        calls: list[Future[Results]] = []
        with self._noting():
            future = self._model.submit(PICTURES[picture], **OPTIONS[options], **self._terms(dice))
            future.add_done_callback(calls.append)
            if dice.random() < 0.3:
                future.cancel()
            if dice.random() < 0.1:
                return  # a client that vanishes
            self._judge(picture, options, future.result(HANG_S))
        if len(calls) > 1:
            self._complain("a future ended twice")

    def _map(self, dice: random.Random) -> None:
        chosen = [self._chosen(dice)[0] for _ in range(6)]
        options = dice.randrange(len(OPTIONS))
        with self._noting(), self._model.map((PICTURES[i] for i in chosen), **OPTIONS[options]) as stream:
            for picture, results in zip(chosen, stream, strict=False):
                self._judge(picture, options, results)
                if dice.random() < 0.2:
                    return  # and the rest is taken out of the queue

    def _several(self, dice: random.Random) -> None:
        chosen = [self._chosen(dice)[0] for _ in range(3)]
        options = dice.randrange(len(OPTIONS))
        with self._noting():
            found = self._model.predict([PICTURES[i] for i in chosen], **OPTIONS[options], **self._terms(dice))
            for picture, results in zip(chosen, found, strict=True):
                self._judge(picture, options, results)

    def _nonsense(self, dice: random.Random) -> None:
        with self._noting():
            try:
                self._model.predict(dice.choice([np.zeros((0, 4, 3), np.uint8), np.zeros(3), object()]))
            except InvalidImage:
                self._count("nonsense refused")
            else:
                self._complain("nonsense got a result")

    def _event_loop(self, _: int) -> None:
        async def all_tasks() -> None:
            await asyncio.gather(*(self._task(number) for number in range(self.tasks)))

        asyncio.run(all_tasks())

    async def _task(self, number: int) -> None:
        dice = random.Random(self.seed * 2000 + number)
        while not self._stop.is_set():
            picture, options = self._chosen(dice)
            with self._noting():
                while not (self._open.is_set() or self._stop.is_set()):
                    await asyncio.sleep(0.01)
                task = asyncio.ensure_future(
                    self._model.predict_async(PICTURES[picture], **OPTIONS[options], **self._terms(dice))
                )
                if dice.random() < 0.1:
                    await asyncio.sleep(dice.random() * 0.01)
                    task.cancel()
                self._judge(picture, options, await asyncio.wait_for(task, HANG_S))
            await asyncio.sleep(0)  # also when it was refused at once

    # ---- Those that disturb

    def _swapper(self, _: int) -> None:
        dice = random.Random(self.seed)
        while not self._stop.wait(dice.random() * 0.2):
            with self._noting():
                self._model.swap(dice.choice(self.paths))
                self._keep_engine()
                with self._lock:
                    self.swaps += 1

    def _closer(self, _: int) -> None:
        dice = random.Random(self.seed + 1)
        while not self._stop.wait(0.5 + dice.random()):
            old = self._model
            drain, timeout = dice.random() < 0.5, dice.choice([None, 0.05, 5.0])
            closing = threading.Thread(target=old.close, args=(drain, timeout))
            self._open.clear()
            closing.start()
            old.close(drain, timeout)  # twice at once
            closing.join()
            self._model = self._opened()
            self._open.set()

    def _opened(self) -> YOLO:
        while True:
            try:
                model = YOLO(self.paths[0], queue=QueuePolicy(size=64))
            except RuntimeFailed:  # the runtime could not compile
                continue
            self._keep_engine(model)
            with self._lock:
                self.lives += 1
            return model

    # ---- What must hold

    def _answers_alone(self) -> Alone:
        found: Alone = []
        for path in self.paths:
            self._model.swap(path)
            self._keep_engine()
            found.append(
                {
                    (picture, options): _bits(self._model.predict(PICTURES[picture], **OPTIONS[options])[0])
                    for picture in range(len(PICTURES))
                    for options in range(len(OPTIONS))
                }
            )
        different = sum(found[0][key] != found[1][key] for key in found[0])
        assert different > len(found[0]) / 2, "the two models give the same answers"
        return found

    def _judge(self, picture: int, options: int, results: Results) -> None:
        if _bits(results) not in (answers[picture, options] for answers in self.alone):
            self._complain(f"wrong bits for picture {picture} with {OPTIONS[options]}: {results}")
        self._count("result")

    def _check_counts(self) -> None:
        for engine in self.engines:
            _counts_add_up(engine)

    def _keep_engine(self, model: YOLO | None = None) -> None:
        """Until it has ended, to see that its counts add up then."""
        engine = (model or self._model)._opened.engine
        with self._lock:
            for old in [old for old in self.engines if old is not engine and old.is_closed and not old.threads_alive()]:
                _counts_add_up(old)
                self.engines.remove(old)
            if engine not in self.engines:
                self.engines.append(engine)

    def _chosen(self, dice: random.Random) -> tuple[int, int]:
        return dice.randrange(len(PICTURES)), dice.randrange(len(OPTIONS))

    def _terms(self, dice: random.Random) -> dict[str, Any]:
        return {
            "timeout": dice.choice([None, None, 1e-6, 0.005, 0.1, 10.0]),
            "client": dice.choice([None, None, "flood", Client("heavy", weight=3), dice.randrange(20)]),
            "priority": dice.choice([0, 0, 1, -2.5]),
            "on_full": dice.choice(["wait", "wait", "reject", "drop_oldest", "latest"]),
        }

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """What a call may end with; anything else ends the run."""
        try:
            yield
        except (EngineError, PartialFailure) as error:
            self._count(type(error).__name__)
            if isinstance(error, EngineClosed):
                self._open.wait(1)
        except (CancelledError, asyncio.CancelledError):
            self._count("cancelled by the caller")

    def _guarded(self, work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            import traceback

            self._complain(f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
            self._stop.set()

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1

    def _complain(self, what: str) -> None:
        with self._lock:
            self.wrong.append(what)


@contextmanager
def opened_with(backend: Backend | None) -> Iterator[None]:
    """Models are opened with that backend; None for the real one."""
    if backend is None:
        yield
        return
    with mock.patch("yoloom.facade.open_model.find_backend", return_value=backend):
        yield


class Growth:
    """What the process holds early in a run, and at its end."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._samples: list[float] = []

    def watch(self, seconds: float, stop: threading.Event, has_enough: Callable[[], bool]) -> None:
        """Until `stop`, or for so many seconds at least and until there is enough."""
        until = time.monotonic() + seconds
        while (time.monotonic() < until or not has_enough()) and not stop.wait(min(1.0, seconds / 20)):
            self._samples.append(self._process.memory_info().rss / 2**20)

    def report(self) -> dict[str, float]:
        """MiB: the median of the second quarter of the run, and of the last."""
        quarter = max(1, len(self._samples) // 4)
        early, late = sorted(self._samples[quarter : 2 * quarter]), sorted(self._samples[-quarter:])
        return {"early_mib": early[len(early) // 2], "late_mib": late[len(late) // 2]}


def two_models(folder: Path) -> list[Path]:
    """Two files: the bundled network, and one whose first convolution is another."""
    demo = Path(str(importlib.resources.files("yoloom") / "assets" / "demo.onnx"))
    first, second = folder / "first.onnx", folder / "second.onnx"
    first.write_bytes(demo.read_bytes())
    proto = onnx.load(demo)
    for tensor in proto.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if array.ndim == 4:
            tensor.CopyFrom(onnx.numpy_helper.from_array(array[::-1].copy(), tensor.name))
            break
    onnx.save(proto, second)
    return [first, second]


def _counts_add_up(engine: Engine) -> None:
    found = engine.statistics()
    ended = found.succeeded + found.failed + found.expired + found.cancelled + found.dropped
    assert found.admitted == ended, f"{found.admitted} admitted, {ended} ended: {found}"
    assert found.waiting == found.running == found.applying == 0, found


def _objects_alive() -> Counter[str]:
    """What requests and engines are made of, by class: how much memory a process has depends on its load."""
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in KEPT)


def _bits(results: Results) -> bytes:
    assert results.boxes is not None
    return bytes(results.boxes.data.tobytes())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shaken", action="store_true", help="let the interpreter switch threads all the time")
    parser.add_argument("--real", action="store_true", help="OpenVINO in place of the runtime that fails")
    asked = parser.parse_args()
    faulthandler.enable()
    logging.getLogger("yoloom").setLevel(logging.CRITICAL + 1)
    if asked.shaken:
        sys.setswitchinterval(1e-6)
    threads, files = threading.active_count(), open_files()
    with tempfile.TemporaryDirectory() as folder:
        backend = None if asked.real else FaultyBackend(asked.seed)
        with opened_with(backend):
            stress = Stress(two_models(Path(folder)), backend, 256, 256, asked.seed)
            found = stress.run(asked.seconds)
    del stress
    gc.collect()
    with suppress(YoloomError):
        registry().close_all()
    found |= {"threads_left": threading.active_count() - threads, "files_left": open_files() - files}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
