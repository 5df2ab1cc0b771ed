"""The engine's shell: threads, deadlines, cancellation and the end, with a runtime that follows a script."""

from __future__ import annotations

import asyncio
import gc
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import cv2
import numpy as np
import pytest

from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later, predict_nonblocking, predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.request import Signal
from yoloom.engine.scheduling.request_terms import OnFull, RequestTerms
from yoloom.errors import (
    DeadlineExceeded,
    EngineClosed,
    ForkedEngine,
    ImageDecodeError,
    InvalidImage,
    QueueFull,
    RuntimeFailed,
)
from yoloom.formats.model import Model
from yoloom.options import PredictOptions
from yoloom.results.results import Results
from yoloom.runtime.protocol import LATENCY, THROUGHPUT, Precision
from yoloom.sync.clock import monotonic
from yoloom.testing import FakeBackend, Gate, ManualClock, barrier_run, fake_model, shaken

NEVER = math.inf


def picture(seed: int, shape_hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape_hw, 3), np.uint8)


def bits(results: Results) -> bytes:
    return results.boxes.data.tobytes()


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=2)


@pytest.fixture
def model() -> Model:
    return fake_model()


@pytest.fixture
def engine(backend: FakeBackend, model: Model) -> Iterator[Engine]:
    engine = thread_engine(model, backend, threads=2, capacity=4)
    engine.start()
    yield engine
    engine.close()


def prediction(engine: Engine, **options: object) -> LocalImageJob:
    return LocalImageJob(engine.model, PredictOptions(**options), "image0.jpg")  # type: ignore[arg-type]


def now(engine: Engine, image: object, timeout: float = NEVER, **options: object) -> Results:
    return predict_now(engine, prediction(engine, **options), image, RequestTerms(monotonic() + timeout))


def later(engine: Engine, image: object, timeout: float = NEVER) -> ResultFuture:
    return predict_later(engine, prediction(engine), image, RequestTerms(monotonic() + timeout))


def until(true: Callable[[], bool]) -> None:
    end = monotonic() + 30
    while not true():
        assert monotonic() < end
        threading.Event().wait(0.001)


def occupied(engine: Engine, backend: FakeBackend) -> tuple[Gate, list[ResultFuture]]:
    """Every lane's thread stands still at the gate; what comes next must wait."""
    gate = Gate()
    backend.script(*[gate] * backend.lanes)
    futures = [later(engine, picture(100 + lane)) for lane in range(backend.lanes)]
    gate.wait_for(backend.lanes)
    return gate, futures


@pytest.mark.parametrize(("stride", "size"), [(1, 160), (32, 160), (64, 192), (128, 256)])
def test_a_network_warms_up_with_a_size_that_its_stride_allows(backend: FakeBackend, stride: int, size: int) -> None:
    engine = thread_engine(replace(fake_model(), stride=stride), backend, threads=1, capacity=1)
    engine.start()
    engine.close()
    assert backend.shapes == [(1, size, size, 3)]


def test_a_result_is_that_of_its_own_image(engine: Engine) -> None:
    expected = [bits(now(engine, picture(seed))) for seed in range(8)]
    assert len(set(expected)) == 8
    assert [bits(now(engine, picture(seed))) for seed in range(8)] == expected


def test_many_threads_on_one_engine_get_their_own_results(engine: Engine) -> None:
    expected = [bits(now(engine, picture(seed))) for seed in range(32)]
    with shaken():
        answers = barrier_run(32, lambda i: [bits(now(engine, picture(i))) for _ in range(5)])
    assert answers == [[bits] * 5 for bits in expected]


def test_one_caller_never_compiles_the_second_form(engine: Engine, backend: FakeBackend) -> None:
    for seed in range(5):
        now(engine, picture(seed))
    assert backend.compiled == [LATENCY]


def test_requests_that_meet_bring_the_second_form_once(engine: Engine, backend: FakeBackend) -> None:
    gate, futures = occupied(engine, backend)
    gate.open()
    wait(futures)
    assert backend.compiled == [LATENCY, THROUGHPUT]
    assert backend.most_users == 2


def test_both_forms_have_the_precision_of_the_engine(backend: FakeBackend, model: Model) -> None:
    """Seen to fail (a second form in float32) with the precision left out of the second compilation."""
    engine = thread_engine(model, backend, threads=2, capacity=4, precision=Precision.BF16)
    engine.start()
    expected = bits(now(engine, picture(1)))
    gate, futures = occupied(engine, backend)
    gate.open()
    wait(futures)
    assert bits(now(engine, picture(1))) == expected
    engine.close()
    assert [(profile.name, precision) for profile, precision in backend.compilations] == [
        (form, Precision.BF16) for form in (LATENCY, THROUGHPUT)
    ]


def test_precisions_differ_in_the_fake(model: Model) -> None:
    found = []
    for precision in (Precision.FP32, Precision.BF16):
        engine = thread_engine(model, FakeBackend(), threads=1, capacity=1, precision=precision)
        engine.start()
        found.append(now(engine, picture(1)).boxes.data)
        engine.close()
    single, brief = found
    assert not np.array_equal(brief, single)
    np.testing.assert_allclose(brief, single, rtol=2**-8, atol=0.5)


def test_the_first_form_serves_all_when_the_second_can_not_be_compiled(
    engine: Engine, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.script_compile(RuntimeFailed("no memory"))
    gate = Gate()
    backend.script_every(gate)
    futures = [later(engine, picture(seed)) for seed in range(3)]
    gate.open()
    assert len({bits(future.result(30)) for future in futures}) == 3
    assert backend.most_users == 1
    until(lambda: "could not be compiled" in caplog.text)


def test_an_error_of_the_runtime_fails_its_own_request_only(engine: Engine, backend: FakeBackend) -> None:
    backend.script(*[RuntimeError("lane on fire")] * 2)
    with pytest.raises(RuntimeFailed, match="lane on fire"):
        now(engine, picture(0))
    assert len(now(engine, picture(0)))


def test_a_backend_that_breaks_its_contract_does_not_end_the_lane(engine: Engine, backend: FakeBackend) -> None:
    backend.script(*[ZeroDivisionError("surprise")] * 2)
    with pytest.raises(RuntimeFailed, match="surprise"):
        now(engine, picture(0))
    assert len(now(engine, picture(0)))


def test_a_bad_image_gives_its_place_back(engine: Engine) -> None:
    for _ in range(10):  # more than the queue has places
        with pytest.raises(ImageDecodeError):
            now(engine, b"no image")
        with pytest.raises(ImageDecodeError):
            later(engine, b"no image").result(30)
    statistics = engine.statistics()
    assert (statistics.failed, statistics.waiting, statistics.running) == (20, 0, 0)


def test_the_caller_may_reuse_its_array_after_submit(engine: Engine, backend: FakeBackend) -> None:
    """Seen to fail when decode_image returns the caller's array without a copy."""
    expected = bits(now(engine, picture(7)))
    gate, _ = occupied(engine, backend)
    frame = picture(7)
    future = later(engine, frame)
    frame[:] = 0
    gate.open()
    result = future.result(30)
    assert bits(result) == expected
    assert np.array_equal(result.orig_img, picture(7))


def test_a_deadline_ends_a_waiting_caller_in_time(engine: Engine, backend: FakeBackend) -> None:
    gate, futures = occupied(engine, backend)
    runs = backend.runs
    with pytest.raises(DeadlineExceeded):
        now(engine, picture(0), timeout=0.01)
    gate.open()
    wait(futures)
    now(engine, picture(1))
    assert backend.runs == runs + 1, "what came too late was executed"
    assert engine.statistics().expired == 1


def test_a_deadline_ends_a_caller_whose_request_runs(engine: Engine, backend: FakeBackend) -> None:
    gate = Gate()
    backend.script(gate)
    with pytest.raises(DeadlineExceeded):
        now(engine, picture(0), timeout=0.05)
    gate.open()
    assert bits(now(engine, picture(1))) == bits(now(engine, picture(1))), "the late result went to somebody else"


def test_a_waiting_future_expires_on_the_engines_clock(backend: FakeBackend, model: Model) -> None:
    clock = ManualClock()
    engine = thread_engine(model, backend, threads=2, clock=clock)
    engine.start()
    gate, futures = occupied(engine, backend)
    late = predict_later(engine, prediction(engine), picture(0), RequestTerms(5.0))
    clock.advance(5.0)
    gate.open()
    with pytest.raises(DeadlineExceeded):
        late.result(30)
    wait(futures)
    engine.close()


def test_a_full_queue_makes_the_next_caller_wait_for_a_place(engine: Engine, backend: FakeBackend) -> None:
    gate, futures = occupied(engine, backend)
    futures += [later(engine, picture(seed)) for seed in range(4)]
    assert engine.statistics().waiting == 4
    with pytest.raises(DeadlineExceeded):
        now(engine, picture(0), timeout=0.01)
    with pytest.raises(QueueFull, match="4 places"):
        engine.admit(engine.new_request(RequestTerms(on_full=OnFull.REJECT), lambda _: None))
    blocked = threading.Thread(target=now, args=(engine, picture(9)))
    blocked.start()
    gate.open()
    blocked.join(30)
    assert not blocked.is_alive()
    wait(futures)


def test_cancelling_a_future_takes_it_out_of_the_queue(engine: Engine, backend: FakeBackend) -> None:
    gate, futures = occupied(engine, backend)
    runs = backend.runs
    waiting = later(engine, picture(0))
    assert waiting.cancel()
    assert engine.statistics().waiting == 0
    gate.open()
    wait(futures)
    now(engine, picture(1))
    assert backend.runs == runs + 1
    with pytest.raises(CancelledError):
        waiting.result()


def test_cancelling_a_running_future_discards_its_result(engine: Engine, backend: FakeBackend) -> None:
    gate = Gate()
    backend.script(gate)
    future = later(engine, picture(0))
    gate.wait_for()
    assert future.cancel()
    gate.open()
    assert len(now(engine, picture(1)))
    assert future.cancelled()


def test_a_cancelled_task_takes_its_request_out_of_the_queue(engine: Engine, backend: FakeBackend) -> None:
    gate, futures = occupied(engine, backend)

    async def cancelled() -> None:
        future = predict_nonblocking(engine, prediction(engine), picture(0), RequestTerms())
        task = asyncio.ensure_future(asyncio.wrap_future(future))
        while not engine.statistics().waiting:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert engine.statistics().waiting == 0
    assert engine.statistics().cancelled == 1
    gate.open()
    wait(futures)


def test_close_fails_what_waits_and_finishes_what_runs(engine: Engine, backend: FakeBackend) -> None:
    gate, running = occupied(engine, backend)
    waiting = [later(engine, picture(seed)) for seed in range(3)]
    closer = threading.Thread(target=engine.close)
    closer.start()
    for future in waiting:
        with pytest.raises(EngineClosed):
            future.result(30)
    gate.open()
    closer.join(30)
    outcomes = [future.exception(30) for future in running]
    assert all(outcome is None or isinstance(outcome, EngineClosed) for outcome in outcomes)
    engine.close()  # twice is harmless


def test_a_closed_engine_says_so(engine: Engine) -> None:
    engine.close()
    with pytest.raises(EngineClosed):
        now(engine, picture(0))
    with pytest.raises(EngineClosed):
        later(engine, picture(0))


def test_a_closed_engine_compiles_nothing(engine: Engine, backend: FakeBackend) -> None:
    """Seen to start a thread that compiles the second form, for nobody."""
    engine.close()
    with pytest.raises(EngineClosed):
        engine.expect_many()
    assert not engine.lanes.serves_many
    assert engine.threads_alive() == []
    assert THROUGHPUT not in backend.compiled


def test_close_frees_a_caller_that_waits_for_a_place(engine: Engine, backend: FakeBackend) -> None:
    gate, futures = occupied(engine, backend)
    futures += [later(engine, picture(seed)) for seed in range(4)]
    errors: list[BaseException] = []

    def blocked() -> None:
        try:
            now(engine, picture(9))
        except EngineClosed as error:
            errors.append(error)

    caller = threading.Thread(target=blocked)
    caller.start()
    while not engine.scheduler.policy.waiting_for_place:
        threading.Event().wait(0.001)
    closer = threading.Thread(target=engine.close)
    closer.start()
    caller.join(30)
    gate.open()
    closer.join(30)
    assert len(errors) == 1
    wait(futures)


def test_close_while_submitting(backend: FakeBackend, model: Model) -> None:
    """Each request ends once, whatever the moment of the close."""
    engine = thread_engine(model, backend, threads=2)
    engine.start()
    ended: list[str] = []

    def work(index: int) -> None:
        if index == 0:
            engine.close()
            return
        for seed in range(20):
            try:
                now(engine, picture(seed, (8, 8)))
                ended.append("result")
            except EngineClosed:
                ended.append("closed")

    with shaken():
        barrier_run(9, work)
    assert len(ended) == 8 * 20
    assert ended[-1] == "closed"


@pytest.mark.slow
def test_nothing_of_a_request_is_kept_after_it_ended(engine: Engine) -> None:
    now(engine, picture(0))
    result = now(engine, picture(1))
    image = weakref.ref(result.orig_img.base)
    del result
    gc.collect()
    assert image() is None


def test_counts_add_up(engine: Engine, backend: FakeBackend) -> None:
    backend.script(*[RuntimeError("no")] * 2)
    with pytest.raises(RuntimeFailed):
        now(engine, picture(0))
    for seed in range(3):
        now(engine, picture(seed))
    statistics = engine.statistics()
    assert (statistics.admitted, statistics.succeeded, statistics.failed) == (4, 3, 1)
    assert statistics.forms == ("latency",)
    assert statistics.lanes == 1


def test_results_never_show_the_callers_array(engine: Engine) -> None:
    """Seen to fail when `finish` hands on a borrowed array. (`predict_async` copies it when it is called.)"""
    frame = picture(3)
    for result in (now(engine, frame), later(engine, frame).result(30)):
        assert not np.shares_memory(result.orig_img, frame)
        assert np.array_equal(result.orig_img, frame)


def test_callers_that_wait_behind_others_hold_one_copy_of_their_picture(engine: Engine, backend: FakeBackend) -> None:
    """The first in the line copies it while the network runs. Seen to fail when every caller does."""
    first, second = prediction(engine), prediction(engine)
    gate, futures = occupied(engine, backend)
    with ThreadPoolExecutor(2) as pool:
        answers = [pool.submit(predict_now, engine, first, picture(5), RequestTerms())]
        until(lambda: first._copy is not None)
        answers.append(pool.submit(predict_now, engine, second, picture(5), RequestTerms()))
        until(lambda: engine.statistics().waiting == 2)
        gate.open()
        assert all(np.array_equal(answer.result(30).orig_img, picture(5)) for answer in answers)
    assert second._copy is None
    wait(futures)


def test_an_error_keeps_no_image_alive(engine: Engine) -> None:
    """Without the garbage collector. Seen to fail when the request still holds the error that holds its frames."""
    gc.disable()
    try:
        frame = picture(1).astype(np.float32)
        kept = weakref.ref(frame)
        with pytest.raises(InvalidImage):
            now(engine, frame)
        del frame
        assert kept() is None
    finally:
        gc.enable()


# ---- Futures that end, callbacks that do not


def test_cancelled_futures_are_done_for_wait_and_as_completed(engine: Engine, backend: FakeBackend) -> None:
    """Seen to wait for ever without `set_running_or_notify_cancel`."""
    gate, futures = occupied(engine, backend)
    waiting = [later(engine, picture(seed)) for seed in range(4)]
    assert all(future.cancel() for future in waiting)
    assert all(future.cancel() for future in waiting)  # twice is harmless
    assert not wait(waiting, timeout=5).not_done
    gate.open()
    wait(futures)


def test_a_callback_may_predict_and_block(backend: FakeBackend, model: Model) -> None:
    """Seen to deadlock when callbacks run on the threads that finish results."""
    engine = thread_engine(model, backend, threads=1)
    engine.start()
    answers: list[int] = []
    called, release = threading.Event(), threading.Event()

    def callback(_: object) -> None:
        answers.append(len(later(engine, picture(1)).result(30)))
        answers.append(len(now(engine, picture(2))))
        called.set()
        release.wait(30)

    later(engine, picture(0)).add_done_callback(callback)
    assert called.wait(30)
    assert len(answers) == 2
    assert len(later(engine, picture(3)).result(30)), "a callback that blocks must not keep results"
    release.set()
    engine.close()


def test_a_callback_that_no_thread_can_be_had_for_is_refused_when_it_is_added(
    engine: Engine, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to be kept, and then called by the helper that finishes everybody's results, which it could block."""

    def no_more(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    gate, futures = occupied(engine, backend)
    called: SimpleQueue[str] = SimpleQueue()
    future = futures[0]
    monkeypatch.setattr(threading.Thread, "start", no_more)
    with pytest.raises(RuntimeFailed, match="no thread could be started"):
        future.add_done_callback(lambda _: called.put("refused"))
    monkeypatch.undo()
    future.add_done_callback(lambda _: called.put(threading.current_thread().name))
    gate.open()
    assert len(future.result(30))
    assert called.get(timeout=30).startswith("yoloom-callback")
    engine.close()
    future.add_done_callback(lambda _: called.put(threading.current_thread().name))
    assert called.get_nowait() == threading.current_thread().name
    wait(futures)


def test_a_callback_of_an_expired_request_may_predict(model: Model) -> None:
    """Seen to deadlock when errors are delivered on the lane that found the deadline passed."""
    backend, clock = FakeBackend(lanes=1), ManualClock()
    engine = thread_engine(model, backend, threads=2, clock=clock)
    engine.start()
    gate, futures = occupied(engine, backend)
    answered = threading.Event()
    late = [predict_later(engine, prediction(engine), picture(seed), RequestTerms(5.0)) for seed in range(3)]
    late[0].add_done_callback(
        lambda _: (predict_now(engine, prediction(engine), picture(9), RequestTerms()), answered.set())
    )
    clock.advance(5.0)
    gate.open()
    for future in late:
        assert isinstance(future.exception(30), DeadlineExceeded)
    assert answered.wait(30)
    wait(futures)
    engine.close()


def test_a_callback_that_exits_ends_nothing_but_itself(backend: FakeBackend, model: Model) -> None:
    """Seen to kill the only helper when the crew lets SystemExit through."""
    engine = thread_engine(model, backend, threads=1)
    engine.start()
    for seed in range(3):
        future = later(engine, picture(seed))
        future.add_done_callback(lambda _: sys.exit("a callback's own idea"))
        assert len(future.result(30))
    engine.close()


def test_asynchronous_callers_in_a_full_queue_stop_nobody(backend: FakeBackend, model: Model, tmp_path: Path) -> None:
    """Seen to deadlock when helpers wait for places that only helpers can free: capacity 4, and files to decode."""
    engine = thread_engine(model, backend, threads=1, capacity=4)
    engine.start()
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture(0))
    gate = Gate()
    engine.on_helper(gate)
    gate.wait_for()
    awaited = predict_nonblocking(engine, prediction(engine), picture(0), RequestTerms())
    futures: list[ResultFuture] = []
    filler = threading.Thread(target=lambda: futures.extend(later(engine, path) for _ in range(4)))
    filler.start()  # files: they fill the queue beside the undelivered result, and wait for the helper
    while engine.statistics().waiting + engine.scheduler.policy.held < 4:
        threading.Event().wait(0.001)
    gate.open()
    filler.join(30)
    assert all(len(future.result(30)) for future in (awaited, *futures))
    engine.close()


def test_a_deadline_is_kept_while_the_image_is_still_being_decoded(backend: FakeBackend, model: Model) -> None:
    """Seen to be missed when `admit` wakes no idle lane."""
    engine = thread_engine(model, backend, threads=1)
    engine.start()
    now(engine, picture(0))
    while not engine.scheduler._work._waiting:
        threading.Event().wait(0.001)
    expired = threading.Event()
    request = engine.new_request(RequestTerms(monotonic() + 0.05), lambda _: expired.set())
    engine.admit(request)  # and never prepared
    assert expired.wait(30)
    assert isinstance(request.error, DeadlineExceeded)
    engine.close()


@pytest.mark.parametrize("timeout", [1e10, float(sys.maxsize)])
def test_a_deadline_in_the_far_future_is_none(engine: Engine, timeout: float) -> None:
    """Seen to kill the lane with OverflowError without a bound on its waits."""
    assert len(now(engine, picture(0), timeout=timeout))
    assert len(later(engine, picture(1), timeout=timeout).result(30))
    assert len(now(engine, picture(2)))


def test_a_file_that_changes_while_it_is_open_gets_no_second_form(
    backend: FakeBackend, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    """Seen to give the other file's results under load when only the path is kept."""
    state = [1]
    engine = thread_engine(model, backend, threads=2, version=lambda: state[0])
    engine.start()
    state[0] = 2
    futures = [later(engine, picture(seed)) for seed in range(20)]
    assert all(len(future.result(30)) for future in futures)
    engine.close()
    assert engine.statistics().forms == ()
    assert "was changed while it is open" in caplog.text


def test_a_future_in_a_forked_child_does_not_wait(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    future = later(engine, picture(0))
    future.result(30)
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(ForkedEngine):
        future.result()
    monkeypatch.undo()


# ---- Who wakes


def test_a_lone_caller_has_the_same_lane_each_time(model: Model) -> None:
    """Its thread is warm. Seen to be another one for each image when lanes are woken in the order of their coming."""
    backend = FakeBackend(lanes=4)
    engine = thread_engine(model, backend, threads=4, capacity=8)
    engine.start()
    gate, futures = occupied(engine, backend)
    gate.open()
    wait(futures)
    until(lambda: engine.statistics().running == 0)
    lanes = list[str]()
    backend.script_every(lambda: lanes.append(threading.current_thread().name))
    for seed in range(8):
        now(engine, picture(seed))
    assert len(set(lanes)) <= 2, lanes  # the first call may have come before the others had come to rest
    engine.close()


def test_a_deadline_is_kept_when_the_lane_that_knew_it_has_work(engine: Engine, backend: FakeBackend) -> None:
    """Seen to be kept only when that lane is done, though another one is idle."""
    gate, futures = occupied(engine, backend)
    gate.open()
    wait(futures)
    until(lambda: engine.statistics().running == 0)
    signal = Signal()
    late = engine.new_request(RequestTerms(monotonic() + 0.3), signal.set)
    engine.admit(late)  # and never prepared
    gate = Gate()
    backend.script(gate)
    working = later(engine, picture(1))
    gate.wait_for(1)
    assert signal.wait(30)
    assert isinstance(late.error, DeadlineExceeded)
    gate.open()
    assert working.result(30)


# ---- Ctrl-C within a few lines of ours


class Interrupted:
    """Stands for a function in which Ctrl-C strikes."""

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        raise KeyboardInterrupt


def test_a_future_that_is_interrupted_while_it_fails_has_ended(
    engine: Engine, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to stay open for ever, past the close, when nothing sees to its end."""
    gate, _ = occupied(engine, backend)
    late = later(engine, picture(1), timeout=0.01)
    with monkeypatch.context() as striking:
        striking.setattr(engine, "cancel", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            late.result()
    gate.open()
    assert isinstance(late.exception(30), DeadlineExceeded)


def test_close_ends_what_an_interrupt_has_cut_off_from_the_policy(
    engine: Engine, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to leave the dropped request open when close ends only what the policy knows."""
    gate, _ = occupied(engine, backend)
    waiting = [later(engine, picture(seed)) for seed in range(engine.capacity)]
    with monkeypatch.context() as striking:
        striking.setattr(engine.insight.counters, "admitted", Interrupted())
        terms = RequestTerms(on_full=OnFull.DROP_OLDEST)
        with pytest.raises(KeyboardInterrupt):
            predict_later(engine, prediction(engine), picture(9), terms)
    gate.open()
    engine.close()
    assert all(future.done() for future in waiting)
    assert engine.statistics().waiting == 0


def strike_threads(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Interrupt whoever starts a thread of this name."""
    start = threading.Thread.start

    def striking(thread: threading.Thread) -> None:
        if thread.name == name:
            raise KeyboardInterrupt
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", striking)


def test_an_engine_whose_compiler_was_interrupted_closes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail with "cannot join thread before it is started"."""
    with monkeypatch.context() as striking:
        strike_threads(striking, "yoloom-compile")
        with pytest.raises(KeyboardInterrupt):
            engine.expect_many()
    assert not engine.lanes.serves_many
    engine.expect_many()
    assert engine.lanes.serves_many


def test_helpers_whose_start_was_interrupted_are_not_left(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to leave the first helper when only a failure ends what was started."""
    with monkeypatch.context() as striking:
        strike_threads(striking, "yoloom-helper-1")
        with pytest.raises(KeyboardInterrupt):
            engine.on_helper(lambda: None)
    engine.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("yoloom-helper")]
