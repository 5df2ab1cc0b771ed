"""Which plan is chosen, by scripted rates; and that real networks can be measured."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from yoloom.engine.tuning.tuner import ROUNDS, RUNS, Tuner, _Entrant, _Run, _Window, stream_candidates
from yoloom.errors import RuntimeFailed
from yoloom.formats.model import Model
from yoloom.formats.read import read_model
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import THROUGHPUT, Batch, Precision, Profile, RawOutputs
from yoloom.runtime.registry import CPU_BACKENDS, find_backend
from yoloom.testing import FakeBackend, FakeCompiled, fake_model

SECONDS = 0.04  # turns of a millisecond


class Scripted(Tuner):
    """Turns whose rates are given. luck: what other plans than the default have more, until the run-off.

    extra_s: what a turn takes beyond its time, by a clock that nothing else moves.
    """

    def __init__(
        self,
        rates: Mapping[Plan, float],
        backend: FakeBackend | None = None,
        luck: float = 1.0,
        seconds: float = SECONDS,
        extra_s: float = 0.0,
    ) -> None:
        self.now_s = 0.0
        self.extra_s = extra_s
        self.lines: list[str] = []
        super().__init__(
            *(fake_model(), backend or FakeBackend(lanes=3), 2),
            seconds=seconds,
            clock=lambda: self.now_s,
            progress=self.lines.append,
        )
        self.rates = rates
        self.luck = luck
        self.turns: list[Plan] = []

    def _turn(self, entrant: _Entrant) -> float:
        plan = entrant.plan
        self.turns.append(plan)
        self.now_s += self._turn_s + self.extra_s
        lucky = self.luck if plan != Plan() and self.turns.count(plan) <= 3 * ROUNDS else 1.0
        return 100 * self.rates.get(plan, 0.9) * lucky


def test_the_default_stays_when_nothing_is_faster() -> None:
    tuning = Scripted({Plan(): 1.0}).tune()
    assert tuning.plan == Plan()
    assert tuning.plan.because.startswith("nothing beats the 100.0 images/s of the default (2 streams, 3 lanes, ")
    assert "the best other had 0.90 times as many" in tuning.plan.because


def test_the_default_stays_when_another_is_faster_by_the_noise_only() -> None:
    assert Scripted({Plan(): 1.0, Plan(1): 1.029}).tune().plan == Plan()


@pytest.mark.parametrize("best", [Plan(1), Plan(lanes=4), Plan(lanes=2, batch=4), Plan(batch=2), Plan(1, lanes=3)])
def test_the_fastest_is_chosen_in_words_and_figures(best: Plan) -> None:
    pair = Plan(best.streams, best.lanes, best.batch and 2)
    steps = {Plan(best.streams): 1.05, Plan(best.streams, best.lanes): 1.1, pair: 1.15, best: 1.2}
    tuning = Scripted({**steps, Plan(): 1.0}).tune()
    assert tuning.plan == best
    assert ": 1.20 times the 100.0 images/s of the default (2 streams, 3 lanes, batches of 1)" in tuning.plan.because
    assert {candidate.plan for candidate in tuning.candidates} >= {Plan(), best}


def test_one_that_was_the_best_by_luck_loses_the_run_off() -> None:
    """Seen to fail (the lucky one is chosen) when its lucky turns count in the run-off."""
    tuning = Scripted({Plan(): 1.0, Plan(1): 1.01}, luck=1.2).tune()
    assert tuning.plan == Plan()


def test_turns_are_interleaved_and_each_round_begins_with_another() -> None:
    tuner = Scripted({Plan(): 1.0})
    tuner.tune()
    assert tuner.turns[:6] == [Plan(), Plan(1), Plan(1), Plan(), Plan(), Plan(1)]


def test_a_fixed_batch_is_left_as_it_is() -> None:
    backend = FakeBackend(lanes=3)
    tuner = Tuner(fake_model(batch=4), backend, 2, seconds=SECONDS)
    tuning = tuner.tune()
    assert {candidate.batch for candidate in tuning.candidates} == {4}
    assert {shape[0] for shape in backend.shapes} == {4}


def test_batches_are_not_tried_where_they_change_bits() -> None:
    tuning = Scripted({Plan(): 1.0}, FakeBackend(lanes=3, batches=False)).tune()
    assert {candidate.batch for candidate in tuning.candidates} == {1}


@pytest.mark.parametrize("best", [Plan(), Plan(lanes=4), Plan(batch=4)])
@pytest.mark.parametrize("extra_s", [0.0, 0.1, 0.5, 1.0, 2.0, 5.0])
def test_a_tuning_keeps_within_the_time_asked(best: Plan, extra_s: float) -> None:
    """Seen to take twice the time and the run-off on top where a turn takes longer than its share."""
    tuner = Scripted({Plan(): 1.0, Plan(batch=2): 1.1, best: 1.2}, seconds=12.0, extra_s=extra_s)
    tuning = tuner.tune()
    assert 12.0 * 0.3 < tuning.seconds <= 12.0 * 1.2
    assert tuner.lines[0] == "streams, round 1 of 3: 2 plans, 0% of the time"
    assert tuning.plan == best or extra_s >= 0.5


def test_a_plan_that_could_not_be_compared_twice_is_not_chosen() -> None:
    tuning = Scripted({Plan(): 1.0, Plan(1): 2.0}, seconds=12.0, extra_s=4.0).tune()
    assert tuning.plan == Plan()
    assert tuning.plan.because.startswith("there was no time to compare 1 stream, ")
    assert "ask for more seconds" in tuning.plan.because


class Careless(FakeBackend):
    """Says that it keeps bits in batches, and does not."""

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        outputs = super().execute(model, batch)
        return tuple(output + np.float32(len(batch) - 1) for output in outputs)


def test_a_plan_with_other_bits_is_never_chosen(caplog: pytest.LogCaptureFixture) -> None:
    """Seen to choose batches of 2 without the comparison."""
    tuning = Scripted({Plan(): 1.0, Plan(batch=2): 2.0, Plan(batch=4): 3.0}, Careless(lanes=3)).tune()
    assert tuning.plan == Plan()
    assert {candidate.batch for candidate in tuning.candidates} == {1}
    assert "other bits than one image alone is left out" in caplog.text


@pytest.mark.parametrize(
    ("threads", "expected"),
    [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (16, [1, 2, 4, 8, 16]), (96, [1, 2, 4, 8, 16, 32, 64, 96])],
)
def test_numbers_of_streams_worth_a_try(threads: int, expected: list[int]) -> None:
    assert stream_candidates(threads) == expected


def test_an_error_in_a_lane_ends_the_turn_and_is_told() -> None:
    """Seen to wait for ever when the barrier of the lanes is not broken."""
    backend = FakeBackend(lanes=3)
    backend.script(*[None] * 5, RuntimeError("out of memory"))  # four images alone, one look at the bits of a plan
    with pytest.raises(RuntimeFailed, match="out of memory"):
        Tuner(fake_model(), backend, 2, seconds=SECONDS).tune()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("yoloom-tune")]


class Slow(FakeBackend):
    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> FakeCompiled:
        if profile.name == THROUGHPUT:
            self.script_every(lambda: threading.Event().wait(0.02))
        return super().compile(model, profile, precision)


def test_a_network_whose_runs_take_longer_than_a_turn_is_not_measured_for_ever() -> None:
    backend = Slow(lanes=3)
    tuning = Tuner(fake_model(), backend, 2, seconds=SECONDS).tune()
    assert len(tuning.candidates) == 2  # the first stage


@pytest.mark.slow
@pytest.mark.parametrize("name", CPU_BACKENDS)
def test_a_real_network_is_measured(tiny_onnx: Callable[..., Path], name: str) -> None:
    tuning = Tuner(read_model(tiny_onnx()), find_backend(name, "cpu"), 2, seconds=0.4).tune()
    default = tuning.candidates[0]
    assert (default.plan, default.streams, default.lanes, default.batch) == (Plan(), 2, 3, 1)
    assert all(candidate.images_per_s > 0 and candidate.ratio > 0 for candidate in tuning.candidates)
    assert tuning.plan in {candidate.plan for candidate in tuning.candidates}


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_lanes_that_wait_for_each_other_are_no_faster(lanes: int) -> None:
    """One stream computes a run each second, whoever brings it. From a common start, five lanes seemed faster."""
    window = _Window(lanes, 10.0)
    runs = [[_Run(start, start + lanes) for start in range(lane, 30, lanes)] for lane in range(lanes)]
    for lane in runs:
        window.warm(lane[0])
    assert window.end - window.begin == max(10.0, RUNS * lanes)
    assert window.rate(runs) == pytest.approx(1.0)
