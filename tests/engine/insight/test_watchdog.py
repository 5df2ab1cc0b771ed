"""The watchdog: who holds and who waits for what, said once for each stall."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from yoloom import YOLO
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later, predict_nonblocking, predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.insight.snapshot import EngineSnapshot
from yoloom.engine.insight.statistics import LaneState
from yoloom.engine.insight.watchdog import PATIENCE_S, Stall, StallEvent, Watchdog, patience_of
from yoloom.engine.request import Image, Request
from yoloom.engine.scheduling.request_terms import Client, RequestTerms, calling_client, label_of, named_client
from yoloom.errors import EngineClosed, InvalidOption
from yoloom.options import PredictOptions
from yoloom.sync.clock import monotonic
from yoloom.testing import FakeBackend, Gate, ManualClock, fake_model

IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(backend: FakeBackend, clock: ManualClock) -> Iterator[Engine]:
    """One lane, three places, and a clock that stands still."""
    engine = thread_engine(fake_model(), backend, threads=1, capacity=3, clock=clock)
    engine.start()
    yield engine
    engine.close()


@pytest.fixture
def watchdog(engine: Engine) -> Watchdog:
    """One without a thread, that looks when it is told to."""
    return Watchdog(engine.scheduler.snapshot, engine.threads_of_work, 10.0)


def later(engine: Engine, image: object = IMAGE, **terms: Any) -> ResultFuture:
    return predict_later(
        engine, LocalImageJob(engine.model, PredictOptions(), "image.jpg"), image, RequestTerms(**terms)
    )


def held(engine: Engine, backend: FakeBackend) -> tuple[Gate, ResultFuture]:
    gate = Gate()
    backend.script(gate)
    future = later(engine)
    gate.wait_for()
    return gate, future


# ---- The rule, without threads


def judged(*moments: tuple[float, float]) -> list[StallEvent | None]:
    """What a rule with a patience of 10 says of (now, still since) in a row."""
    stall = Stall(10.0)
    return [stall.check(EngineSnapshot("model", now, since)) for now, since in moments]


def test_a_stall_is_reported_once() -> None:
    assert judged((9, 0), (10, 0), (11, 0), (500, 0)) == [None, StallEvent.STALLED, None, None]


def test_what_moves_again_is_reported_once_too() -> None:
    assert judged((10, 0), (12, 11), (13, 11)) == [StallEvent.STALLED, StallEvent.MOVES, None]


def test_the_next_stall_is_reported_again() -> None:
    assert judged((10, 0), (12, 11), (21, 11), (22, 11)) == [
        StallEvent.STALLED,
        StallEvent.MOVES,
        StallEvent.STALLED,
        None,
    ]


def test_slow_but_moving_is_no_stall() -> None:
    assert set(judged(*((now, now - 9) for now in range(9, 200)))) == {None}


def test_idle_is_no_stall() -> None:
    assert set(judged((0, 0), (1000, 1000), (5000, 5000))) == {None}


def test_a_lock_that_can_not_be_had_is_a_stall_until_it_can() -> None:
    stall = Stall(10.0)
    locked = EngineSnapshot("model", 10, 0.1, lock_held_by="worker")
    verdicts = [stall.check(locked), stall.check(replace(locked, now=20, still_since=10)), stall.check(idle(21))]
    assert verdicts == [StallEvent.STALLED, None, StallEvent.MOVES]


def idle(now: float) -> EngineSnapshot:
    return EngineSnapshot("model", now, now)


# ---- The report, without threads


def waiting(client: Client, is_ready: bool = True) -> Request:
    request = Request(0, RequestTerms(client=client), lambda _: None)
    request.image = cast("Image", object()) if is_ready else None
    return request


def test_the_report_says_who_holds_and_who_waits() -> None:
    door, thread_a, thread_b = named_client("door"), Client("thread a"), Client("thread b")
    snapshot = EngineSnapshot(
        name="best.pt",
        now=112.5,
        still_since=100.0,
        lane_states=(
            LaneState("latency", 0, "running", 12500.0, (17,), "yoloom-lane-0"),
            LaneState("throughput", 0, "running", 12000.0, (18, 19), "yoloom-lane-1"),
            LaneState("throughput", 1, "broken"),
            LaneState("throughput", 2, "idle"),
        ),
        capacity=3,
        waiting=(waiting(door), waiting(door), waiting(thread_a, is_ready=False)),
        waiters=(thread_b,) * 4,
    )
    assert snapshot.stall_report({"yoloom-lane-0": "  in run\n", "h0": "  idle\n", "h1": "  idle\n"}) == (
        "best.pt: nothing has moved for 12.5 s\n"
        "lane 0 of latency: runs request 17 for 12.5 s, in thread yoloom-lane-0\n"
        "lane 0 of throughput: runs requests 18, 19 for 12.0 s, in thread yoloom-lane-1\n"
        "lane 1 of throughput: broken\n"
        "lane 2 of throughput: idle\n"
        "3 of 3 places taken: 2 wait for a lane, 1 for their image to be decoded\n"
        "  2 of 'door'\n"
        "  1 of 'thread a'\n"
        "4 callers wait for a place\n"
        "  4 of 'thread b'\n"
        "yoloom-lane-0:\n"
        "  in run\n"
        "h0, h1:\n"
        "  idle"
    )


def test_a_report_of_hundreds_of_clients_stays_short() -> None:
    requests = tuple(waiting(Client(f"client {index}")) for index in range(300))
    report = replace(idle(5.0), waiting=requests).stall_report({})
    assert len(report.splitlines()) < 20
    assert "292 of 292 other clients" in report


def test_the_report_of_a_lock_names_its_holder() -> None:
    report = EngineSnapshot("best.pt", 10.0, 0.0, "worker-3").stall_report({"worker-3": "  somewhere"})
    assert report.splitlines()[1] == "the engine's lock is held by thread worker-3; all others wait for it"


def test_clients_are_told_by_the_name_they_gave_or_have() -> None:
    async def of_task() -> str:
        return label_of(calling_client())

    async def in_a_task() -> str:
        return await asyncio.create_task(of_task(), name="the-task")

    assert asyncio.run(in_a_task()) == "task the-task"
    assert label_of(calling_client()) == f"thread {threading.current_thread().name}"
    assert label_of(named_client(("door", 3))) == "('door', 3)"
    assert label_of(Client("door")) == "'door'"


# ---- An engine that stands still


def test_a_run_that_hangs_is_reported_with_all_who_wait(
    engine: Engine, backend: FakeBackend, clock: ManualClock, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine, client=named_client("door")) for _ in range(3)]
    elsewhere = predict_nonblocking(
        engine,
        LocalImageJob(engine.model, PredictOptions(), "image.jpg"),
        IMAGE,
        RequestTerms(client=calling_client()),
    )
    deadline = monotonic() + 30
    while not engine.statistics().applying:
        assert monotonic() < deadline
        threading.Event().wait(0.001)
    for seconds in (9.0, 3.0, 5.0):
        clock.advance(seconds)
        watchdog.check()
    (record,) = caplog.records
    report = record.getMessage()
    assert (record.name, record.levelno) == ("yoloom.watchdog", logging.WARNING)
    assert "fake.onnx: nothing has moved for 12.0 s" in report
    assert f"runs request {first.request.id} for 12.0 s, in thread yoloom-lane-0" in report
    assert "3 of 3 places taken: 3 wait for a lane, 0 for their image to be decoded\n  3 of 'door'" in report
    assert "1 callers wait for a place\n  1 of thread MainThread" in report
    assert "in execute" in report, "the stack of the lane"
    gate.open()
    wait([first, *waiting, elsewhere])
    watchdog.check()
    assert caplog.messages[1:] == ["fake.onnx: it moves again, after 17.0 s"]


def test_an_image_that_is_decoded_for_ever_is_reported(
    engine: Engine, clock: ManualClock, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    request = engine.new_request(RequestTerms(client=Client("camera")), lambda _: None)
    engine.admit(request)
    clock.advance(10.5)
    watchdog.check()
    assert "1 of 3 places taken: 0 wait for a lane, 1 for their image to be decoded" in caplog.messages[0]


def test_nothing_is_said_of_an_engine_that_waits_for_work(
    engine: Engine, clock: ManualClock, watchdog: Watchdog, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to report the hour before the first request when its arrival is not noted."""
    watchdog.check()
    clock.advance(3600)
    watchdog.check()
    request = engine.new_request(RequestTerms(), lambda _: None)
    engine.admit(request)
    watchdog.check()
    clock.advance(9)
    watchdog.check()
    later(engine).result(30)  # others go on
    clock.advance(9)
    watchdog.check()
    assert caplog.messages == []


def test_one_lane_that_hangs_beside_others_that_run_is_reported(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    backend = FakeBackend(lanes=2)
    engine = thread_engine(fake_model(), backend, threads=2, clock=clock)
    engine.start()
    watchdog = Watchdog(engine.scheduler.snapshot, engine.threads_of_work, 10.0)
    gate, first = held(engine, backend)
    second = later(engine)  # lets the other form be compiled
    for _ in range(4):
        clock.advance(4)
        wait([second])
        second = later(engine)
        watchdog.check()
    assert len(caplog.messages) == 1
    assert f"runs request {first.request.id}" in caplog.messages[0]
    gate.open()
    wait([first, second])
    engine.close()


def test_a_lock_that_is_never_given_back_is_reported(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Seen to hang with a watchdog that waits for the lock as long as it takes."""
    watchdog = Watchdog(engine.scheduler.snapshot, engine.threads_of_work, 0.02)
    taken, give_back = threading.Event(), threading.Event()

    def hold() -> None:
        with engine.scheduler._lock:
            taken.set()
            give_back.wait(30)

    holder = threading.Thread(target=hold, name="the-holder")
    holder.start()
    taken.wait(30)
    watchdog.check()
    watchdog.check()
    give_back.set()
    holder.join(30)
    watchdog.check()
    report, again = caplog.messages
    assert "the engine's lock is held by thread the-holder" in report
    assert "in hold" in report, "its stack"
    assert "moves again" in again


# ---- Its thread


def test_it_looks_by_itself_and_ends_with_the_engine(backend: FakeBackend, caplog: pytest.LogCaptureFixture) -> None:
    engine = thread_engine(fake_model(), backend, threads=1)
    engine.start()
    engine.watch(1.0)
    engine.watch(0.05)  # of two wishes, the shorter time
    (thread,) = [thread for thread in engine.threads_alive() if thread.name == "yoloom-watchdog"]
    gate, first = held(engine, backend)
    deadline = monotonic() + 30
    while not caplog.messages:
        assert monotonic() < deadline
        threading.Event().wait(0.001)
    gate.open()
    first.result(30)
    engine.close()
    engine.close()
    assert not thread.is_alive()
    assert "nothing has moved" in caplog.messages[0]
    with pytest.raises(EngineClosed):
        engine.watch(1.0)


def test_a_fault_of_its_own_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    looked = threading.Semaphore(0)

    def look(_: float) -> EngineSnapshot:
        looked.release()
        raise ValueError("no")

    watchdog = Watchdog(look, list, 0.01)
    watchdog.start()
    assert all(looked.acquire(timeout=30) for _ in range(3))
    watchdog.stop()
    watchdog.stop()
    assert caplog.messages[0] == "the watchdog could not look"


def test_a_log_handler_may_close_the_model_whose_stall_it_hears_of(backend: FakeBackend) -> None:
    """Seen to fail ("cannot join current thread") when `stop` waits for its own thread."""
    engine = thread_engine(fake_model(), backend, threads=1)
    engine.start()
    outcomes: list[BaseException | None] = []
    closed = threading.Event()

    class Closing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            try:
                engine.close(timeout=0)
                outcomes.append(None)
            except BaseException as error:
                outcomes.append(error)
            closed.set()

    handler = Closing()
    logging.getLogger("yoloom.watchdog").addHandler(handler)
    try:
        engine.watch(0.05)
        (thread,) = [thread for thread in engine.threads_alive() if thread.name == "yoloom-watchdog"]
        gate, first = held(engine, backend)
        assert closed.wait(30)
        assert isinstance(first.exception(30), EngineClosed)
        thread.join(30)
        assert not thread.is_alive()
    finally:
        logging.getLogger("yoloom.watchdog").removeHandler(handler)
    gate.open()
    assert outcomes == [None]


@pytest.mark.slow
def test_debug_of_a_model_starts_it_for_all_handles(demo_model: Path) -> None:
    with YOLO(demo_model) as plain:
        assert "yoloom-watchdog" not in thread_names(plain)
        with YOLO(demo_model, debug=True) as watched:
            assert "yoloom-watchdog" in thread_names(plain)
            predict_now(
                watched._opened.engine,
                LocalImageJob(watched.model, PredictOptions(), "image.jpg"),
                IMAGE,
                RequestTerms(math.inf),
            )
        assert thread_names(plain).count("yoloom-watchdog") == 1


def thread_names(model: YOLO) -> list[str]:
    return [thread.name for thread in model._opened.engine.threads_alive()]


def test_patience_is_ten_seconds_unless_asked() -> None:
    assert [patience_of(debug) for debug in (True, False, 3, 0.5)] == [PATIENCE_S, None, 3.0, 0.5]
    assert PATIENCE_S == 10.0


@pytest.mark.parametrize("debug", [0, -1, math.nan, math.inf, "yes", None, [1]])
def test_a_patience_that_is_none_is_refused(debug: Any, demo_model: Path) -> None:
    with pytest.raises(InvalidOption, match="debug must be"):
        YOLO(demo_model, debug=debug)
