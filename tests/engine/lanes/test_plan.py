"""Plans: what they may ask, what an engine makes of them, and that the bits stay the same."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom import YOLO, Plan
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import ResultFuture, predict_later
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import InvalidOption
from yoloom.options import PredictOptions
from yoloom.runtime.plan import MAX_BATCH, MAX_LANES
from yoloom.runtime.protocol import LATENCY, THROUGHPUT, Profile
from yoloom.runtime.registry import CPU_BACKENDS
from yoloom.sync.clock import monotonic
from yoloom.testing import FakeBackend, Gate, barrier_run, fake_model

Factory = Callable[..., Path]


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def later(engine: Engine, seed: int) -> ResultFuture:
    prediction = LocalImageJob(engine.model, PredictOptions(), "image0.jpg")
    return predict_later(engine, prediction, picture(seed), RequestTerms(monotonic() + 60))


# ---- What a plan may ask


@pytest.mark.parametrize("name", ["streams", "lanes", "batch"])
@pytest.mark.parametrize("value", [0, -1, 1.5, math.nan, math.inf, "2", True, [1], 10**9])
def test_numbers_that_are_none(name: str, value: Any) -> None:
    with pytest.raises(InvalidOption, match=name):
        Plan(**{name: value})


def test_the_largest_plan() -> None:
    assert Plan(MAX_LANES, MAX_LANES, MAX_BATCH).batch == MAX_BATCH


def test_a_reason_is_a_text_and_no_difference() -> None:
    assert Plan(1, because="measured") == Plan(1)
    assert hash(Plan(1, because="measured")) == hash(Plan(1))
    with pytest.raises(InvalidOption, match="because must be a text"):
        Plan(because=3)  # type: ignore[arg-type]


def test_numpy_numbers_become_plain_ones() -> None:
    plan = pickle.loads(pickle.dumps(Plan(np.int64(2), np.int32(3), np.uint8(4))))
    assert plan == Plan(2, 3, 4)
    assert {type(plan.streams), type(plan.lanes), type(plan.batch)} == {int}


def test_more_streams_than_threads_are_refused() -> None:
    FakeBackend().profiles(fake_model(), 2, Plan(streams=2))
    with pytest.raises(InvalidOption, match="streams must be at most 2, the CPU budget, got 3"):
        FakeBackend().profiles(fake_model(), 2, Plan(streams=3))


def test_a_fixed_batch_bounds_the_batch() -> None:
    FakeBackend().profiles(fake_model(batch=4), 2, Plan(batch=4))
    with pytest.raises(InvalidOption, match="batch must be at most 4"):
        FakeBackend().profiles(fake_model(batch=4), 2, Plan(batch=5))


@pytest.mark.parametrize("exported", [None, 4])
def test_a_runtime_that_does_not_keep_bits_in_batches_gets_none(exported: int | None) -> None:
    backend = FakeBackend(batches=False)
    backend.profiles(fake_model(batch=exported), 2, Plan(batch=1))
    with pytest.raises(InvalidOption, match="fake gives other bits for several images"):
        backend.profiles(fake_model(batch=exported), 2, Plan(batch=2))
    assert [profile.max_batch for profile in backend.profiles(fake_model(batch=exported), 2, Plan())] == [1, 1]


# ---- What is made of it


def test_a_plan_is_for_the_profile_of_many() -> None:
    profiles = FakeBackend().profiles(fake_model(), 4, Plan(streams=2, lanes=5, batch=3, max_wait_ms=1.5))
    assert profiles == (Profile(LATENCY, 4), Profile(THROUGHPUT, 4, 2, 5, (3,), 1.5))


@pytest.mark.parametrize("wait", [-1, math.nan, math.inf, "2", True, 1e9])
def test_waits_that_are_none(wait: Any) -> None:
    with pytest.raises(InvalidOption, match="max_wait_ms"):
        Plan(max_wait_ms=wait)


@pytest.mark.parametrize(("plan", "cpus"), [(Plan(), 2), (Plan(2), 2), (Plan(lanes=7), 2), (Plan(1), 4)])
def test_cpus_that_a_run_computes_with(plan: Plan, cpus: int) -> None:
    alone, together = FakeBackend().profiles(fake_model(), 4, plan)
    assert together.cpus_of_run(3) == cpus
    assert together.lanes == plan.lanes
    assert alone.cpus_of_run(1) == 4


def test_an_engine_takes_streams_lanes_and_batches_from_its_plan() -> None:
    """A first request stands still, so that the others wait together; then they run two by two."""
    backend, gate = FakeBackend(), Gate()
    engine = thread_engine(fake_model(), backend, threads=4, plan=Plan(streams=1, lanes=1, batch=2))
    engine.start()
    alone = [later(engine, seed).result(30).boxes.data.tobytes() for seed in range(6)]
    while engine.statistics().forms != ("latency", "throughput"):
        for future in [later(engine, seed) for seed in (0, 1)]:
            future.result(30)
    assert [profile for profile, _ in backend.compilations] == [
        Profile(LATENCY, 4),
        Profile(THROUGHPUT, 4, streams=1, lanes=1, batch_sizes=(2,)),
    ]
    assert engine.statistics().lanes == 2
    backend.script(gate)
    first = later(engine, 0)
    gate.wait_for(1)
    futures = [first, *(later(engine, seed) for seed in range(1, 6))]
    while engine.statistics().waiting < 5:
        pass
    begun = len(backend.shapes)
    gate.open()
    assert [future.result(30).boxes.data.tobytes() for future in futures] == alone
    assert sum(shape[0] for shape in backend.shapes[begun:]) == 5
    assert max(shape[0] for shape in backend.shapes[begun:]) == 2
    engine.close()


def test_a_graph_with_a_fixed_batch_is_filled_with_what_waits() -> None:
    """It computes four images in any case."""
    backend, gate = FakeBackend(lanes=1), Gate()
    engine = thread_engine(fake_model(batch=4, hw=(64, 64)), backend, threads=1)
    engine.start()
    backend.script(gate)
    futures = [later(engine, 0)]
    gate.wait_for(1)
    futures += [later(engine, seed) for seed in range(1, 5)]
    while engine.statistics().waiting < 4:
        pass
    begun = backend.runs
    gate.open()
    for future in futures:
        future.result(30)
    assert backend.runs - begun == 1
    engine.close()


# ---- Models


@pytest.mark.parametrize("plan", ["fast", "AUTO", 1, {"streams": 1}, b"auto"])
def test_what_is_no_plan(demo_model: Path, plan: Any) -> None:
    with pytest.raises(InvalidOption, match="plan must be 'auto', a Plan or None"):
        YOLO(demo_model, plan=plan)


def test_a_plan_that_the_budget_does_not_allow(demo_model: Path) -> None:
    with pytest.raises(InvalidOption, match="streams must be at most 1"):
        YOLO(demo_model, threads=1, plan=Plan(streams=2))


def test_batches_are_refused_where_a_runtime_has_other_bits_for_them(demo_model: Path) -> None:
    with pytest.raises(InvalidOption, match="onnxruntime gives other bits"):
        YOLO(demo_model, backend="onnxruntime", plan=Plan(batch=2))


def test_handles_on_one_file_share_its_plan(tiny_onnx: Factory) -> None:
    path = tiny_onnx()
    with YOLO(path, threads=2, plan=Plan(batch=2)) as model:
        with YOLO(path, threads=2, plan=Plan(batch=2, because="another reason")) as same, YOLO(path, threads=2) as any_:
            assert same._opened.engine is any_._opened.engine is model._opened.engine
        with pytest.raises(InvalidOption, match=r"plan must be Plan\(streams=None, lanes=None, batch=2"):
            YOLO(path, threads=2, plan=Plan(batch=3))
        recipe = pickle.loads(pickle.dumps(model))
        recipe.close()


@pytest.mark.slow
@pytest.mark.parametrize("backend", CPU_BACKENDS)
@pytest.mark.parametrize("plan", [Plan(1), Plan(2, lanes=2), Plan(2, lanes=5, batch=2), Plan(1, batch=4)])
def test_results_have_the_same_bits_with_every_plan(tiny_onnx: Factory, backend: str, plan: Plan) -> None:
    path, found = tiny_onnx(), {}
    for number, asked in enumerate((None, plan)):
        with YOLO(path, backend=backend, threads=2, plan=asked) as model:
            alone = [bits(model, seed) for seed in range(8)]
            found[number] = barrier_run(8, lambda index, model=model: [bits(model, (index + i) % 8) for i in range(8)])
        for index, answers in enumerate(found[number]):
            assert answers == [alone[(index + i) % 8] for i in range(8)]
    assert found[0] == found[1]


def bits(model: YOLO, seed: int) -> bytes:
    (result,) = model.predict(picture(seed), conf=0.001)
    return result.boxes.data.tobytes()
