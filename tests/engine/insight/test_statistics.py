"""What an engine tells of itself: counts by reason, durations, lanes, and what it holds."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom import YOLO, Client
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later, predict_nonblocking, predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.insight.counters import LaneActivity
from yoloom.engine.insight.statistics import LaneState, ProfilePlan, Refused, Statistics
from yoloom.engine.request import Request
from yoloom.engine.scheduling.policy import LaneOffer, Run
from yoloom.engine.scheduling.request_terms import OnFull, RequestTerms
from yoloom.engine.stream import ResultStream
from yoloom.errors import DeadlineExceeded, EngineClosed, InvalidModel, QueueFull, RuntimeFailed
from yoloom.options import PredictOptions
from yoloom.results.results import Results
from yoloom.runtime.protocol import THROUGHPUT
from yoloom.sync.clock import monotonic
from yoloom.telemetry.histogram import SMALLEST_MS
from yoloom.testing import FakeBackend, Gate, ManualClock, barrier_run, fake_model

IMAGE = np.zeros((48, 64, 3), np.uint8)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def engine(backend: FakeBackend, clock: ManualClock) -> Iterator[Engine]:
    """One lane, two places, and a clock that stands still."""
    engine = thread_engine(fake_model(), backend, threads=1, capacity=2, clock=clock)
    engine.start()
    yield engine
    engine.close()


def prediction(engine: Engine) -> LocalImageJob:
    return LocalImageJob(engine.model, PredictOptions(), "image.jpg")


def now(engine: Engine, **terms: Any) -> None:
    predict_now(engine, prediction(engine), IMAGE, RequestTerms(**terms))


def later(engine: Engine, **terms: Any) -> ResultFuture:
    return predict_later(engine, prediction(engine), IMAGE, RequestTerms(**terms))


def held(engine: Engine, backend: FakeBackend) -> tuple[Gate, ResultFuture]:
    gate = Gate()
    backend.script(gate)
    future = later(engine)
    gate.wait_for()
    return gate, future


def until(engine: Engine, holds: Callable[[Statistics], bool]) -> Statistics:
    deadline = monotonic() + 30
    while not holds(found := engine.statistics()):
        assert monotonic() < deadline, found
        threading.Event().wait(0.001)
    return found


def waits_for_the_lock(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    # The clock of `CountedLock` is read only when the first try has failed.
    return frame is not None and frame.f_code.co_name == "__enter__" and "started" in frame.f_locals


def test_refusals_are_counted_by_reason(engine: Engine, backend: FakeBackend, clock: ManualClock) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine) for _ in range(2)]
    with pytest.raises(QueueFull):
        now(engine, on_full=OnFull.REJECT)
    with pytest.raises(QueueFull):
        predict_nonblocking(engine, prediction(engine), IMAGE, RequestTerms(on_full=OnFull.REJECT))
    with pytest.raises(DeadlineExceeded):
        now(engine, deadline=clock())
    assert engine.statistics().refusals == Refused(full=2, expired=1)
    gate.open()
    wait([first, *waiting])
    engine.close()
    with pytest.raises(EngineClosed):
        now(engine)
    found = engine.statistics()
    assert found.refusals == Refused(full=2, expired=1, closed=1)
    assert (found.refused, found.admitted, found.succeeded) == (4, 3, 3)


def test_waiting_elsewhere_for_a_place_is_no_refusal(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine) for _ in range(2)]
    applicant = predict_nonblocking(engine, prediction(engine), IMAGE, RequestTerms(client=Client("door")))
    found = until(engine, lambda found: found.applying == 1)
    assert (found.refused, found.waiting, found.running, found.in_flight) == (0, 2, 1, 3)
    gate.open()
    wait([first, *waiting, applicant])
    found = engine.statistics()
    assert (found.refused, found.applying, found.in_flight, found.succeeded) == (0, 0, 0, 4)


def test_durations_are_those_of_the_clock(engine: Engine, backend: FakeBackend, clock: ManualClock) -> None:
    backend.script(lambda: clock.advance(0.05))
    now(engine)
    gate, first = held(engine, backend)
    second = later(engine)
    clock.advance(2.0)
    gate.open()
    wait([first, second])
    found = engine.statistics()
    assert (found.wait.count, found.execute.count, found.prepare.count) == (3, 3, 3)
    assert found.execute.max_ms == pytest.approx(2000)
    assert found.execute.p50_ms == pytest.approx(50, rel=0.03)
    assert found.wait.max_ms == pytest.approx(2000)
    assert (found.wait.p50_ms, found.prepare.max_ms) == (SMALLEST_MS, 0.0)


def test_waiting_for_a_place_is_waiting(engine: Engine, backend: FakeBackend, clock: ManualClock) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine) for _ in range(2)]
    applicant = predict_nonblocking(engine, prediction(engine), IMAGE, RequestTerms())
    until(engine, lambda found: found.applying == 1)
    clock.advance(3.0)
    gate.open()
    wait([first, *waiting, applicant])
    assert engine.statistics().wait.mean_ms == pytest.approx(3 * 3000 / 4)


def test_postprocessing_is_measured_where_it_happens(clock: ManualClock) -> None:
    class Slow(LocalImageJob):
        def finish(self, request: Request) -> Any:
            clock.advance(0.25)
            return super().finish(request)

    engine = thread_engine(fake_model(), FakeBackend(), threads=1, clock=clock)
    engine.start()
    slow = Slow(engine.model, PredictOptions(), "slow.jpg")
    predict_now(engine, slow, IMAGE, RequestTerms())
    predict_later(engine, slow, IMAGE, RequestTerms()).result(30)
    engine.close()
    found = engine.statistics().postprocess
    assert (found.count, found.mean_ms) == (2, pytest.approx(250))


class Ending(LocalImageJob):
    """Whose heads end as they are told."""

    def __init__(self, engine: Engine, step: Callable[[], object]) -> None:
        super().__init__(engine.model, PredictOptions(), "image.jpg")
        self._step = step

    def finish(self, request: Request) -> Results:
        self._step()
        return super().finish(request)


def raising(error: BaseException) -> Callable[..., Any]:
    def step(*_: object) -> None:
        raise error

    return step


def ends(engine: Engine) -> tuple[int, int, int, int]:
    found = engine.statistics()
    assert found.admitted == found.succeeded + found.failed + found.expired + found.cancelled
    return found.succeeded, found.failed, found.expired, found.cancelled


@pytest.mark.parametrize("error", [ValueError("boom"), InvalidModel("no such head"), SystemExit(1)])
def test_what_fails_in_the_heads_is_counted_as_failed(engine: Engine, error: BaseException) -> None:
    """Seen to be counted as succeeded."""
    with pytest.raises(type(error)):
        predict_now(engine, Ending(engine, raising(error)), IMAGE, RequestTerms())
    assert later_with(engine, Ending(engine, raising(error))).exception(30)
    assert ends(engine) == (0, 2, 0, 0)


def test_ctrl_c_in_the_heads_is_counted_as_cancelled(engine: Engine) -> None:
    """Seen to be counted as succeeded."""
    with pytest.raises(KeyboardInterrupt):
        predict_now(engine, Ending(engine, raising(KeyboardInterrupt())), IMAGE, RequestTerms())
    assert ends(engine) == (0, 0, 0, 1)


def test_a_deadline_that_passes_in_the_heads_is_counted_as_expired(engine: Engine, clock: ManualClock) -> None:
    slow = Ending(engine, lambda: clock.advance(10))
    with pytest.raises(DeadlineExceeded):
        predict_now(engine, slow, IMAGE, RequestTerms(clock() + 5))
    with pytest.raises(DeadlineExceeded):
        later_with(engine, slow, deadline=clock() + 5).result(30)
    assert ends(engine) == (0, 0, 2, 0)


def test_a_result_that_can_not_be_delivered_is_counted_as_failed(engine: Engine) -> None:
    """Seen to be counted as succeeded: by its caller, by a helper, and by a stream."""
    full = raising(OSError(28, "No space left"))
    with pytest.raises(OSError, match="No space"):
        predict_now(engine, prediction(engine), IMAGE, RequestTerms(), full)
    assert isinstance(later_with(engine, prediction(engine), full).exception(30), OSError)
    with (
        ResultStream([IMAGE], lambda _: later(engine), full, window=1) as stream,
        pytest.raises(OSError, match="No space"),
    ):
        next(stream)
    assert ends(engine) == (0, 3, 0, 0)


def later_with(
    engine: Engine,
    prediction: LocalImageJob,
    deliver: Callable[[Results], Results] = lambda results: results,
    **terms: Any,
) -> ResultFuture:
    return predict_later(engine, prediction, IMAGE, RequestTerms(**terms), deliver)


@pytest.mark.slow
def test_a_folder_that_is_full_is_counted_as_failed(
    demo_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the facade. Seen to be counted as succeeded."""
    with YOLO(demo_model) as model:
        options: dict[str, Any] = {"imgsz": 64, "save": True, "project": str(tmp_path), "exist_ok": True}
        monkeypatch.setattr("yoloom.facade.output_folder.OutputFolder.write", raising(OSError(28, "No space left")))
        with pytest.raises(OSError, match="No space"):
            model.predict(IMAGE, **options)
        with pytest.raises(OSError, match="No space"):
            next(model.predict([IMAGE], stream=True, **options))
        assert isinstance(model.submit(IMAGE, **options).exception(30), OSError)
        found = model.statistics()
    assert (found.succeeded, found.failed) == (0, 3)


def test_lanes_tell_what_they_do(engine: Engine, backend: FakeBackend, clock: ManualClock) -> None:
    assert engine.statistics().lane_states == (LaneState("latency", 0, "idle"),)
    gate, first = held(engine, backend)
    clock.advance(1.5)
    assert engine.statistics().lane_states == (
        LaneState("latency", 0, "running", 1500.0, (first.request.id,), "yoloom-lane-0"),
    )
    gate.open()
    first.result(30)
    backend.script(RuntimeError("first"), RuntimeError("again"))
    with pytest.raises(RuntimeFailed):
        now(engine)
    found = engine.statistics()
    assert ([lane.state for lane in found.lane_states], found.broken) == (["broken"], 1)
    now(engine)
    assert engine.statistics().broken == 0


def test_the_plan_has_every_form(engine: Engine, backend: FakeBackend) -> None:
    found = engine.statistics()
    assert (found.plan, found.threads) == ((ProfilePlan("latency", 1, 1),), 1)
    gate, first = held(engine, backend)
    second = later(engine)
    found = until(engine, lambda found: len(found.plan) == 2)
    assert found.plan == (ProfilePlan("latency", 1, 1), ProfilePlan("throughput", 1, 1))
    assert (found.forms, found.lanes) == (("latency", "throughput"), 2)
    gate.open()
    wait([first, second])
    engine.close()
    assert engine.statistics().plan == ()


def test_batches_are_counted_by_size() -> None:
    activity = LaneActivity()
    activity.add_profile(THROUGHPUT, LaneOffer(2, batch=4))
    requests = [Request(number, RequestTerms(), lambda _: None) for number in range(5)]
    for lane, members in enumerate((requests[:4], requests[4:])):
        activity.started(Run(THROUGHPUT, lane, tuple(r.id for r in members)), members, 1.0)
    assert [request.timeline.batch for request in requests] == [4, 4, 4, 4, 1]
    assert activity.batch_sizes() == {1: 1, 4: 1}
    assert activity.plan() == (ProfilePlan("throughput", 2, 4),)
    assert len(activity.running()) == 5


def test_held_bytes_are_those_of_the_images(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    second = later(engine)
    found = engine.statistics().held
    assert (found.running, found.waiting) == (IMAGE.nbytes, IMAGE.nbytes)
    gate.open()
    wait([first, second])
    found = engine.statistics().held
    assert (found.running, found.waiting, found.weights) == (0, 0, 0)  # the fake has no file


@pytest.mark.slow
def test_weights_are_the_bytes_of_the_file(demo_model: Path) -> None:
    with YOLO(demo_model) as model:
        assert model.statistics().held.weights == demo_model.stat().st_size


def test_waits_for_the_lock_are_counted(engine: Engine) -> None:
    with engine.scheduler._lock:
        waiter = threading.Thread(target=engine.statistics)
        waiter.start()
        while not waits_for_the_lock(waiter):
            threading.Event().wait(0.001)
    waiter.join(30)
    found = engine.statistics().lock
    assert (found.waited, found.taken) >= (1, 3)
    assert found.total_ms >= found.max_ms > 0


def test_a_snapshot_is_frozen_and_does_not_move(engine: Engine) -> None:
    before = engine.statistics()
    kept = copy.deepcopy(before)
    now(engine)
    assert before == kept
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.admitted = 7  # type: ignore[misc]
    with pytest.raises(TypeError):
        before.batch_sizes[1] = 7  # type: ignore[index]
    assert pickle.loads(pickle.dumps(before)) == before


def test_a_snapshot_goes_through_json(engine: Engine) -> None:
    now(engine)
    told = engine.statistics().to_dict()
    assert json.loads(json.dumps(told)) == told
    assert told["batch_sizes"] == {"1": 1}
    assert told["refusals"] == dict.fromkeys(("full", "expired", "cancelled", "dropped", "closed", "failed"), 0)
    assert (told["refused"], told["lanes"], told["forms"]) == (0, 1, ["latency"])
    assert told["lane_states"][0]["state"] == "idle"
    assert told["execute"].keys() == {"count", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"}


def test_every_request_is_counted_once_under_load() -> None:
    """Each admitted request is in one of the ends, and each that a lane took in the histograms."""
    engine = thread_engine(fake_model(), FakeBackend(lanes=2), threads=2, capacity=4)
    engine.start()

    def work(index: int) -> None:
        for round_ in range(20):
            with contextlib.suppress(QueueFull):
                now(engine, on_full=OnFull.REJECT if (index + round_) % 3 else OnFull.WAIT)

    barrier_run(8, work)
    engine.close()
    found = engine.statistics()
    assert found.admitted == found.succeeded == found.wait.count == found.execute.count == found.postprocess.count
    assert found.admitted + found.refusals.full == 160
    assert sum(size * runs for size, runs in found.batch_sizes.items()) == found.admitted
    assert found.lock.taken > found.admitted
