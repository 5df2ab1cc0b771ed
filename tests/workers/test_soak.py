"""Full load while workers are killed at random: 10 seconds here, as many as YOLOOM_SOAK_S says elsewhere (`make soak`).

Every request ends exactly once, its result has the right bits, and neither memory nor descriptors grow. What is left of
the throughput is printed; it is asserted only in a long run, where the machine is meant to be quiet.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import numpy as np
import psutil
import pytest

from scenes import scene
from yoloom import YOLO, Workers
from yoloom.errors import WorkerCrashed

SECONDS = float(os.environ.get("YOLOOM_SOAK_S", "10"))
KILL_EVERY_S = 2.0
CALLERS = 6
LONG_S = 300.0
UNDISTURBED_S = 4.0 if SECONDS >= LONG_S else 1.0
KINDS = (*(signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT) * 3, signal.SIGSTOP)
"""A worker that is stopped shows only after `silence_s`: how much is done meanwhile is up to that."""


pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 600)]


@dataclass
class Tally:
    """What the callers saw. One for each caller, so that nobody shares one."""

    results: int = 0
    crashed: int = 0
    wrong: list[int] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


def call_until(
    stop: threading.Event, model: YOLO, images: list[np.ndarray], expected: list[bytes], tally: Tally
) -> None:
    while not stop.is_set():
        for index, image in enumerate(images):
            try:
                bits = model(image)[0].boxes.data.tobytes()
            except WorkerCrashed:  # two kills in a row hit this very request
                tally.crashed += 1
                continue
            except BaseException as error:
                tally.errors.append(error)
                return
            tally.results += 1
            if bits != expected[index]:
                tally.wrong.append(index)


def rate(tallies: list[Tally], seconds: float) -> float:
    before, started = sum(tally.results for tally in tallies), time.monotonic()
    time.sleep(seconds)
    return (sum(tally.results for tally in tallies) - before) / (time.monotonic() - started)


def kill_one(model: YOLO, chance: random.Random) -> signal.Signals:
    """Returns how."""
    pids = [worker.pid for worker in model.statistics().workers if worker.pid is not None]
    how = chance.choice(KINDS)
    with suppress(IndexError, ProcessLookupError):  # all are being replaced
        os.kill(chance.choice(pids), how)
    return how


def test_kills_at_full_load_lose_nothing(demo_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(7)
    images = [np.array(scene(seed, (320, 240)).image) for seed in range(4)]
    with YOLO(demo_model) as alone:
        expected = [alone(image)[0].boxes.data.tobytes() for image in images]
    policy = Workers(2, restarts=10_000, silence_s=2.0)
    with YOLO(demo_model, threads=2, workers=policy) as model:
        stop, tallies = threading.Event(), [Tally() for _ in range(CALLERS)]
        callers = [
            threading.Thread(target=call_until, args=(stop, model, images, expected, tally)) for tally in tallies
        ]
        for caller in callers:
            caller.start()
        undisturbed = rate(tallies, UNDISTURBED_S)
        rates, stopped, resident, descriptors = [], [], [], []
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            is_stopped = kill_one(model, chance) is signal.SIGSTOP
            (stopped if is_stopped else rates).append(rate(tallies, KILL_EVERY_S))
            resident.append(psutil.Process().memory_info().rss / 2**20)
            descriptors.append(psutil.Process().num_fds())
        rate(tallies, KILL_EVERY_S)  # for the last to be replaced
        undisturbed = (undisturbed + rate(tallies, UNDISTURBED_S)) / 2  # others may use the machine by now
        stop.set()
        for caller in callers:
            caller.join(100)
        found = model.statistics()
    assert not any(caller.is_alive() for caller in callers)
    assert not [error for tally in tallies for error in tally.errors]
    assert not [index for tally in tallies for index in tally.wrong]
    results, crashed = (sum(getattr(tally, name) for tally in tallies) for name in ("results", "crashed"))
    assert (found.succeeded, found.failed, found.admitted) == (results, crashed, results + crashed)
    half = len(resident) // 2
    assert max(descriptors[half:]) <= max(descriptors[:half]) + 8  # a worker that is about to be replaced has some
    assert max(resident[half:]) <= max(resident[:half]) + 32
    share, after_stops = (fmean(some or [0.0]) / undisturbed for some in (rates, stopped))
    with capsys.disabled():
        print(
            f"\n{results} results, {crashed} crashed twice, {sum(w.restarts for w in found.workers)} restarts; "
            f"undisturbed {undisturbed:.0f}/s, {share:.2f} of it after a kill, {after_stops:.2f} after a stop; "
            f"{resident[0]:.0f} to {resident[-1]:.0f} MiB, {descriptors[0]} to {descriptors[-1]} descriptors"
        )
    if SECONDS >= LONG_S:
        assert share > 0.8
