"""Who gets a place, who makes room, whose turn it is, and what a failing lane does: through the engine's threads."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from forms import form_of
from yoloom import YOLO, Client, QueuePolicy, errors
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later, predict_nonblocking, predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.lanes.cpu_gate import CpuGate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.engine.scheduling.request_terms import OnFull, RequestTerms, calling_client, named_client
from yoloom.engine.stream import awaited
from yoloom.errors import DeadlineExceeded, Dropped, EngineClosed, InvalidOption, QueueFull, RuntimeFailed
from yoloom.formats.model import Model
from yoloom.options import PredictOptions
from yoloom.runtime.cpu import throughput_profile
from yoloom.runtime.protocol import Batch, Precision, Profile, RawOutputs
from yoloom.sync.clock import monotonic
from yoloom.testing import FakeBackend, Gate, ManualClock, barrier_run, fake_model


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def engine(backend: FakeBackend) -> Iterator[Engine]:
    engine = thread_engine(fake_model(), backend, threads=1, capacity=4)
    engine.start()
    yield engine
    engine.close()


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def later(engine: Engine, seed: int, **terms: Any) -> ResultFuture:
    return predict_later(
        engine, LocalImageJob(engine.model, PredictOptions(), f"{seed}.jpg"), picture(seed), RequestTerms(**terms)
    )


def elsewhere_of(engine: Engine, seed: int, **terms: Any) -> ResultFuture:
    return predict_nonblocking(
        engine, LocalImageJob(engine.model, PredictOptions(), f"{seed}.jpg"), picture(seed), RequestTerms(**terms)
    )


def now(engine: Engine, seed: int, **terms: Any) -> bytes:
    prediction = LocalImageJob(engine.model, PredictOptions(), f"{seed}.jpg")
    results = predict_now(engine, prediction, picture(seed), RequestTerms(**terms))
    assert results.boxes is not None
    return bytes(results.boxes.data.tobytes())


def held(engine: Engine, backend: FakeBackend) -> tuple[Gate, ResultFuture]:
    """The only lane stands still at the gate."""
    gate = Gate()
    backend.script(gate)
    future = later(engine, 999, client=Client("first"))
    gate.wait_for()
    return gate, future


def order_of(futures: list[ResultFuture], gate: Gate) -> list[int]:
    """The order in which they are executed: one lane, and one helper that finishes them in turn."""
    done: list[int] = []
    lock = threading.Lock()

    def note(index: int) -> Callable[[object], None]:
        def called(_: object) -> None:
            with lock:
                done.append(index)

        return called

    for index, future in enumerate(futures):
        future.add_done_callback(note(index))
    gate.open()
    wait(futures)
    for future in futures:
        future.result(30)
    while len(done) < len(futures):
        threading.Event().wait(0.001)
    return done


def test_reject_refuses_and_says_how_many_places_there_are(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine, seed) for seed in range(4)]
    with pytest.raises(QueueFull, match="4 places"):
        now(engine, 9, on_full=OnFull.REJECT)
    assert engine.statistics().refused == 1
    gate.open()
    wait([first, *waiting])
    assert engine.statistics().succeeded == 5


def test_drop_oldest_ends_the_oldest_of_the_flood_and_never_runs_it(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    runs = backend.runs
    flood = [later(engine, seed, client=Client("flood")) for seed in range(4)]
    newest = later(engine, 9, client=Client("other"), on_full=OnFull.DROP_OLDEST)
    with pytest.raises(Dropped, match="newer request"):
        flood[0].result(30)
    gate.open()
    wait([first, newest, *flood[1:]])
    statistics = engine.statistics()
    assert (statistics.dropped, statistics.succeeded, backend.runs - runs) == (1, 5, 4)


def test_latest_keeps_one_frame_of_a_camera(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    frames = [later(engine, seed, client=Client("camera"), on_full=OnFull.LATEST) for seed in range(3)]
    gate.open()
    wait([first, *frames])
    outcomes = [future.exception() for future in frames]
    assert [type(outcome) for outcome in outcomes] == [Dropped, Dropped, type(None)]


def test_a_client_that_floods_starves_nobody(backend: FakeBackend) -> None:
    """Seen to come last with a single line for all."""
    engine = thread_engine(fake_model(), backend, threads=1, capacity=64)
    engine.start()
    gate, first = held(engine, backend)
    flood = [later(engine, seed, client=Client("flood")) for seed in range(20)]
    other = later(engine, 50, client=Client("other"))
    done = order_of([*flood, other], gate)
    assert done.index(20) <= 2, "one of the flood, perhaps one that the lane had begun, and then the other"
    first.result(30)
    engine.close()


def test_priority_orders_the_requests_of_one_client(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    futures = [later(engine, seed, client=Client("a"), priority=seed) for seed in (0, 1, 2)]
    assert order_of(futures, gate) == [2, 1, 0]
    first.result(30)


def test_a_run_that_fails_once_is_done_again_on_a_new_context(engine: Engine, backend: FakeBackend) -> None:
    expected = now(engine, 1)
    backend.script(RuntimeError("lane on fire"))
    assert now(engine, 1) == expected
    assert engine.statistics().retried == 1
    assert engine.statistics().broken == 0


def test_a_lane_that_can_not_be_replaced_fails_its_request_and_is_tried_again(
    engine: Engine, backend: FakeBackend
) -> None:
    backend.script(RuntimeError("one"), RuntimeError("two"))
    with pytest.raises(RuntimeFailed, match="two"):
        now(engine, 1)
    assert engine.statistics().broken == 1
    assert now(engine, 1)
    assert engine.statistics().broken == 0


class Poisoned(FakeBackend):
    """Fails every batch with a certain picture in it, by its first pixel."""

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        if any(image[8, 0].tolist() == [1, 2, 3] for image in batch):
            raise RuntimeError("poison")
        return super().execute(model, batch)


def test_a_deadline_is_checked_before_a_run_is_tried_again() -> None:
    clock, backend = ManualClock(), FakeBackend(lanes=1)
    engine = thread_engine(fake_model(), backend, threads=1, clock=clock)
    engine.start()

    def fail_late() -> None:
        clock.advance(10)
        raise RuntimeError("late")

    backend.script(fail_late)
    future = later(engine, 1, deadline=5.0)
    with pytest.raises(DeadlineExceeded):
        future.result(30)
    engine.close()  # the lane counts it when its run ends, perhaps after the caller has heard
    assert engine.statistics().expired == 1


def test_a_result_that_comes_too_late_is_an_error_and_is_counted_so() -> None:
    clock, backend = ManualClock(), FakeBackend(lanes=1)
    engine = thread_engine(fake_model(), backend, threads=1, clock=clock)
    engine.start()
    backend.script(lambda: clock.advance(10))
    with pytest.raises(DeadlineExceeded):
        later(engine, 1, deadline=5.0).result(30)
    engine.close()
    statistics = engine.statistics()
    assert (statistics.succeeded, statistics.expired) == (0, 1)


def test_a_drain_runs_what_waits_and_takes_nothing_new(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine, seed) for seed in range(3)]
    closer = threading.Thread(target=engine.close, kwargs={"drain": True})
    closer.start()
    while not engine.scheduler._closing:
        threading.Event().wait(0.001)
    with pytest.raises(EngineClosed):
        now(engine, 9)
    gate.open()
    closer.join(30)
    assert not closer.is_alive()
    assert all(future.exception(30) is None for future in (first, *waiting))
    assert engine.statistics().succeeded == 4


def test_a_drain_that_takes_too_long_ends_what_is_left(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    waiting = [later(engine, seed) for seed in range(3)]
    closer = threading.Thread(target=engine.close, kwargs={"drain": True, "timeout": 0.05})
    closer.start()
    closer.join(30)
    assert not closer.is_alive(), "it waits for a lane that hangs"
    for future in (first, *waiting):
        assert isinstance(future.exception(30), EngineClosed)
    gate.open()
    engine.close()  # now the lane can end
    assert engine.threads_alive() == []
    assert engine.statistics().failed == 4


def test_a_drain_ends_when_somebody_else_closes(engine: Engine) -> None:
    """Seen to wait for ever when `close` does not wake it: what waits is never prepared, and nothing runs."""
    ended: list[object] = []
    request = engine.new_request(RequestTerms(), lambda request: ended.append(request.error))
    engine.admit(request)
    drainer = threading.Thread(target=engine.close, kwargs={"drain": True})
    drainer.start()
    while not engine.scheduler._settled._waiters:  # type: ignore[attr-defined]
        threading.Event().wait(0.001)
    engine.close()
    drainer.join(30)
    assert not drainer.is_alive()
    assert [type(error) for error in ended] == [EngineClosed]


def test_every_admitted_request_is_counted_once(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    futures = [first, *(later(engine, seed) for seed in range(3))]
    futures[1].cancel()
    futures += [later(engine, 7, on_full=OnFull.LATEST)]
    late = later(engine, 8, deadline=monotonic() + 0.01, client=Client("late"))
    gate.open()
    wait([*futures, late])
    found = engine.statistics()
    ended = found.succeeded + found.failed + found.expired + found.cancelled + found.dropped
    assert found.admitted == ended == 6


def test_clients_take_turns_for_places_of_a_full_queue(engine: Engine, backend: FakeBackend) -> None:
    """Seen to come last with one line for all who wait for a place."""
    gate, first = held(engine, backend)
    flood = [later(engine, seed, client=Client("flood")) for seed in range(4)]
    elsewhere = [elsewhere_of(engine, seed, client=Client("flood")) for seed in range(10, 20)]
    other = elsewhere_of(engine, 50, client=Client("other"))
    done = order_of([*flood, *elsewhere, other], gate)
    assert done.index(14) <= len(flood) + 2
    first.result(30)


def test_results_that_nobody_has_finished_yet_keep_their_places(backend: FakeBackend) -> None:
    """Seen to let any number of outputs pile up behind a helper that is slow."""
    engine = thread_engine(fake_model(), backend, threads=1, capacity=2)
    engine.start()
    helper, runs = Gate(), backend.runs
    engine.on_helper(helper)
    helper.wait_for()
    futures = [later(engine, seed) for seed in range(2)]
    while backend.runs - runs < 2:
        threading.Event().wait(0.001)
    while engine.statistics().running:
        threading.Event().wait(0.001)
    with pytest.raises(QueueFull):
        later(engine, 3, on_full=OnFull.REJECT)
    assert futures[0].cancel(), "who gives up gives the place back"
    futures.append(later(engine, 4, on_full=OnFull.REJECT))
    helper.open()
    assert [type(future.exception(30)) for future in futures[1:]] == [type(None)] * 2
    assert engine.statistics().cancelled == 1
    engine.close()


def test_a_result_that_is_cancelled_while_it_runs_is_counted_so(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    assert first.cancel()
    gate.open()
    now(engine, 1)
    found = engine.statistics()
    assert (found.cancelled, found.succeeded, found.admitted) == (1, 1, 2)


def test_a_future_hears_of_its_deadline_while_its_request_runs(engine: Engine, backend: FakeBackend) -> None:
    """Seen to wait for the run, and so for ever when it hangs, without a bound on `result`."""
    gate = Gate()
    backend.script(gate)
    future = later(engine, 1, deadline=monotonic() + 0.2)
    gate.wait_for()
    with pytest.raises(DeadlineExceeded):
        future.result()
    assert engine.statistics().running == 1
    gate.open()
    assert now(engine, 1)
    assert engine.statistics().expired == 1


def test_a_task_hears_of_its_deadline_and_it_is_counted_so(engine: Engine, backend: FakeBackend) -> None:
    """Seen to be counted as cancelled with `asyncio.wait_for`."""
    gate, first = held(engine, backend)

    async def late() -> None:
        with pytest.raises(DeadlineExceeded):
            await awaited(elsewhere_of(engine, 1, deadline=monotonic() + 0.05), 0.05)

    asyncio.run(late())
    assert engine.statistics().expired == 1
    gate.open()
    first.result(30)


def test_a_loop_that_was_closed_meanwhile_hurts_nobody(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    loop = asyncio.new_event_loop()
    future = elsewhere_of(engine, 1)
    task = loop.create_task(awaited(future, math.inf))
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    second = elsewhere_of(engine, 2)
    waiting = loop.create_task(awaited(second, math.inf))
    loop.run_until_complete(asyncio.sleep(0))
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    gate.open()
    assert second.result(30)
    assert future.cancelled()
    assert now(engine, 3)
    first.result(30)


def image_of(future: ResultFuture) -> Any:
    """What the job of a future holds: in a pipeline of its own, or for a worker that has the pipeline."""
    job: Any = future._job
    return job._pipeline.image if hasattr(job, "_pipeline") else job._image


def test_a_future_that_has_ended_holds_neither_image_nor_outputs(engine: Engine, backend: FakeBackend) -> None:
    """Seen to hold both for as long as the caller keeps the future."""
    gate, running = held(engine, backend)
    waiting = later(engine, 1)
    images = [weakref.ref(image_of(future)) for future in (running, waiting)]
    assert running.cancel()
    assert waiting.cancel()
    gate.open()
    now(engine, 2)
    now(engine, 3)  # what the lane held last is replaced
    assert [image() for image in images] == [None, None]
    assert running.request.outputs is None


def test_closing_does_not_wait_longer_than_asked_for_a_callback_that_blocks(backend: FakeBackend) -> None:
    engine = thread_engine(fake_model(), backend, threads=1)
    engine.start()
    gate = Gate()
    future = later(engine, 1)
    future.add_done_callback(lambda _: gate())
    gate.wait_for()
    closer = threading.Thread(target=engine.close, kwargs={"timeout": 0.05})
    closer.start()
    closer.join(30)
    assert not closer.is_alive()
    gate.open()
    for thread in engine.threads_alive():
        thread.join(30)


def test_a_close_that_lost_its_patience_with_a_helper_ends_what_waits_for_it(
    engine: Engine, backend: FakeBackend
) -> None:
    """Seen to leave the futures waiting for ever: one that has run, one that runs, and one that is to be decoded."""
    helper, calls = Gate(), []
    engine.on_helper(helper)
    helper.wait_for()
    gate, running = held(engine, backend)
    undecoded = predict_later(
        engine, LocalImageJob(engine.model, PredictOptions(), "1.png"), encoded(1), RequestTerms(client=Client("b"))
    )
    futures = [running, undecoded]
    for future in futures:
        future.add_done_callback(calls.append)
    closer = threading.Thread(target=engine.close, kwargs={"timeout": 0.2})
    closer.start()
    gate.open()
    closer.join(30)
    assert not closer.is_alive()
    assert not wait(futures, 5).not_done
    assert [type(future.exception()) for future in futures] == [EngineClosed] * 2
    helper.open()
    engine.close()
    assert engine.threads_alive() == []
    assert sorted(map(id, calls)) == sorted(map(id, futures)), "each is told once"
    found = engine.statistics()
    assert (found.admitted, found.failed, found.succeeded) == (2, 2, 0)


def encoded(seed: int) -> bytes:
    return bytes(cv2.imencode(".png", picture(seed))[1])


def test_a_delivery_that_hangs_is_ended_by_the_close_and_not_once_more_by_itself(engine: Engine) -> None:
    """Seen to wait for ever. A callback that blocks then keeps the close no longer than asked."""
    deliver, called, callback = Gate(), threading.Event(), Gate()
    prediction = LocalImageJob(engine.model, PredictOptions(), "1.jpg")
    future = predict_later(engine, prediction, picture(1), RequestTerms(), lambda results: (deliver(), results)[1])
    future.add_done_callback(lambda _: (called.set(), callback()))
    deliver.wait_for()
    closer = threading.Thread(target=engine.close, kwargs={"timeout": 0.05})
    closer.start()
    closer.join(30)
    assert not closer.is_alive()
    assert called.wait(5)
    assert isinstance(future.exception(5), EngineClosed)
    deliver.open()
    callback.open()
    engine.close()
    assert engine.threads_alive() == []
    assert isinstance(future.exception(5), EngineClosed)
    assert engine.statistics().failed == 1


class LoudHandler(logging.Handler):
    """A handler of a program's, which fails."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self._error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self._error("the handler failed")


@pytest.fixture
def loud(request: pytest.FixtureRequest) -> Iterator[None]:
    handler = LoudHandler(request.param)
    logging.getLogger("yoloom.engine").addHandler(handler)
    yield
    logging.getLogger("yoloom.engine").removeHandler(handler)


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("loud", [RuntimeError], indirect=True)
def test_a_log_handler_that_raises_changes_nothing(engine: Engine, backend: FakeBackend) -> None:
    """Seen to end the lane, so that everybody waited for ever."""
    backend.script(RuntimeError("lane on fire"))
    assert now(engine, 1, deadline=monotonic() + 30)


@pytest.mark.usefixtures("loud")
@pytest.mark.parametrize("loud", [SystemExit], indirect=True)
def test_a_log_handler_that_wants_to_exit_ends_no_lane(engine: Engine, backend: FakeBackend) -> None:
    """Seen to end the lane, so that everybody waited for ever."""
    backend.script(RuntimeError("lane on fire"))
    with pytest.raises(RuntimeFailed, match="the handler failed"):
        now(engine, 1, deadline=monotonic() + 30)
    assert now(engine, 1, deadline=monotonic() + 30)


def test_an_interrupt_at_admission_gives_the_place_back(
    engine: Engine, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to keep the place for ever, so that a drain never ends."""
    held_by, first = held(engine, backend)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("yoloom.engine.futures._prepare", interrupted)
    with pytest.raises(KeyboardInterrupt):
        now(engine, 1)
    with pytest.raises(KeyboardInterrupt):
        later(engine, 2)
    monkeypatch.undo()
    assert engine.statistics().waiting == 0
    held_by.open()
    first.result(30)
    engine.close(drain=True, timeout=30)


def test_a_lane_that_hangs_after_close_holds_no_cpu(backend: FakeBackend) -> None:
    """Seen to keep the CPUs of the process from other engines for as long as it hung."""
    gate = CpuGate(lambda: 2)
    mine, other = gate.share(2), gate.share(2)
    assert mine.take(2, 1)
    mine.leave()
    assert other.take(1, 1)
    assert other.take(1, 1)
    mine.give_back(2)  # the lane came back at last
    other.give_back(1)
    other.give_back(1)
    assert (mine.computing, other.computing) == (0, 0)
    assert mine.take(2, 1), "a last run of a lane that waited"
    mine.give_back(2)


# ---- Through the facade


@pytest.fixture(scope="module")
def opened(demo_model: Path) -> Iterator[YOLO]:
    with YOLO(demo_model, queue=QueuePolicy(size=32)) as model:
        yield model


@pytest.mark.parametrize(
    "options",
    [
        {"on_full": "explode"},
        {"on_full": 3},
        {"on_full": ["wait"]},
        {"priority": "high"},
        {"priority": math.nan},
        {"priority": math.inf},
        {"client": []},
        {"client": object()},
        {"client": ("door", [])},
        {"client": Client("a", weight=0)},
        {"client": Client("a", weight=10**6)},
        {"client": Client([], 1)},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"timeout": "soon"},
    ],
)
def test_terms_that_are_none_are_refused(opened: YOLO, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOption):
        opened.predict(picture(1), imgsz=64, **options)


@pytest.mark.parametrize("size", [0, -1, 1.5, math.nan, math.inf, "many", 2**40])
def test_sizes_that_are_none_are_refused(size: Any) -> None:
    with pytest.raises(InvalidOption, match="size"):
        QueuePolicy(size=size)


def test_a_queue_is_shared_and_has_one_size(opened: YOLO, demo_model: Path) -> None:
    with pytest.raises(InvalidOption, match="size must be 32"):
        YOLO(demo_model, queue=QueuePolicy(size=8))
    with pytest.raises(InvalidOption, match="QueuePolicy"):
        YOLO(demo_model, queue=8)  # type: ignore[arg-type]
    with YOLO(demo_model, queue=QueuePolicy(size=32, on_full="reject")), YOLO(demo_model):
        assert opened.predict(picture(1), imgsz=64)


def test_all_terms_give_the_same_bits(opened: YOLO) -> None:
    (plain,) = opened.predict(picture(1), imgsz=64, conf=0.01)
    terms: dict[str, Any] = {"client": Client("a", 3), "priority": 2.5, "on_full": "latest", "timeout": 60}
    (asked,) = opened.predict(picture(1), imgsz=64, conf=0.01, **terms)
    assert asked.boxes.data.tobytes() == plain.boxes.data.tobytes()


def test_threads_and_tasks_are_clients_by_default() -> None:
    import asyncio

    async def two_tasks() -> set[Client]:
        async def mine() -> Client:
            return calling_client()

        return set(await asyncio.gather(mine(), mine()))

    assert calling_client() == calling_client()
    assert len({calling_client(), *barrier_run(2, lambda _: calling_client())}) == 3
    assert len(asyncio.run(two_tasks())) == 2
    assert named_client("door") == named_client(Client("door"))
    assert named_client(threading.get_ident()) != calling_client()


def test_the_errors_of_a_queue_have_their_http_status() -> None:
    assert [getattr(errors, name).http_status for name in ("QueueFull", "Dropped")] == [429, 429]
    assert [errors.DeadlineExceeded.http_status, errors.Cancelled.http_status] == [504, 499]
    assert errors.EngineClosed.http_status == 503


def test_one_poisoned_image_fails_alone_in_its_batch() -> None:
    """Batches are made by a form that takes several images."""

    class Drawn:
        canvas_hw = (16, 16)
        lowest_score = 0.0

        def __init__(self, value: int) -> None:
            self.value = value

        def draw(self, canvas: np.ndarray) -> None:
            canvas[...] = self.value
            if self.value == 7:
                canvas[8, 0] = (1, 2, 3)

    backend = Poisoned()
    engine = thread_engine(fake_model(), backend, threads=1)
    requests = [engine.new_request(RequestTerms(), lambda _: None) for _ in range(3)]
    for request, value in zip(requests, (5, 7, 9), strict=True):
        request.image = Drawn(value)
    slot = ContextSlot(form_of(backend, fake_model(), throughput_profile(1)), CpuGate().share(1))
    outcomes = slot.serve(requests, monotonic)
    assert [type(outcome.error) for outcome in outcomes] == [type(None), RuntimeFailed, type(None)]
    alone = slot.serve([requests[2]], monotonic)[0]
    assert alone.outputs[0].tobytes() == outcomes[2].outputs[0].tobytes()


def test_places_that_many_left_wake_as_many_that_wait(engine: Engine, backend: FakeBackend) -> None:
    """Seen to leave callers blocked beside free places, when one that leaves is one that is woken."""
    gate, first = held(engine, backend)
    frames = [later(engine, seed, client=Client("camera")) for seed in range(4)]
    waiting = [threading.Thread(target=now, args=(engine, seed)) for seed in (5, 6)]
    for thread in waiting:
        thread.start()
    while engine.scheduler.policy.waiting_for_place < 2:
        threading.Event().wait(0.001)
    newest = later(engine, 9, client=Client("camera"), on_full=OnFull.LATEST)
    while engine.statistics().waiting < 3:
        threading.Event().wait(0.001)
    gate.open()
    for thread in waiting:
        thread.join(30)
    wait([first, newest, *frames])
    assert engine.statistics().dropped == 4


def test_a_lane_that_runs_is_not_broken(engine: Engine, backend: FakeBackend) -> None:
    gate, first = held(engine, backend)
    assert engine.statistics().broken == 0
    gate.open()
    first.result(30)


def test_a_request_that_no_helper_can_prepare_gives_its_place_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Seen to keep its place for ever, and to hold up every drain."""

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    now(engine, 1)
    monkeypatch.setattr(threading.Thread, "start", no_more)
    prediction = LocalImageJob(engine.model, PredictOptions(), "a.jpg")
    future = predict_later(engine, prediction, str(tmp_path / "a.jpg"), RequestTerms())
    assert isinstance(future.exception(30), RuntimeFailed)
    monkeypatch.undo()
    assert engine.statistics().waiting == 0
    engine.close(drain=True)


def test_a_runtime_that_makes_no_context_is_told_as_a_typed_error(backend: FakeBackend) -> None:
    """Seen to come out of `YOLO(path)` as the runtime's own RuntimeError."""

    class NoContext(FakeBackend):
        def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> Any:
            compiled = super().compile(model, profile, precision)
            compiled.context = self._no_context  # type: ignore[method-assign]
            return compiled

        def _no_context(self) -> Any:
            raise RuntimeError("out of memory")

    engine = thread_engine(fake_model(), NoContext(lanes=1), threads=1)
    with pytest.raises(RuntimeFailed, match=r"can not make a context.*out of memory"):
        engine.start()
    engine.close()


def test_a_warm_up_that_breaks_the_contract_is_told_as_a_typed_error(backend: FakeBackend) -> None:
    """Seen to come out of `YOLO(path)` as it was raised."""
    backend.script(ZeroDivisionError("surprise"))
    engine = thread_engine(fake_model(), backend, threads=1)
    with pytest.raises(RuntimeFailed, match="ZeroDivisionError: surprise"):
        engine.start()
    engine.close()
