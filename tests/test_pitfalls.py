"""What went wrong in other queues, batchers and runtimes, tried on yoloom; docs/pitfalls.md tells the stories.

One test or more for each number there. Most run on the public face over a runtime that follows a script.
"""

from __future__ import annotations

import ast
import asyncio
import gc
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from forms import form_of
from worker_scripts import ScriptServer, script_servers
from yoloom import YOLO, QueuePolicy, ResultFuture, Results, Workers, errors
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import predict_later
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.lanes.cpu_gate import cpu_gate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.engine.request import Request
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.facade.output_folder import OutputFolders
from yoloom.formats.model import Model
from yoloom.options import PredictOptions, SaveOptions
from yoloom.runtime.cpu import throughput_profile
from yoloom.runtime.protocol import LATENCY, Batch, RawOutputs
from yoloom.runtime.registry import CPU_BACKENDS
from yoloom.sync.clock import monotonic
from yoloom.testing import FakeBackend, Gate, ManualClock, barrier_run, fake_model, shaken
from yoloom.workers.process_lanes import worker_engine
from yoloom.workers.recipe import Recipe

Factory = Callable[..., Path]
Notes = Callable[..., dict[str, str]]
Open = Callable[..., YOLO]

DOCS = Path(__file__).parents[1] / "docs" / "pitfalls.md"


def picture(seed: int, shape_hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape_hw, 3), np.uint8)


def bits(results: Results) -> bytes:
    assert results.boxes is not None
    return results.boxes.data.tobytes()


def wait_until(true: Callable[[], bool]) -> None:
    """For what another thread does and has no way to tell."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend(lanes=1)


@pytest.fixture
def scripted(
    tiny_onnx: Factory, ultralytics_notes: Notes, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Open]:
    """Opens a model whose runtime is the fake: one lane, one helper, and as many places as asked for."""
    monkeypatch.setattr("yoloom.facade.open_model.find_backend", lambda *_: backend)
    opened: list[YOLO] = []
    path = tiny_onnx(metadata=ultralytics_notes())

    def open_model(places: int = 4, **more: Any) -> YOLO:
        opened.append(YOLO(path, threads=1, queue=QueuePolicy(size=places), **more))
        return opened[-1]

    yield open_model
    for model in opened:
        model.close(drain=False)


@pytest.fixture
def model(scripted: Open) -> YOLO:
    return scripted()


def held(model: YOLO, backend: FakeBackend) -> tuple[Gate, ResultFuture]:
    """The only lane stands still at the gate; what comes next waits."""
    gate = Gate()
    backend.script(gate)
    future = model.submit(picture(999), client="first")
    gate.wait_for()
    assert isinstance(future, ResultFuture)
    return gate, future


def passed(seconds: float) -> None:
    """Wait until a deadline that began before this call has passed."""
    end = monotonic() + seconds
    wait_until(lambda: monotonic() > end)


def opened_late(model: YOLO, gate: Gate, requests: int, seconds: float) -> threading.Thread:
    """A thread that opens the gate once so many more requests have come and their time is over."""
    wanted = model.statistics().admitted + requests

    def open_it() -> None:
        wait_until(lambda: model.statistics().admitted >= wanted)
        passed(seconds)
        gate.open()

    thread = threading.Thread(target=open_it)
    thread.start()
    return thread


def alone(model: YOLO, *seeds: int, **options: Any) -> list[bytes]:
    """What each picture gives when nothing else runs."""
    return [bits(model(picture(seed), **options)[0]) for seed in seeds]


# ---- Queues and batchers


def test_pitfall_01_a_wake_up_is_not_lost_between_empty_and_wait(scripted: Open) -> None:
    """Lanes fall asleep, and callers for whom there is no place, just when what they wait for comes.

    Seen to hang when a lane lets go of the lock between asking the policy and going to sleep.
    """
    model = scripted(places=1)
    expected = alone(model, 0, 1, 2)
    with shaken():
        found = barrier_run(3, lambda i: {bits(model(picture(i))[0]) for _ in range(300)})
    assert found == [{own} for own in expected]


def test_pitfall_02_a_storm_of_cancellations_leaves_nobody_stuck(scripted: Open, backend: FakeBackend) -> None:
    """A thousand at once, each by two threads, while another caller waits behind them.

    Seen to fail when `cancel` does not ask whether somebody else has ended the future.
    """
    model = scripted(places=1100)
    gate, first = held(model, backend)
    runs = backend.runs
    futures = [model.submit(picture(1), imgsz=32) for _ in range(1000)]
    behind = model.submit(picture(2), client="behind")
    with shaken():
        answers = barrier_run(8, lambda i: [future.cancel() for future in futures[i % 4 :: 4]])
    assert all(all(answer) for answer in answers)
    found = model.statistics()
    assert (found.waiting, found.cancelled) == (1, 1000)
    gate.open()
    assert len(behind.result(30))
    assert len(first.result(30))
    assert not wait(futures, timeout=30).not_done
    assert len(model(picture(3))[0])
    assert backend.runs - runs == 2, "what was cancelled was run"
    assert model.statistics().cancelled == 1000


def test_pitfall_02_places_that_were_cancelled_go_to_who_waits_for_one(scripted: Open, backend: FakeBackend) -> None:
    """Seen to hang when what is cancelled gives its place to nobody."""
    model = scripted(places=2)
    gate, first = held(model, backend)
    leaving = [model.submit(picture(seed)) for seed in range(2)]
    callers = [threading.Thread(target=model.predict, args=(picture(seed),)) for seed in (5, 6)]
    for caller in callers:
        caller.start()
    for future in leaving:
        future.cancel()
    wait_until(lambda: model.statistics().admitted == 5)
    gate.open()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    assert len(first.result(30))


def test_pitfall_02_a_thousand_cancelled_tasks_leave_nobody_stuck(model: YOLO, backend: FakeBackend) -> None:
    gate, first = held(model, backend)

    async def storm() -> Results:
        tasks = [asyncio.ensure_future(model.predict_async(picture(1))) for _ in range(1000)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
        gate.open()
        return await asyncio.wait_for(model.predict_async(picture(2)), 30)

    assert bits(asyncio.run(storm())) == alone(model, 2)[0]
    assert len(first.result(30))
    wait_until(lambda: model.statistics().waiting == 0)


def test_pitfall_02_both_of_two_that_cancel_hear_that_it_is_cancelled(
    model: YOLO, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail when the second one asks only whether the future has been cancelled already."""
    gate, first = held(model, backend)
    future, between, cancel = model.submit(picture(0)), Gate(), Engine.cancel

    def slowly(*arguments: Any) -> None:
        cancel(*arguments)
        between()

    monkeypatch.setattr(Engine, "cancel", slowly)

    def cancelled(index: int) -> bool:
        if index == 0:
            return future.cancel()
        between.wait_for()
        threading.Timer(0.1, between.open).start()  # for a second one that waits for the first
        return future.cancel()

    answers = barrier_run(2, cancelled)
    gate.open()
    assert len(first.result(30))
    assert answers == [True, True]


@pytest.mark.parametrize("error", [ValueError("theirs"), SystemExit("theirs")])
def test_pitfall_03_an_error_in_a_callers_code_is_his_alone(model: YOLO, error: BaseException) -> None:
    """In a callback, and in a source. Seen to call nobody back any more when a crew lets SystemExit through."""

    def fail(*_: object) -> None:
        raise error

    def sources() -> Iterator[np.ndarray]:
        yield picture(0)
        fail()

    for seed in range(4):
        future = model.submit(picture(seed))
        future.add_done_callback(fail)
        assert len(future.result(30))
    called = threading.Event()
    future.add_done_callback(lambda _: called.set())
    assert called.wait(30)
    stream = model.map(sources())
    with pytest.raises(type(error), match="theirs"):
        list(stream)
    assert len(model(picture(0))[0])


def test_pitfall_03_a_result_that_can_not_be_saved_is_an_error_of_its_request(
    model: YOLO, backend: FakeBackend, tmp_path: Path
) -> None:
    gate, first = held(model, backend)
    future = model.submit(picture(0), save=True, project=str(tmp_path), name="gone")
    shutil.rmtree(tmp_path / "gone")
    (tmp_path / "gone").write_text("a file where the folder was")
    gate.open()
    with pytest.raises(errors.InvalidOption, match="can not be written"):
        future.result(30)
    assert len(first.result(30))
    assert len(model.submit(picture(1)).result(30))


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_pitfall_03_no_error_of_a_runtime_ends_a_lane(
    model: YOLO, backend: FakeBackend, kind: type[BaseException]
) -> None:
    """Seen to wait for ever when a lane catches `Exception` only: what runtimes written in Rust panic with is none."""
    backend.script(kind("surprise"), kind("surprise"))
    assert isinstance(model.submit(picture(0)).exception(10), errors.RuntimeFailed)
    assert len(model.submit(picture(0)).result(10))


def test_pitfall_04_clients_that_left_cost_later_ones_no_run(scripted: Open, backend: FakeBackend) -> None:
    """They cancelled, their time ran out, their task was cancelled, or their stream was dropped.

    Seen to run what nobody waits for when `cancel` of a future leaves its request in the queue.
    """
    model = scripted(places=256)
    gate, first = held(model, backend)
    runs = backend.runs
    for future in [model.submit(picture(1)) for _ in range(50)]:
        future.cancel()
    late = [model.submit(picture(1), timeout=0.5) for _ in range(50)]

    async def leaving() -> None:
        for _ in range(50):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(model.predict_async(picture(1)), 0.001)

    asyncio.run(leaving())
    stream = model.map([b"no image"] + [picture(1)] * 50)
    with pytest.raises(errors.ImageDecodeError):
        next(stream)
    stream.close()
    passed(0.5)
    gate.open()
    assert len(model(picture(2))[0])
    assert len(first.result(30))
    assert all(isinstance(future.exception(30), errors.DeadlineExceeded) for future in late)
    assert backend.runs - runs == 1


def test_pitfall_04_files_of_clients_that_left_are_not_decoded(
    scripted: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail (51 of them) when a helper does not ask whether it still has to."""
    model = scripted(places=64)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), picture(0))
    gate, decoded, decode = Gate(), [], cv2.imdecode

    def counted(*arguments: Any) -> Any:
        decoded.append(1)
        if len(decoded) == 1:
            gate()
        return decode(*arguments)

    monkeypatch.setattr(cv2, "imdecode", counted)
    first = model.submit(path)
    gate.wait_for()
    for future in [model.submit(path) for _ in range(50)]:
        future.cancel()
    gate.open()
    assert len(first.result(30))
    assert len(model.submit(path).result(30))
    assert len(decoded) == 2


def test_pitfall_04_tasks_that_left_while_they_waited_for_a_place_take_none(
    scripted: Open, backend: FakeBackend
) -> None:
    """Seen to fail when a thread waits for the place, and does not hear of a cancellation."""
    model = scripted(places=1)
    gate, first = held(model, backend)
    filler = model.submit(picture(0))

    async def leaving() -> None:
        tasks = [asyncio.ensure_future(model.predict_async(picture(1))) for _ in range(20)]
        await asyncio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(leaving())
    gate.open()
    assert len(filler.result(30))
    assert len(first.result(30))
    for seed in range(20):
        assert len(model(picture(seed))[0])
    assert model.statistics().admitted == 22


class Poisoned(FakeBackend):
    """Fails every batch that holds a certain picture: one whose letterbox is white."""

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        if any(image.mean() == 255 for image in batch):
            raise RuntimeError("poison")
        return super().execute(model, batch)


class OneCanvas:
    """A prepared image of one value."""

    canvas_hw = (32, 32)
    lowest_score = 0.0

    def __init__(self, value: int) -> None:
        self.value = value

    def draw(self, canvas: np.ndarray) -> None:
        canvas[...] = self.value


def requests_of(values: list[int], deadline: dict[int, float] | None = None) -> list[Request]:
    requests = []
    for index, value in enumerate(values):
        request = Request(index, RequestTerms((deadline or {}).get(index, math.inf)), lambda _: None)
        request.image = OneCanvas(value)
        requests.append(request)
    return requests


def test_pitfall_05_one_bad_image_fails_alone() -> None:
    """Seen to fail all of the batch when a run that failed is not done again, each image alone."""
    slot = ContextSlot(form_of(Poisoned(), fake_model(), throughput_profile(1)), cpu_gate().share(1))
    own = [outcome.outputs[0].tobytes() for outcome in slot.serve(requests_of([1, 2, 3]), monotonic)]
    for place in range(4):
        values = [1, 2, 3]
        values.insert(place, 255)
        outcomes = slot.serve(requests_of(values), monotonic)
        failed = outcomes.pop(place)
        assert isinstance(failed.error, errors.RuntimeFailed)
        assert [outcome.outputs[0].tobytes() for outcome in outcomes] == own


def test_pitfall_05_the_batch_mates_of_bad_images_have_their_results(
    tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yoloom.facade.open_model.find_backend", lambda *_: Poisoned())
    white = np.full((64, 64, 3), 255, np.uint8)
    with YOLO(tiny_onnx(), threads=1) as model:
        expected = alone(model, 0, 1, 2, imgsz=64)
        outcomes = model([picture(0), white, picture(1), b"no image", picture(2)], imgsz=64, errors="return")
        assert [type(outcomes[place]) for place in (1, 3)] == [errors.RuntimeFailed, errors.ImageDecodeError]
        assert [bits(outcomes[place]) for place in (0, 2, 4)] == expected


def test_pitfall_06_nobody_waits_for_a_timer(backend: FakeBackend) -> None:
    """The clock stands still, so what needs time to pass would never come; and an idle lane never looks at it.

    Seen to fail with a lane that polls every millisecond.
    """
    asked = []

    def clock() -> float:
        asked.append(1)
        return 5.0

    engine = thread_engine(fake_model(), backend, threads=1, clock=clock)
    engine.start()
    for seed in range(3):
        future = predict_later(engine, prediction_of(engine), picture(seed), RequestTerms())
        assert len(future.result(30))
    threading.Event().wait(0.05)
    before = len(asked)
    threading.Event().wait(0.1)
    assert len(asked) == before
    engine.close()


def prediction_of(engine: Engine) -> LocalImageJob:
    return LocalImageJob(engine.model, PredictOptions(), "a.jpg")


def test_pitfall_06_a_deadline_counts_from_the_call(backend: FakeBackend) -> None:
    """And not from when a lane looks: two requests asked for at 0 and 3 seconds, for 5 seconds each, seen at 6."""
    clock = ManualClock()
    engine = thread_engine(fake_model(), backend, threads=1, clock=clock)
    engine.start()
    gate = Gate()
    backend.script(gate)
    first = predict_later(engine, prediction_of(engine), picture(9), RequestTerms())
    gate.wait_for()
    early = predict_later(engine, prediction_of(engine), picture(0), RequestTerms(clock() + 5))
    clock.advance(3)
    late = predict_later(engine, prediction_of(engine), picture(1), RequestTerms(clock() + 5))
    clock.advance(3)
    gate.open()
    assert isinstance(early.exception(30), errors.DeadlineExceeded)
    assert len(late.result(30))
    assert len(first.result(30))
    engine.close()


def test_pitfall_07_the_queue_has_an_end(model: YOLO, backend: FakeBackend) -> None:
    """Whoever comes, and however: 4 places. Seen to fail when the policy admits whatever comes."""
    gate, first = held(model, backend)
    callers = [threading.Thread(target=model.predict, args=(picture(seed),)) for seed in range(8)]
    callers += [threading.Thread(target=lambda: list(model.map([picture(1)] * 8))) for _ in range(2)]
    for caller in callers:
        caller.start()
    wait_until(lambda: model.statistics().waiting == 4)

    async def many() -> list[Results]:
        tasks = [asyncio.ensure_future(model.predict_async(picture(seed))) for seed in range(50)]
        await asyncio.sleep(0.05)
        assert model.statistics().waiting == 4
        with pytest.raises(errors.QueueFull, match="4 places"):
            await model.predict_async(picture(0), on_full="reject")
        gate.open()
        return list(await asyncio.gather(*tasks))

    with pytest.raises(errors.QueueFull, match="4 places"):
        model.submit(picture(0), on_full="reject")
    assert len(asyncio.run(many())) == 50
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    assert len(first.result(30))


def test_pitfall_08_close_ends_what_waits_with_an_error_and_takes_nothing_more(
    model: YOLO, backend: FakeBackend
) -> None:
    """Nothing is resolved with an empty result, and nobody waits for ever.

    Seen to hang when `close` leaves those who wait for a place asleep.
    """
    gate, first = held(model, backend)
    waiting = [model.submit(picture(seed)) for seed in range(4)]
    ended: list[BaseException] = []

    def blocked(seed: int) -> None:
        try:
            model(picture(seed))
        except errors.YoloomError as error:
            ended.append(error)

    callers = [threading.Thread(target=blocked, args=(seed,)) for seed in range(4)]
    closer = threading.Thread(target=model.close, kwargs={"drain": False})
    for thread in (*callers, closer):
        thread.start()
    for future in waiting:
        assert isinstance(future.exception(30), errors.EngineClosed)
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()
    gate.open()
    closer.join(30)
    assert [type(error) for error in ended] == [errors.EngineClosed] * 4
    assert len(first.result(30))


def test_pitfall_08_every_way_to_ask_a_closed_model_is_an_error_at_once(model: YOLO) -> None:
    coroutine, stream = model.predict_async(picture(0)), model.map([picture(0)] * 100)
    model.close()
    for ask in (model.predict, model.submit, model.predict_async, lambda image: model.map([image])):
        with pytest.raises(errors.EngineClosed):
            ask(picture(0))
    with pytest.raises(errors.EngineClosed):
        asyncio.run(coroutine)
    with pytest.raises(errors.EngineClosed):
        next(stream)


def test_pitfall_09_a_timeout_is_never_an_empty_result(model: YOLO, backend: FakeBackend) -> None:
    """Each way to ask, while the lane is busy."""
    gate, first = held(model, backend)
    with pytest.raises(errors.DeadlineExceeded):
        model(picture(0), timeout=0.01)
    with pytest.raises(errors.DeadlineExceeded):
        asyncio.run(model.predict_async(picture(0), timeout=0.01))
    future = model.submit(picture(0), timeout=0.01)
    opener = opened_late(model, gate, 2, 0.01)
    with pytest.raises(errors.PartialFailure) as failure:
        model([picture(0), picture(1)], timeout=0.01)
    opener.join()
    assert failure.value.results == [None, None]
    assert {type(error) for error in failure.value.errors.values()} == {errors.DeadlineExceeded}
    assert isinstance(future.exception(30), errors.DeadlineExceeded)
    assert len(first.result(30))


def test_pitfall_09_a_stream_tells_a_timeout_from_nothing_seen(model: YOLO, backend: FakeBackend) -> None:
    gate, first = held(model, backend)
    opener = opened_late(model, gate, 2, 0.01)
    outcomes = list(model.map([picture(0), picture(1)], timeout=0.01, errors="return"))
    opener.join()
    assert [type(outcome) for outcome in outcomes] == [errors.DeadlineExceeded] * 2
    assert len(first.result(30))
    (nothing,) = model(picture(0), conf=1.0)
    assert len(nothing) == 0


def test_pitfall_10_a_late_result_is_not_handed_to_the_next_request(model: YOLO, backend: FakeBackend) -> None:
    """The same thread, the same client, and the same event loop ask again right after they gave up.

    Seen to fail when a thread has one signal for all its requests.
    """
    expected = alone(model, *range(20))
    gates = [Gate() for _ in range(10)]
    for seed, gate in enumerate(gates):
        backend.script(gate)
        with pytest.raises(errors.DeadlineExceeded):
            model(picture(100 + seed), timeout=0.02, client="camera")
        future = model.submit(picture(2 * seed), client="camera")
        gate.open()
        assert bits(future.result(30)) == expected[2 * seed]
        assert alone(model, 2 * seed + 1, client="camera") == [expected[2 * seed + 1]]

    async def impatient() -> list[bytes]:
        found = []
        for seed in range(10):
            gate = Gate()
            backend.script(gate)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(model.predict_async(picture(100 + seed)), 0.02)
            gate.open()
            found.append(bits(await model.predict_async(picture(seed))))
        return found

    assert asyncio.run(impatient()) == expected[:10]


@pytest.fixture(params=list(CPU_BACKENDS))
def real(request: pytest.FixtureRequest, tiny_onnx: Factory, ultralytics_notes: Notes) -> Iterator[YOLO]:
    """A tiny network on each real runtime."""
    with YOLO(tiny_onnx(metadata=ultralytics_notes()), backend=request.param, threads=2) as model:
        yield model


def test_pitfall_11_every_image_gets_its_own_boxes(real: YOLO) -> None:
    """Sixteen threads, each in all four ways.

    Seen to fail on OpenVINO (`Infer Request is busy`) when all lanes share one context, and it has no lock.
    """
    expected = alone(real, *range(16), conf=0.5)
    assert len(set(expected)) == 16

    def ask(index: int) -> list[bytes]:
        image = picture(index)
        ways = [real(image, conf=0.5)[0], real.submit(image, conf=0.5).result(30), next(real.map([image], conf=0.5))]
        return [bits(result) for result in (*ways, asyncio.run(real.predict_async(image, conf=0.5)))]

    with shaken():
        for _ in range(3):
            assert barrier_run(16, ask) == [[own] * 4 for own in expected]


def test_pitfall_12_a_gap_in_a_batch_shifts_nobody() -> None:
    """One expires in the middle of a batch that failed, and the others still get what is theirs.

    Seen to fail when the requests that are left are paired by position with all outcomes.
    """
    backend = FakeBackend()
    slot = ContextSlot(form_of(backend, fake_model(), throughput_profile(1)), cpu_gate().share(1))
    values = [1, 2, 3, 4]
    own = [outcome.outputs[0].tobytes() for outcome in slot.serve(requests_of(values), monotonic)]
    assert len(set(own)) == 4
    for late in range(4):
        backend.script(RuntimeError("once"))
        clock = ManualClock(6.0)
        outcomes = slot.serve(requests_of(values, {late: 5.0}), clock)
        assert [outcome.late for outcome in outcomes] == [place == late for place in range(4)]
        kept = [outcome.outputs[0].tobytes() for outcome in outcomes if not outcome.late]
        assert kept == [own[place] for place in range(4) if place != late]


def test_pitfall_12_errors_and_results_of_a_list_have_their_own_places(model: YOLO) -> None:
    own = dict(enumerate(alone(model, *range(12))))
    bad = {0, 3, 4, 11}
    sources = [b"no image" if place in bad else picture(place) for place in range(12)]
    with pytest.raises(errors.PartialFailure) as failure:
        model(sources)
    assert failure.value.errors.keys() == bad
    found = {place: result for place, result in enumerate(failure.value.results) if result is not None}
    assert {place: bits(result) for place, result in found.items()} == {
        place: own[place] for place in range(12) if place not in bad
    }
    assert [result.path for result in found.values()] == [f"image{place}.jpg" for place in found]


def test_pitfall_13_no_wait_is_without_an_end(model: YOLO, backend: FakeBackend) -> None:
    """Whatever became of a request, who waits for it without a timeout of his own hears of it.

    Also when the runtime never comes back, and the model is closed with a limit.
    """
    gate, first = held(model, backend)
    futures: list[Any] = [
        model.submit(picture(0)),
        model.submit(picture(1), timeout=30),
        model.submit(picture(2), on_full="latest"),
        model.submit(picture(3), client="other"),
        first,
    ]
    futures[3].cancel()
    closer = threading.Thread(target=model.close, kwargs={"timeout": 0.1})
    closer.start()
    outcomes = barrier_run(5, lambda i: _outcome(futures[i]))
    gate.open()
    closer.join(30)
    assert outcomes == [errors.Dropped, errors.Dropped, errors.EngineClosed, CancelledError, errors.EngineClosed]


def _outcome(future: ResultFuture) -> type[BaseException] | None:
    try:
        return type(future.exception())
    except CancelledError:
        return CancelledError


@pytest.mark.parametrize("way", ["future", "list"])
def test_pitfall_13_a_deadline_ends_a_wait_though_all_lanes_are_busy(
    model: YOLO, backend: FakeBackend, way: str
) -> None:
    """Of a future and of a list too. Seen to fail when what waits expires only when a lane comes by."""
    gate, first = held(model, backend)
    ended: list[bool] = []

    def ask() -> None:
        if way == "future":
            model.submit(picture(0), timeout=0.01).exception()
        else:
            model([picture(0), picture(1)], timeout=0.01, errors="return")
        ended.append(gate_is_shut.is_set())

    gate_is_shut = threading.Event()
    gate_is_shut.set()
    caller = threading.Thread(target=ask)
    caller.start()
    caller.join(1.0)
    gate_is_shut.clear()
    gate.open()
    caller.join(30)
    assert len(first.result(30))
    assert ended == [True]


def test_pitfall_13_a_dropped_owner_takes_its_threads_along(
    tiny_onnx: Factory, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handle, its futures and its stream are forgotten with work under way, and nothing was closed.

    Seen to fail without the finalizer of what the handle opened.
    """
    monkeypatch.setattr("yoloom.facade.open_model.find_backend", lambda *_: backend)
    before = set(threading.enumerate())
    models = [YOLO(tiny_onnx(), threads=1)]
    gate, first = held(models[0], backend)
    stream = models[0].map([picture(1)] * 100, client="stream")
    kept = models[0].submit(picture(0))
    threads = [thread for thread in threading.enumerate() if thread not in before]
    assert "yoloom-lane-0" in {thread.name for thread in threads}
    gate.open()
    next(stream)
    with pytest.warns(ResourceWarning, match="was not closed"):
        models.clear()
    del stream, first
    assert len(kept.result(30))
    del kept
    gc.collect()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive(), thread.name


def test_pitfall_14_nothing_is_bound_to_an_event_loop(real: YOLO) -> None:
    """A coroutine that was made where no loop runs, loops one after the other, and loops side by side.

    Seen to fail with an `asyncio.Lock` for all callers.
    """
    (expected,) = alone(real, 0)
    made_outside = real.predict_async(picture(0))
    assert bits(asyncio.run(made_outside)) == expected
    for _ in range(3):
        assert bits(asyncio.run(real.predict_async(picture(0)))) == expected

    def own_loop(_: int) -> set[bytes]:
        return {bits(asyncio.run(real.predict_async(picture(0)))) for _ in range(5)}

    assert barrier_run(8, own_loop) == [{expected}] * 8


def test_pitfall_14_a_loop_that_was_closed_keeps_nobody(model: YOLO, backend: FakeBackend) -> None:
    """Its request runs, and another waits: both end, and their results are nobody's."""
    gate = Gate()
    backend.script(gate)
    loop = asyncio.new_event_loop()

    async def begin() -> list[asyncio.Task[Results]]:
        tasks = [asyncio.ensure_future(model.predict_async(picture(seed))) for seed in range(2)]
        while model.statistics().admitted < 2:
            await asyncio.sleep(0)
        return tasks

    tasks = loop.run_until_complete(begin())
    gate.wait_for()
    loop.close()
    gate.open()
    expected = alone(model, 3)
    assert [bits(asyncio.run(model.predict_async(picture(3))))] == expected
    model.close(drain=True)
    assert not any(task.done() for task in tasks)
    for task in tasks:  # their loop will not look at them again, and asyncio would say so
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_pitfall_15_a_client_that_left_holds_up_no_drain(scripted: Open, backend: FakeBackend) -> None:
    """Before the drain or during it; what has left is not run."""
    model = scripted(places=64)
    gate, first = held(model, backend)
    runs = backend.runs
    leaving = [model.submit(picture(seed)) for seed in range(8)]
    late = [model.submit(picture(seed), timeout=0.01) for seed in range(4)]
    dropped = [model.submit(picture(seed), client="old", on_full="latest") for seed in range(4)]
    first.cancel()  # it runs: it is let finish, for nobody
    passed(0.01)
    closer = threading.Thread(target=model.close, kwargs={"drain": True})
    closer.start()
    wait_until(lambda: _is_closing(model))
    for future in leaving:
        future.cancel()
    gate.open()
    closer.join(30)
    assert not closer.is_alive()
    assert all(isinstance(future.exception(0), errors.DeadlineExceeded) for future in late)
    assert [type(future.exception(0)) for future in dropped] == [errors.Dropped] * 3 + [type(None)]
    assert backend.runs - runs == 1


def test_pitfall_15_the_last_one_that_leaves_ends_the_drain(backend: FakeBackend) -> None:
    """Its image was never prepared, and nothing runs that would look again.

    Seen to hang when a request that is taken back tells no drain of it.
    """
    engine = thread_engine(fake_model(), backend, threads=1)
    engine.start()
    request = engine.new_request(RequestTerms(), lambda _: None)
    engine.admit(request)
    drainer = threading.Thread(target=engine.close, kwargs={"drain": True}, daemon=True)
    drainer.start()
    wait_until(lambda: _refuses(engine))
    engine.cancel(request, errors.Cancelled("the caller left."))
    drainer.join(30)
    assert not drainer.is_alive()


def _refuses(engine: Engine) -> bool:
    other = engine.new_request(RequestTerms(), lambda _: None)
    try:
        engine.admit(other)
    except errors.EngineClosed:
        return True
    engine.cancel(other, errors.Cancelled("it was only a question."))
    return False


def _is_closing(model: YOLO) -> bool:
    try:
        model.statistics()
    except errors.EngineClosed:
        return True
    return False


# ---- Models and state


def test_pitfall_21_a_model_that_all_ask_for_at_once_is_made_once(
    tiny_onnx: Factory, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen threads come while the first of them compiles, and none gets half a model.

    Seen to fail when the others hear of a model only once it is made.
    """
    monkeypatch.setattr("yoloom.facade.open_model.find_backend", lambda *_: backend)
    path, gate = tiny_onnx(), Gate()
    backend.script_compile(gate)
    arrived = threading.Semaphore(0)
    models: list[YOLO] = []

    def open_and_ask(index: int) -> bytes:
        if index == 0:
            gate.wait_for()
            for _ in range(15):
                assert arrived.acquire(timeout=30)
            gate.open()
        arrived.release()
        models.append(YOLO(path, threads=1))
        return bits(models[-1](picture(0))[0])

    with shaken():
        answers = barrier_run(17, open_and_ask)
    assert len(set(answers)) == 1
    assert backend.compiled.count(LATENCY) == 1
    for model in models:
        model.close()


@pytest.mark.slow
def test_pitfall_22_threads_with_other_shapes_share_no_cache(real: YOLO) -> None:
    """Twelve threads with four shapes of canvas, all at once.

    Seen to fail on OpenVINO when the buffer for a shape is kept for all contexts.
    """
    sizes = [(128 + 32 * (index % 4), 160) for index in range(12)]
    expected = [bits(real(picture(index, sizes[index]), imgsz=sizes[index])[0]) for index in range(12)]

    def ask(index: int) -> set[bytes]:
        image = picture(index, sizes[index])
        return {bits(real(image, imgsz=sizes[index])[0]) for _ in range(20)}

    with shaken():
        assert barrier_run(12, ask) == [{own} for own in expected]


def test_pitfall_23_options_belong_to_their_call(real: YOLO) -> None:
    """The guide's case: six threads with options of their own, twelve predictions each, on one model. 0 of 72 wrong.

    Seen to fail when the options are kept on the model between the call and the run.
    """
    options: list[dict[str, Any]] = [
        {"conf": 0.3},
        {"conf": 0.6},
        {"conf": 0.3, "classes": [0]},
        {"conf": 0.3, "max_det": 3},
        {"conf": 0.3, "iou": 0.1, "agnostic_nms": True},
        {"conf": 0.3, "imgsz": 128},
    ]
    expected = [alone(real, *range(12), **asked) for asked in options]
    assert len({tuple(found) for found in expected}) == 6
    with shaken():
        assert barrier_run(6, lambda index: alone(real, *range(12), **options[index])) == expected


def test_pitfall_24_no_lock_is_held_between_two_results(scripted: Open) -> None:
    """With a single place in the queue: nested calls, zipped streams, and ten generators that stand still for ever.

    Seen to deadlock when a stream holds a lock from one `next` to the following one.
    """
    model = scripted(places=1)
    images = [picture(seed) for seed in range(6)]
    expected = alone(model, *range(6))
    for index, result in enumerate(model.predict(images, stream=True)):
        assert bits(result) == expected[index]
        assert bits(model(images[index])[0]) == expected[index]
        assert [bits(inner) for inner in model.predict(images[:2], stream=True)] == expected[:2]
    pairs = zip(model.predict(images, stream=True), model.map(images), strict=True)
    assert [(bits(first), bits(second)) for first, second in pairs] == [(own, own) for own in expected]
    standing = [model.predict(images, stream=True) for _ in range(10)]
    for stream in standing:
        next(stream)
    assert barrier_run(4, lambda index: alone(model, index)) == [[own] for own in expected[:4]]
    assert [bits(result) for result in standing[0]] == expected[1:]


def test_pitfall_25_nms_keeps_all_however_slow_it_is(real: YOLO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks at a clock finds that an hour has passed.

    Seen to find nothing with a limit of two seconds in postprocess/nms.py.
    """
    asked = {"conf": 0.01, "iou": 0.9, "imgsz": 320, "max_det": 3000}
    image = picture(1, (320, 320))
    expected = real(image, **asked)[0]
    assert len(expected) > 500
    hours = iter(range(0, 10**9, 3600))
    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: float(next(hours)))
    found = real(image, **asked)[0]
    monkeypatch.undo()
    assert bits(found) == bits(expected)


def test_pitfall_26_a_cameras_buffer_may_be_overwritten(model: YOLO, backend: FakeBackend) -> None:
    """By every way that returns before the image has run.

    Seen to fail when decode_image hands on the caller's array.
    """
    expected = alone(model, *range(4))
    gate, first = held(model, backend)
    frame = picture(0)

    def camera() -> Iterator[np.ndarray]:
        for seed in range(4):
            frame[:] = picture(seed)
            yield frame

    future = model.submit(frame)
    coroutine = model.predict_async(frame)
    threading.Timer(0.05, gate.open).start()
    assert [bits(result) for result in model.map(camera())] == expected
    frame[:] = 0
    results = [future.result(30), asyncio.run(coroutine)]
    assert [bits(result) for result in results] == expected[:1] * 2
    for result in results:
        assert np.array_equal(result.orig_img, picture(0))
        assert not result.orig_img.flags.writeable
    assert len(first.result(30))


@pytest.mark.parametrize("kind", [bytearray, lambda encoded: memoryview(bytearray(encoded))])
def test_pitfall_26_a_buffer_of_encoded_bytes_may_be_overwritten(model: YOLO, kind: Callable[[bytes], Any]) -> None:
    """Seen to fail (no image any more) when a memoryview is read only once the coroutine is awaited."""
    buffer = kind(cv2.imencode(".png", picture(0))[1].tobytes())
    future, coroutine = model.submit(buffer), model.predict_async(buffer)
    buffer[:] = bytes(len(buffer))
    assert [bits(future.result(30)), bits(asyncio.run(coroutine))] == alone(model, 0) * 2


def test_pitfall_26_results_and_names_are_nobodys_to_change(tiny_onnx: Factory) -> None:
    names = {0: "cat", 1: "dog", 2: "bird"}
    with YOLO(tiny_onnx(), names=names) as model:
        first, second = model([picture(0), picture(1)], conf=0.3)
        before = bits(second)
        names[0] = "changed"
        with pytest.raises(TypeError):
            first.names[0] = "changed"
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(first.boxes.data)[:] = 0
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(first.orig_img)[:] = 0
        assert bits(second) == before == bits(model(picture(1), conf=0.3)[0])
        assert second.names[0] == model.names[0] == "cat"


class Publisher(ThreadingHTTPServer):
    """Sends one file, with a pause in the middle; counts how often it was asked."""

    daemon_threads = False

    def __init__(self, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Sender)
        self.body = body
        self.asked = 0
        self.half = Gate()


class Sender(BaseHTTPRequestHandler):
    server: Publisher

    def do_GET(self) -> None:
        self.server.asked += 1
        body = self.server.body
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.server.half()
        self.wfile.write(body[len(body) // 2 :])

    def log_message(self, *_: object) -> None:
        pass


def test_pitfall_27_a_download_that_many_ask_for_is_made_once_and_whole(
    tiny_onnx: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight threads open a published name; a ninth looks half-way, when there is no such file yet.

    Seen to fail without the lock around the download (more than one of them).
    """
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    body = tiny_onnx().read_bytes()
    stored = tmp_path / "cache" / "models" / "yolov8n.onnx"

    def open_and_ask(index: int) -> bytes:
        if index == 8:
            publisher.half.wait_for()
            assert not stored.exists()
            threading.Event().wait(0.1)  # for others to begin a download, if they do
            publisher.half.open()
            return b""
        with YOLO("yolov8n.onnx", threads=1) as model:
            return bits(model(picture(0), conf=0.3)[0])

    with Publisher(body) as publisher:
        monkeypatch.setenv("YOLOOM_MODEL_URL", f"http://127.0.0.1:{publisher.server_address[1]}")
        serving = threading.Thread(target=publisher.serve_forever, args=(0.01,))
        serving.start()
        try:
            answers = barrier_run(9, open_and_ask)
        finally:
            publisher.shutdown()
            serving.join()
    assert publisher.asked == 1
    assert stored.read_bytes() == body
    assert len(set(answers[:8])) == 1


def test_pitfall_28_calls_that_save_at_once_write_over_nothing(model: YOLO, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"save_txt": True, "save_dir": str(tmp_path / "one")}
    lines = [model(picture(index), save_txt=True, save_dir=str(tmp_path / f"alone{index}")) for index in range(8)]
    assert len(lines) == 8
    alone = [(tmp_path / f"alone{index}" / "labels" / "image0.txt").read_text() for index in range(8)]

    def save(index: int) -> None:
        model(picture(index), **asked)
        model.submit(picture(index), **asked).result(30)

    with shaken():
        barrier_run(8, save)
    written = [path.read_text() for path in (tmp_path / "one" / "labels").iterdir()]
    assert sorted(written) == sorted(alone * 2)


def test_pitfall_28_every_handle_makes_its_folder(tmp_path: Path) -> None:
    """Folders and nothing else, one right after the other, in eight threads.

    Seen to fail when a free name is looked for first and the folder made afterwards.
    """
    options = SaveOptions(save=True, project=str(tmp_path), name="one")

    def begin(_: int) -> None:
        for _ in range(20):
            OutputFolders().find(options, "detect")

    with shaken():
        barrier_run(8, begin)
    assert len(list(tmp_path.glob("one*"))) == 160


class Weighed(FakeBackend):
    """Knows how many of the batches that it was given were in memory at once, at most."""

    def __init__(self) -> None:
        super().__init__(lanes=1)
        self.batches: list[weakref.ref[Batch]] = []
        self.most = 0

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        with self._lock:
            self.batches = [other for other in self.batches if other() is not None] + [weakref.ref(batch)]
            self.most = max(self.most, len(self.batches))
        return super().execute(model, batch)


def test_pitfall_29_memory_is_that_of_the_lanes_and_comes_back(
    tiny_onnx: Factory, ultralytics_notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty-four callers: a canvas for what runs, and nothing of theirs is kept, not even for the collector.

    Seen to fail when a request that has ended still knows its future.
    """
    backend = Weighed()
    monkeypatch.setattr("yoloom.facade.open_model.find_backend", lambda *_: backend)
    pictures: list[weakref.ref[np.ndarray]] = []

    def ask(index: int) -> None:
        for _ in range(5):
            result = model.submit(picture(index)).result(30)
            pictures.append(weakref.ref(result.orig_img.base))
            (result,) = model(picture(index))
            pictures.append(weakref.ref(result.orig_img.base))

    with YOLO(tiny_onnx(metadata=ultralytics_notes()), threads=1) as model:
        gc.disable()
        try:
            barrier_run(64, ask)
            wait_until(lambda: not any(kept() is not None for kept in pictures))
        finally:
            gc.enable()
    assert len(pictures) == 640
    assert backend.most == 1


def python(code: str, *arguments: object) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs a list of the system's threads")
@pytest.mark.parametrize(("backend_name", "most"), [("openvino", 5), ("onnxruntime", 0)])
def test_pitfall_30_a_budget_of_one_cpu_is_kept_and_settings_stay(
    demo_model: Path, backend_name: str, most: int
) -> None:
    """Threads of the system that a model with both forms starts, Python's own aside: OpenVINO has two for each form,
    and one that has imported the second.

    Seen to be more on two CPUs when the number of threads is left out of the runtime's settings.
    """
    told = python(
        """
        import os, sys, threading
        import cv2, numpy as np
        from yoloom import YOLO
        from yoloom.runtime.registry import find_backend
        from scenes import scene

        def native():
            return len(os.listdir("/proc/self/task")) - threading.active_count()

        image = np.array(scene(1, (640, 480)).image)
        find_backend(sys.argv[2], "cpu")
        cv2.resize(image, (2000, 2000))  # OpenCV and numpy have started theirs
        np.ones((500, 500)) @ np.ones((500, 500))
        settings = dict(os.environ), cv2.getNumThreads(), sys.getswitchinterval()
        before = native()
        with YOLO(sys.argv[1], threads=1, backend=sys.argv[2]) as model:
            assert all(len(result) for result in model.map([image] * 20))
            assert len(model.statistics().forms) == 2
            print(native() - before, model.statistics().threads)
        print(settings == (dict(os.environ), cv2.getNumThreads(), sys.getswitchinterval()))
        """,
        demo_model,
        backend_name,
    ).split()
    assert int(told[0]) <= most
    assert told[1:] == ["1", "True"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "sched_setaffinity"), reason="needs affinity")
def test_pitfall_30_the_budget_is_what_the_process_may_use(demo_model: Path) -> None:
    told = python(
        """
        import os, sys
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        from yoloom import YOLO
        with YOLO(sys.argv[1]) as model:
            print(model.statistics().threads)
        """,
        demo_model,
    )
    assert told == "1"


# ---- Runtimes on a CPU


def test_runtimes_a_result_is_no_view_of_a_requests_memory(real: YOLO) -> None:
    """The lanes run the next images while the last outputs are still looked at, and while results are kept.

    Seen to fail on OpenVINO when its outputs are not copied.
    """
    kept = [real(picture(seed), conf=0.3)[0] for seed in range(50)]
    expected = [bits(result) for result in kept]
    futures = [real.submit(picture(seed), conf=0.3) for seed in range(50)]
    assert [bits(future.result(30)) for future in futures] == expected
    assert [bits(result) for result in kept] == expected


def test_runtimes_openvinos_own_queue_is_not_used() -> None:
    """Several threads collide in it, and its destructor could deadlock."""
    source = Path(sys.modules["yoloom"].__file__ or "").parent
    assert [path.name for path in source.rglob("*.py") if "AsyncInferQueue" in path.read_text("utf-8")] == []


def test_runtimes_onnxruntime_has_one_quiet_session_for_each_form(
    tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lanes and callers there are: no pool for each, no more threads than the budget, none that spins."""
    import onnxruntime

    made: list[tuple[int, int, str]] = []
    session = onnxruntime.InferenceSession

    def counted(model: bytes, options: Any, **more: Any) -> Any:
        spins = options.get_session_config_entry("session.intra_op.allow_spinning")
        made.append((options.intra_op_num_threads, options.inter_op_num_threads, spins))
        return session(model, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    with YOLO(tiny_onnx(), backend="onnxruntime", threads=2) as model:
        barrier_run(8, lambda index: alone(model, *range(5)))
        wait_until(lambda: len(model.statistics().forms) == 2)
    assert sorted(made) == [(1, 1, "0"), (2, 1, "0")]


def test_runtimes_models_that_are_opened_at_once_disturb_nobody(tiny_onnx: Factory) -> None:
    """Sessions and compilations of several files, in as many threads, while others predict."""
    paths = [tiny_onnx(f"{number}.onnx", nc=number + 1) for number in range(4)]
    for name in CPU_BACKENDS:
        expected = []
        for path in paths:
            with YOLO(path, backend=name, threads=1) as model:
                expected.append(alone(model, 0))

        def open_and_ask(index: int, name: str = name) -> list[bytes]:
            with YOLO(paths[index % 4], backend=name, threads=1) as model:
                return alone(model, 0)

        assert barrier_run(8, open_and_ask) == expected * 2


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="needs fork")
def test_runtimes_onnxruntimes_pool_is_not_expected_in_a_forked_child(demo_model: Path) -> None:
    """The handle of the parent says so; one that is opened in the child has a pool of its own."""
    told = python(
        """
        import os, sys
        import numpy as np
        from yoloom import YOLO, errors
        from scenes import scene

        image = np.array(scene(1, (160, 120)).image)
        model = YOLO(sys.argv[1], backend="onnxruntime", threads=2)
        expected = model(image)[0].boxes.data.tobytes()
        child = os.fork()
        if child == 0:
            try:
                model(image)
            except errors.ForkedEngine:
                with YOLO(sys.argv[1], backend="onnxruntime", threads=2) as own:
                    print(own(image)[0].boxes.data.tobytes() == expected, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
        demo_model,
    )
    assert told == "True"


# ---- Processes


def workers_engine(recipe: Recipe, count: int = 1, **more: Any) -> worker_engine:
    """Started; to be closed."""
    engine = worker_engine(fake_model(), recipe, Workers(count, restarts=50, **more), threads=count)
    engine.start()
    return engine


def asked(engine: worker_engine, image: np.ndarray, deadline: float = math.inf) -> ResultFuture:
    prediction = engine.lanes.new_job(engine.model, PredictOptions(), "a.jpg")
    return predict_later(engine, prediction, image, RequestTerms(deadline))


def pids_of(engine: worker_engine) -> list[int]:
    return [worker.pid or 0 for worker in engine.statistics().workers]


def fault(step: str, how: str, folder: Path) -> Recipe:
    plan = {"step": step, "how": how, "times": 1000, "folder": str(folder)}
    return Recipe("worker_faults:open_faulty", plan)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_pitfall_16_workers_killed_while_they_wait_leave_nothing_taken(tmp_path: Path, how: signal.Signals) -> None:
    """All of them, generation after generation: each replacement gets work, over a channel of its own."""
    engine = workers_engine(fault("never", "", tmp_path), count=2, silence_s=1.0)
    try:
        expected = [bits(asked(engine, picture(seed)).result(60)) for seed in range(4)]
        seen = set(pids_of(engine))
        for _ in range(3):
            for pid in pids_of(engine):
                os.kill(pid, how)
            assert [bits(asked(engine, picture(seed)).result(60)) for seed in range(4)] == expected
            wait_until(lambda: all(worker.state == "ready" for worker in engine.statistics().workers))
            assert not seen & set(pids_of(engine))
            seen |= set(pids_of(engine))
        assert engine.statistics().failed == 0
    finally:
        engine.close()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="needs a folder of shared memory")
def test_pitfall_17_a_crash_leaves_no_segment_and_takes_none_from_others(demo_model: Path) -> None:
    """The parent is killed with its workers, beside another program on the same file, which does not notice.

    Seen to fail with memory that has a name in /dev/shm.
    """
    program = """
        import sys
        import numpy as np
        from multiprocessing import resource_tracker
        from yoloom import YOLO
        from scenes import scene

        image = np.array(scene(1, (640, 480)).image)
        model = YOLO(sys.argv[1], threads=1, workers=1)
        expected = model(image)[0].boxes.data.tobytes()
        print(model.statistics().workers[0].pid, flush=True)
        for _ in sys.stdin:
            same = model(image)[0].boxes.data.tobytes() == expected
            print(same, resource_tracker._resource_tracker._pid, flush=True)
    """
    before = set(os.listdir("/dev/shm"))
    command = [sys.executable, "-c", textwrap.dedent(program), demo_model]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as victim, subprocess.Popen(command, **pipes) as other:
        assert victim.stdout is not None
        assert other.stdout is not None
        assert other.stdin is not None
        pids = [victim.pid, int(victim.stdout.readline())]
        other.stdout.readline()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert victim.wait(30) == -signal.SIGKILL
        wait_until(lambda: not Path(f"/proc/{pids[1]}/exe").exists())
        for _ in range(2):
            other.stdin.write("once more\n")
            other.stdin.flush()
            assert other.stdout.readline() == "True None\n"
        assert set(os.listdir("/dev/shm")) == before
        other.stdin.close()
        assert other.wait(60) == 0
    assert set(os.listdir("/dev/shm")) == before


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_pitfall_18_a_fork_of_a_loaded_process_runs_nothing(demo_model: Path) -> None:
    """Neither does a worker come from one: it is an interpreter that has imported nothing of the program."""
    told = python(
        """
        import os, sys
        import numpy as np
        import psutil
        from yoloom import YOLO, errors
        from scenes import scene

        image = np.array(scene(1, (160, 120)).image)
        threads, workers = YOLO(sys.argv[1], threads=1), YOLO(sys.argv[1], threads=1, workers=1)
        expected = threads(image)[0].boxes.data.tobytes()
        command = psutil.Process(workers.statistics().workers[0].pid).cmdline()
        print(any(part.endswith("bootstrap.py") for part in command))
        child = os.fork()
        if child == 0:
            refused = 0
            for model in (threads, workers):
                try:
                    model(image)
                except errors.ForkedEngine:
                    refused += 1
            with YOLO(sys.argv[1], threads=1, workers=1) as own:
                same = own(image)[0].boxes.data.tobytes() == expected
            print(refused, same, flush=True)
            os._exit(0)
        print(os.waitpid(child, 0)[1])
        print(workers(image)[0].boxes.data.tobytes() == expected)
        """,
        demo_model,
    )
    assert sorted(told.split()) == sorted(["True", "2", "True", "0", "True"])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGSEGV", "exit"])
def test_pitfall_19_an_image_that_kills_is_not_tried_for_ever(tmp_path: Path, how: str) -> None:
    """Twice, and its error says so; the images around it have their results.

    Seen to fail with four TRIES: each costs a worker.
    """
    poison = picture(99, (64, 64))
    poison[8, 0] = (1, 2, 3)
    engine = workers_engine(fault("poison", how, tmp_path))
    try:
        around = [asked(engine, picture(seed)) for seed in range(2)]
        bad = asked(engine, poison)
        around += [asked(engine, picture(seed)) for seed in range(2)]
        with pytest.raises(errors.WorkerCrashed, match="2 worker processes ended over this image"):
            bad.result(60)
        answers = [bits(future.result(60)) for future in around]
        assert answers[:2] == answers[2:]
    finally:
        engine.close()
    assert len(list(tmp_path.glob("strike-*"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [False, True])
def test_pitfall_20_nothing_runs_twice_after_a_time_out(is_killed: bool) -> None:
    """Whether its worker answers late or never does, what is too late is not run again.

    Seen to fail (two runs) when a lane asks the next worker without looking at the time.
    """
    backend, gate = FakeBackend(lanes=1), Gate()
    with script_servers() as servers:
        servers.append(ScriptServer(backend))
        engine = workers_engine(servers[-1].recipe(fake_model()))
        try:
            warm_ups = backend.runs
            backend.script(gate)
            late = asked(engine, picture(0), monotonic() + 0.3)
            gate.wait_for()
            with pytest.raises(errors.DeadlineExceeded):
                late.result(60)
            if is_killed:
                os.kill(pids_of(engine)[0], signal.SIGKILL)
                wait_until(lambda: engine.statistics().workers[0].restarts == 1)
                wait_until(lambda: engine.statistics().workers[0].state == "ready")
            gate.open()
            assert len(asked(engine, picture(1)).result(60))
            assert backend.runs == warm_ups + is_killed + 2
        finally:
            gate.open()
            engine.close()


# ---- The page


def test_the_page_names_tests_that_exist_and_leaves_no_number_out() -> None:
    page = DOCS.read_text("utf-8")
    wanted = {*range(1, 31)}
    headings = [int(number) for number in re.findall(r"^### (\d+)\. ", page, re.MULTILINE)]
    assert headings == sorted(wanted)
    own = {int(number) for number in re.findall(r"def test_pitfall_(\d\d)_", Path(__file__).read_text("utf-8"))}
    assert own == wanted
    named = set(re.findall(r"`(\w+\.py)`::`(test_\w+)`", page))
    tests = {name: _tests_in(DOCS.parents[1] / "tests" / name) for name in {file for file, _ in named}}
    assert {(file, test) for file, test in named if test not in tests[file]} == set()
    assert {test for file, test in named if file == Path(__file__).name} >= {
        test for test in _tests_in(Path(__file__)) if test.startswith(("test_pitfall_", "test_runtimes_"))
    }


def _tests_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
