"""Whose run may use the CPUs when several engines want to: in steps, by a clock turned by hand, and with engines."""

from __future__ import annotations

import gc
import math
import os
import random
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from forms import form_of
from yoloom import YOLO
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later, predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.lanes import cpu_gate as module
from yoloom.engine.lanes.cpu_gate import CpuGate, Share
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.engine.request import Outcome
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import DeadlineExceeded, RuntimeFailed
from yoloom.options import PredictOptions
from yoloom.runtime.cpu import throughput_profile
from yoloom.runtime.protocol import LATENCY
from yoloom.runtime.registry import CPU_BACKENDS
from yoloom.sync.clock import monotonic
from yoloom.testing import FakeBackend, Gate, ManualClock, barrier_run, fake_model, shaken

NEVER = math.inf
AT_ONCE = 0.0


def until(true: Callable[[], bool]) -> None:
    """Let the other threads go on until it is true; the test's own time is the limit."""
    while not true():
        threading.Event().wait(0.001)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def gate(clock: ManualClock) -> CpuGate:
    return CpuGate(lambda: 2, clock)


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> Iterator[CpuGate]:
    """The gate of engines that are made in this test."""
    fresh = CpuGate(lambda: 2)
    monkeypatch.setattr(module, "_gate", fresh)
    yield fresh
    assert fresh.busy == ()


class Taking:
    """A lane that waits for its turn in a thread of its own."""

    def __init__(self, share: Share, cpus: int = 1, seconds: float = 30) -> None:
        already = len(share.waiting)
        self._pool = ThreadPoolExecutor(1)
        self._future = self._pool.submit(share.take, cpus, seconds)
        until(lambda: self._future.done() or len(share.waiting) > already)

    @property
    def has_it(self) -> bool:
        return self._future.done() and self._future.result()

    def ended(self) -> bool:
        found = self._future.result(30)
        self._pool.shutdown()
        return found


# ---- In steps


def test_an_engine_that_is_alone_is_not_limited(gate: CpuGate) -> None:
    share = gate.share(2)
    assert all(share.take(1, AT_ONCE) for _ in range(10))
    for _ in range(10):
        share.give_back(1)
    assert gate.busy == ()


def test_an_idle_engine_counts_for_nothing(gate: CpuGate) -> None:
    idle, share = gate.share(2), gate.share(2)
    assert idle.take(2, AT_ONCE)
    idle.give_back(2)
    assert all(share.take(1, AT_ONCE) for _ in range(3))


def test_a_second_engine_may_begin_at_once_and_the_first_then_keeps_to_its_part(gate: CpuGate) -> None:
    first, second = gate.share(2), gate.share(2)
    assert first.take(1, AT_ONCE)
    assert first.take(1, AT_ONCE)
    assert second.take(1, AT_ONCE)
    assert not second.take(1, AT_ONCE)
    first.give_back(1)
    assert not first.take(1, AT_ONCE)
    second.give_back(1)
    assert first.take(1, AT_ONCE)


def test_an_engine_with_nothing_under_way_goes_before_one_with_something(gate: CpuGate) -> None:
    """Otherwise a flood of one engine could keep the other from computing at all."""
    flood, other = gate.share(2), gate.share(2)
    assert flood.take(1, AT_ONCE)
    assert other.take(2, AT_ONCE)
    further = Taking(flood)
    assert not further.has_it
    other.give_back(2)  # the flood is alone now
    assert further.ended()
    assert other.take(1, AT_ONCE)


def test_who_has_had_less_goes_first(clock: ManualClock) -> None:
    gate = CpuGate(lambda: 3, clock)
    much, little = gate.share(3), gate.share(3)
    assert little.take(1, AT_ONCE)
    assert much.take(2, AT_ONCE)
    clock.advance(10)
    waiting_much, waiting_little = Taking(much, 1), Taking(little, 1)
    much.give_back(1)  # it still has one: 20 CPU seconds against 10
    assert waiting_little.ended()
    assert not waiting_much.has_it
    clock.advance(20)  # 40 against 50
    little.give_back(1)
    assert waiting_much.ended()


def test_time_alone_gives_no_debt_and_idle_time_no_credit(gate: CpuGate, clock: ManualClock) -> None:
    old, new = gate.share(2), gate.share(2)
    assert old.take(1, AT_ONCE)
    clock.advance(1000)
    assert new.take(1, AT_ONCE)
    assert old.used_s == new.used_s
    clock.advance(5)
    new.give_back(1)
    assert not new.waiting
    clock.advance(100)
    assert new.take(1, AT_ONCE)
    assert new.used_s == old.used_s


def came_back(gate: CpuGate, clock: ManualClock, share: Share, after_s: float) -> None:
    """It has a run, is away for a moment, has another, and is away again."""
    assert share.take(1, AT_ONCE)
    clock.advance(0.1)
    share.give_back(1)
    clock.advance(after_s)
    assert share.take(1, AT_ONCE)
    clock.advance(0.1)
    share.give_back(1)


def test_the_cpu_of_a_lone_caller_is_kept_for_the_moment_that_it_is_away(gate: CpuGate, clock: ManualClock) -> None:
    """Seen to fail (the others have both CPUs, and the caller half of one) without the grace."""
    lone, crowd = gate.share(2), gate.share(2)
    assert crowd.take(1, AT_ONCE)
    came_back(gate, clock, lone, 0.6 * module.GRACE_S)
    assert not crowd.take(1, AT_ONCE)
    clock.advance(2 * module.GRACE_S)  # it does not come
    assert crowd.take(1, AT_ONCE)


def test_no_cpu_is_kept_for_one_that_was_away_for_longer(gate: CpuGate, clock: ManualClock) -> None:
    slow, crowd = gate.share(2), gate.share(2)
    assert crowd.take(1, AT_ONCE)
    came_back(gate, clock, slow, 2 * module.GRACE_S)
    assert crowd.take(1, AT_ONCE)


def test_a_lane_that_waits_sees_by_itself_that_nobody_comes(gate: CpuGate, clock: ManualClock) -> None:
    """Seen to fail (a wait in vain) when only those who come and go look who is next."""
    lone, crowd = gate.share(2), gate.share(2)
    assert crowd.take(1, AT_ONCE)
    came_back(gate, clock, lone, 0.6 * module.GRACE_S)
    waiting = Taking(crowd)
    clock.advance(2 * module.GRACE_S)
    assert waiting.ended()


def test_nobody_is_further_behind_than_a_second(gate: CpuGate, clock: ManualClock) -> None:
    lone, crowd = gate.share(2), gate.share(2)
    assert crowd.take(1, AT_ONCE)
    assert lone.take(1, AT_ONCE)
    lone.used_s = crowd.used_s - 100
    clock.advance(0.1)
    assert not lone.take(1, AT_ONCE)
    assert crowd.used_s - lone.used_s <= module.CREDIT_S


def test_a_lane_that_waits_in_vain_leaves_nothing_behind(gate: CpuGate) -> None:
    """Seen to fail (the next turn goes to somebody who has left) when the waiter stays in its row."""
    first, second = gate.share(2), gate.share(2)
    for share in (first, second):
        assert share.take(1, AT_ONCE)
    assert not first.take(1, 0.01)
    assert not first.waiting
    for share in (first, second):
        share.give_back(1)
    assert gate.busy == ()
    assert first.computing == second.computing == 0


def test_a_long_run_does_not_hold_up_short_ones_of_the_same_engine(gate: CpuGate) -> None:
    first, second = gate.share(2), gate.share(2)
    assert first.take(2, AT_ONCE)
    assert second.take(1, AT_ONCE)
    waiting = [Taking(second), Taking(second)]
    first.give_back(2)
    assert [lane.ended() for lane in waiting] == [True, True]


@pytest.mark.parametrize(("cpus", "asked", "expected"), [(2, (2, 2), True), (2, (1, 1), False), (8, (8, 8), False)])
def test_in_company_when_an_image_alone_gets_no_more_than_a_lane(
    cpus: int, asked: tuple[int, int], expected: bool
) -> None:
    """With eight CPUs, half of them still serve a single image best."""
    gate = CpuGate(lambda: cpus)
    mine, other = map(gate.share, asked)
    assert not mine.is_contended()
    assert mine.take(1, AT_ONCE)
    assert not mine.is_contended()
    assert other.take(1, AT_ONCE)
    assert mine.is_contended() == expected


def test_what_is_free_is_counted_again_for_each_engine() -> None:
    """A program may have limited itself since the import."""
    answers = [2, 1]
    gate = CpuGate(lambda: answers[0])
    answers.pop(0)
    gate.share(1)
    assert gate.cpus == 1


@pytest.mark.parametrize("seed", range(3))
def test_every_turn_is_given_back_in_a_storm(seed: int) -> None:
    """Seen to fail (turns that nobody has) when a waiter that gives up does not look whether its turn has just come."""
    gate = CpuGate(lambda: 2)
    shares = [gate.share(2) for _ in range(3)]
    turns = [0] * 12

    def lane(number: int) -> None:
        dice, share = random.Random(seed * 100 + number), shares[number % 3]
        for _ in range(200):
            cpus = dice.choice((1, 1, 2))
            if share.take(cpus, dice.choice((NEVER, 0.0, 0.0001))):
                turns[number] += 1
                share.give_back(cpus)

    with shaken():
        barrier_run(12, lane)
    assert all(turns)
    assert gate.busy == ()
    assert [(share.computing, len(share.waiting)) for share in shares] == [(0, 0)] * 3


# ---- Lanes


@dataclass
class Drawn:
    canvas_hw: tuple[int, int] = (16, 16)
    lowest_score: float = 0.0

    def draw(self, canvas: np.ndarray) -> None:
        canvas[...] = 3


def lane_of(gate: CpuGate, backend: FakeBackend) -> tuple[ContextSlot, Engine]:
    slot = ContextSlot(form_of(backend, fake_model(), throughput_profile(2)), gate.share(2))
    return slot, thread_engine(fake_model(), backend, threads=2)


def outcomes_of(slot: ContextSlot, engine: Engine, *deadlines: float) -> list[Outcome]:
    requests = [engine.new_request(RequestTerms(deadline), lambda _: None) for deadline in deadlines]
    for request in requests:
        request.image = Drawn()
    return slot.serve(requests, monotonic)


@pytest.mark.parametrize("fault", [RuntimeError("out of memory"), KeyError("x"), MemoryError()])
def test_a_run_that_fails_gives_its_turn_back(gate: CpuGate, fault: Exception) -> None:
    """Seen to fail (the share is busy for ever) when the turn is given back after a run that succeeded only."""
    backend = FakeBackend()
    slot, engine = lane_of(gate, backend)
    backend.script(fault, fault)
    (outcome,) = outcomes_of(slot, engine, NEVER)
    assert isinstance(outcome.error, (RuntimeFailed, MemoryError))
    assert gate.busy == ()


def test_what_is_late_when_its_turn_comes_never_runs(gate: CpuGate) -> None:
    """Seen to fail (three images run) without the look at the deadlines after the wait."""
    backend = FakeBackend()
    slot, engine = lane_of(gate, backend)
    other = gate.share(2)
    assert slot.gate.take(1, AT_ONCE)
    assert other.take(1, AT_ONCE)
    with ThreadPoolExecutor(1) as pool:
        soon = monotonic() + 0.05
        future = pool.submit(outcomes_of, slot, engine, NEVER, soon, NEVER)
        until(lambda: monotonic() > soon and len(slot.gate.waiting) == 1)
        other.give_back(1)
        outcomes = future.result(30)
    assert [outcome.late for outcome in outcomes] == [False, True, False]
    assert backend.shapes == [(2, 16, 16, 3)]
    slot.gate.give_back(1)
    assert gate.busy == ()


def test_a_batch_that_is_late_as_a_whole_takes_no_turn(gate: CpuGate) -> None:
    backend = FakeBackend()
    slot, engine = lane_of(gate, backend)
    other = gate.share(2)
    assert slot.gate.take(1, AT_ONCE)
    assert other.take(1, AT_ONCE)
    outcomes = outcomes_of(slot, engine, monotonic() + 0.01, monotonic() + 0.02)
    assert [outcome.late for outcome in outcomes] == [True, True]
    assert backend.runs == 0
    assert (slot.gate.computing, len(slot.gate.waiting)) == (1, 0)


# ---- Engines


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def prediction(engine: Engine) -> LocalImageJob:
    return LocalImageJob(engine.model, PredictOptions(), "image0.jpg")


def later(engine: Engine, seed: int, timeout: float = NEVER) -> ResultFuture:
    return predict_later(engine, prediction(engine), picture(seed), RequestTerms(monotonic() + timeout))


def now(engine: Engine, seed: int, timeout: float = NEVER) -> None:
    predict_now(engine, prediction(engine), picture(seed), RequestTerms(monotonic() + timeout))


def started(backend: FakeBackend, threads: int = 2) -> Engine:
    engine = thread_engine(fake_model(), backend, threads=threads)
    engine.start()
    return engine


def test_an_engine_whose_runtime_hangs_keeps_no_other_from_its_results(two_cpus: CpuGate) -> None:
    """Seen to fail (a wait for ever) when an engine without a run under way has to wait for a free CPU too."""
    stuck, gate = FakeBackend(lanes=2), Gate()
    hung, other = started(stuck), started(FakeBackend())
    stuck.script(*[gate] * 2)
    futures = [later(hung, seed) for seed in range(2)]
    gate.wait_for(2)
    for seed in range(5):
        now(other, seed, 30)
    gate.open()
    assert all(len(future.result(30).boxes) for future in futures)
    for engine in (hung, other):
        engine.close()


def test_a_lone_caller_beside_a_busy_engine_is_served_as_one_of_many(two_cpus: CpuGate) -> None:
    """The form for one caller has the threads of the other's part too, and waits for the slower of them."""
    backend, occupied, gate = FakeBackend(), FakeBackend(), Gate()
    mine, other = started(backend), started(occupied)
    now(mine, 0)
    assert backend.compiled == [LATENCY]
    occupied.script(gate)
    future = later(other, 1)
    gate.wait_for(1)
    now(mine, 2)
    until(lambda: mine.statistics().forms == ("latency", "throughput"))
    gate.open()
    future.result(30)
    for engine in (mine, other):
        engine.close()


def test_a_deadline_holds_while_another_engine_has_the_cpus(two_cpus: CpuGate) -> None:
    backend, occupied, gate = FakeBackend(lanes=3), FakeBackend(), Gate()
    mine, other = started(backend), started(occupied)
    occupied.script(gate)
    backend.script(gate, gate)
    futures = [later(other, 0), later(mine, 1)]
    gate.wait_for(2)
    runs = backend.runs
    with pytest.raises(DeadlineExceeded):
        now(mine, 2, 0.05)
    gate.open()
    assert all(len(future.result(30).boxes) for future in futures)
    now(mine, 3, 30)
    assert backend.runs == runs + 1
    for engine in (mine, other):
        engine.close()


def test_engines_can_be_closed_while_their_lanes_wait(two_cpus: CpuGate) -> None:
    backend, occupied, gate = FakeBackend(lanes=3), FakeBackend(), Gate()
    mine, other = started(backend), started(occupied)
    occupied.script(gate)
    future = later(other, 0)
    gate.wait_for(1)
    pending = [later(mine, seed) for seed in range(8)]
    mine.close(drain=True, timeout=30)
    assert all(len(found.result(30).boxes) for found in pending)
    gate.open()
    future.result(30)
    other.close()


def test_the_gate_keeps_no_engine_alive(two_cpus: CpuGate) -> None:
    engine = started(FakeBackend())
    now(engine, 0)
    share = engine.lanes.gate
    engine.close()
    del engine
    gc.collect()
    assert share not in two_cpus.busy


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_gate_of_its_own() -> None:
    """Seen to fail (the child waits for ever) with the parent's gate, whose lock was held when it was copied."""
    warnings.simplefilter("ignore")  # Python itself warns of a fork with threads
    gate = module.cpu_gate()
    with gate.lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            share = module.cpu_gate().share(1)
            os._exit(0 if share.take(1, AT_ONCE) and module.cpu_gate() is not gate else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.slow
@pytest.mark.parametrize("names", [(CPU_BACKENDS[0], CPU_BACKENDS[0]), CPU_BACKENDS])
def test_two_models_under_load_have_their_own_bits(
    demo_model: Path, tiny_onnx: Callable[..., Path], names: tuple[str, str], two_cpus: CpuGate
) -> None:
    with YOLO(demo_model, backend=names[0]) as first, YOLO(tiny_onnx(), backend=names[1]) as second:
        models = (first, second)
        expected = [[bits(model, seed) for seed in range(4)] for model in models]
        found = barrier_run(8, lambda index: [bits(models[index % 2], seed) for seed in range(4)] * 1)
    assert found == [expected[index % 2] for index in range(8)]


def bits(model: YOLO, seed: int) -> bytes:
    (result,) = model.predict(picture(seed), conf=0.001, imgsz=160)
    return result.boxes.data.tobytes()
