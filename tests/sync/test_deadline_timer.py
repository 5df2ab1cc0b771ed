"""Deadlines that are kept while all lanes are busy, and nobody waits in `result`."""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom import YOLO
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import DeadlineExceeded
from yoloom.options import PredictOptions
from yoloom.sync.clock import monotonic
from yoloom.sync.deadline_timer import SLACK, Deadlines, DeadlineTimer
from yoloom.testing import FakeBackend, Gate, ManualClock, fake_model

IMAGE = np.zeros((48, 64, 3), np.uint8)


# ---- The rule, without threads


def noting(done: list[int], number: int) -> Callable[[], None]:
    return lambda: done.append(number)


def added(*deadlines: float) -> tuple[Deadlines, list[int]]:
    """Numbered from 0, and what was ended so far."""
    kept, done = Deadlines(), list[int]()
    for number, deadline in enumerate(deadlines):
        kept.add(number, deadline, noting(done, number))
    return kept, done


def test_what_is_due_is_taken_once_the_earliest_first() -> None:
    kept, done = added(7, 3, 5, 9)
    assert kept.next == 3
    assert kept.take_due(2) == []
    for end in kept.take_due(7):
        end()
    assert (done, kept.next) == ([1, 2, 0], 9)
    assert kept.take_due(7) == []


def test_what_a_finalizer_removes_while_it_is_taken_is_not_due() -> None:
    """Seen to fail with a KeyError."""

    class Vanishing(dict[int, Callable[[], object]]):
        def pop(self, number: int, *default: Any) -> Any:
            self.__delitem__(number)  # the garbage collector has struck right before
            return super().pop(number, *default)

    kept, _ = added(3)
    kept._ends = Vanishing(kept._ends)
    assert kept.take_due(5) == []


def test_a_finalizer_may_forget_a_future_while_another_is_kept() -> None:
    """Seen to hang with a Lock that is not reentrant."""
    keeper = DeadlineTimer(lambda: 0.0)

    def struck() -> None:
        with keeper._lock:  # the garbage collector strikes in a line under it
            keeper.forget(1)

    thread = threading.Thread(target=struck, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()


def test_what_was_removed_is_never_due() -> None:
    kept, _ = added(3, 5)
    kept.remove(0)
    kept.remove(0)
    assert kept.next == 5
    kept.remove(1)
    assert (kept.next, kept.take_due(100)) == (math.inf, [])


def test_deadlines_of_what_has_ended_do_not_pile_up() -> None:
    """Seen to grow by an entry for each request until its deadline, which may be an hour away."""
    kept, _ = added()
    for number in range(10_000):
        kept.add(number, 3600 + number, list)
        kept.remove(number)
    assert len(kept._order) <= SLACK + 1


# ---- Its thread


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def timer(clock: ManualClock) -> Iterator[DeadlineTimer]:
    timer = DeadlineTimer(clock)
    yield timer
    timer.stop()
    assert timer.threads_alive() == []


def test_there_is_no_thread_while_nothing_is_to_be_kept(clock: ManualClock, timer: DeadlineTimer) -> None:
    assert timer.threads_alive() == []
    done: list[int] = []
    timer.schedule(1, 0.05, noting(done, 1))  # by a clock that stands still: the thread looks, and sleeps again
    (thread,) = timer.threads_alive()
    clock.advance(1)
    thread.join(30)
    assert (done, timer.threads_alive()) == ([1], [])
    timer.schedule(2, 0.5, noting(done, 2))  # due already
    while len(done) < 2:
        threading.Event().wait(0.001)


def test_an_earlier_deadline_wakes_the_thread() -> None:
    """Seen to be kept an hour late without the wake-up."""
    timer = DeadlineTimer(monotonic)
    ended = threading.Event()
    timer.schedule(1, monotonic() + 3600, list)
    while not timer._changed._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.001)
    timer.schedule(2, monotonic() + 0.05, ended.set)
    assert ended.wait(30)
    timer.stop()
    timer.schedule(3, 0, ended.clear)
    assert timer.threads_alive() == []
    assert ended.is_set()


def test_one_that_can_not_be_ended_does_not_keep_the_others(
    clock: ManualClock, timer: DeadlineTimer, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[int] = []
    timer.schedule(1, 10, lambda: 1 // 0)
    timer.schedule(2, 11, noting(done, 2))
    clock.advance(11)
    timer.poll()
    while not done:  # the thread may have come before
        threading.Event().wait(0.001)
    assert done == [2]
    assert "could not be ended at its deadline" in caplog.text


def test_without_a_thread_it_is_tried_again(
    clock: ManualClock, timer: DeadlineTimer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_more)
    timer.schedule(1, 10, list)
    monkeypatch.undo()
    assert "no thread could be started for deadlines" in caplog.text
    assert timer.threads_alive() == []
    timer.schedule(2, 20, list)
    assert len(timer.threads_alive()) == 1


# ---- Futures


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def engine(backend: FakeBackend, clock: ManualClock) -> Iterator[Engine]:
    engine = thread_engine(fake_model(), backend, threads=1, clock=clock)
    engine.start()
    yield engine
    engine.close()
    assert engine.threads_alive() == []


def later(engine: Engine, **terms: Any) -> ResultFuture:
    prediction = LocalImageJob(engine.model, PredictOptions(), "image.jpg")
    return predict_later(engine, prediction, IMAGE, RequestTerms(**terms)).keep_time()


def test_callbacks_hear_of_a_deadline_while_all_lanes_are_busy(
    engine: Engine, backend: FakeBackend, clock: ManualClock
) -> None:
    """One that runs and one that waits. Seen to hear of it when the lane was free."""
    gate = Gate()
    backend.script(gate)
    futures = [later(engine, deadline=60.0), later(engine, deadline=61.0)]
    gate.wait_for()
    heard = threading.Semaphore(0)
    for future in futures:
        future.add_done_callback(lambda _: heard.release())
    clock.advance(61)
    engine.deadline_timer.poll()
    assert all(heard.acquire(timeout=30) for _ in futures)
    assert [type(future.exception()) for future in futures] == [DeadlineExceeded] * 2
    gate.open()
    engine.close()
    found = engine.statistics()
    assert (found.expired, found.succeeded, backend.runs) == (2, 0, 2), "the warm-up, and the one that ran"


def test_what_ends_in_time_is_forgotten(engine: Engine) -> None:
    """Seen to hold the futures, and their results, until their deadline."""
    futures = [later(engine, deadline=3600.0) for _ in range(8)]
    wait(futures)
    assert engine.deadline_timer._deadlines.next == math.inf
    assert all(len(future.result()) for future in futures)


@pytest.mark.slow
def test_a_future_of_submit_ends_in_time_for_all_who_wait_for_it(demo_model: Path) -> None:
    """Through the facade, on the real clock. Seen to wait for the runs that stand still."""
    with YOLO(demo_model, threads=1) as model:
        engine, gate = model._opened.engine, Gate()
        engine.expect_many()
        for slot in itertools.chain(*engine.lanes._lanes._slots.values()):
            slot.serve = functools.partial(_stopped_at, gate, slot.serve)  # type: ignore[method-assign]
        running = [model.submit(IMAGE, imgsz=64) for _ in engine.lanes._lanes.threads()]
        gate.wait_for(len(running))
        late = [model.submit(IMAGE, imgsz=64, timeout=0.05) for _ in range(3)]
        assert [type(future.exception()) for future in as_completed(late, timeout=30)] == [DeadlineExceeded] * 3
        gate.open()
        assert [future.exception(30) for future in running] == [None] * len(running)


def _stopped_at(gate: Gate, serve: Callable[..., Any], *asked: Any) -> Any:
    gate()
    return serve(*asked)
