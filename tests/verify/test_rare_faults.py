"""Faults that a check of a warm model, of whole pictures and of boxes alone does not see.

All of them were seen to pass `check`, or to be called torn or an exception, before it tried first calls, crops and new
sizes, compared all members, and had a name for what is reordered, swallowed or late.
"""

from __future__ import annotations

import gc
import threading
import time
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

import rare_faults
from scenes import scene
from yoloom.errors import InvalidTarget
from yoloom.verify import Report, Verdict, caller, check, pace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

PICTURES = [scene(seed, size).image for seed, size in enumerate(((160, 120), (120, 160), (128, 128)))]
PROMPT = [target for target in rare_faults.FAULTY if target not in rare_faults.LATE]


def caught(make: Any, **how: Any) -> Report:
    return check(None, PICTURES, fresh=make, **{"threads": (2, 8), "rounds": 2, "cases": 24, **how})


@pytest.mark.parametrize("target", PROMPT, ids=lambda target: target.__name__)
def test_a_rare_fault_is_found_and_named(target: Any) -> None:
    report = caught(target)
    assert [finding.verdict for finding in report.findings] == [target.verdict], str(report)
    assert report.instances == 4


@pytest.fixture
def skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late targets move the clock of the thread that waits for them: half a minute, without any load playing a part."""
    threads = threading.local()

    def perf_counter() -> float:
        return time.perf_counter() + getattr(threads, "ahead_s", 0.0)

    def wait_s(_seconds: float) -> None:
        threads.ahead_s = getattr(threads, "ahead_s", 0.0) + 30.0

    for module in (caller, pace):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=perf_counter, sleep=time.sleep))
    monkeypatch.setattr(rare_faults, "wait_s", wait_s)


@pytest.mark.parametrize("target", rare_faults.LATE, ids=lambda target: target.__name__)
def test_answers_that_come_late_are_found(target: Any, skipped: None) -> None:
    report = check(target(), threads=(2, 4), rounds=8)
    assert [finding.verdict for finding in report.findings] == [Verdict.LATE], str(report)
    assert "came far later than others" in report.findings[0].words
    assert all(late.seconds > late.limit_s for late in report.late)


@pytest.mark.parametrize("target", rare_faults.SOUND, ids=lambda target: target.__name__)
def test_what_only_looks_like_it_passes(target: Any) -> None:
    report = caught(target, rounds=6)
    assert report.ok, str(report)
    assert report.late == ()


@pytest.mark.parametrize(
    "target", [one for one in rare_faults.FIRST_CALLS if one is not rare_faults.NormalizedTwice],
    ids=lambda target: target.__name__,
)  # fmt: skip
def test_the_first_calls_of_the_only_instance_are_at_once_too(target: Any) -> None:
    report = check(target(), threads=8, rounds=2)
    assert report.verdict is target.verdict, str(report)
    assert report.instances == 1
    assert any("first calls of other instances" in thing for thing in report.untried)


def test_a_damage_of_first_calls_that_stays_needs_another_instance() -> None:
    """The only instance is damaged for its baseline too; the report says what was not tried."""
    assert caught(rare_faults.NormalizedTwice).verdict is Verdict.TORN


def test_whose_member_it_was_is_told() -> None:
    report = caught(rare_faults.PictureOfAnother)
    first = report.shown[0]
    assert first.members.split(", ")[0] == "orig_img"
    assert first.whose.partition("(")[0] != first.asked.partition("(")[0]
    assert "  wrong: orig_img" in str(report)
    assert "a member of another case's answer" in report.findings[0].words


def test_fresh_instances_are_those_that_the_function_makes() -> None:
    made: list[rare_faults.Members] = []

    def make() -> Any:
        made.append(rare_faults.Members())
        return made[-1]

    report = check(fresh=make, threads=4, rounds=1)
    assert report.ok
    assert len(made) == report.instances + 1, "the one that is asked alone was never asked by many before"


def test_instances_are_let_go_of_before_many_are_there() -> None:
    """A model may be large: two at a time, the one that was asked and the next. Seen to fail with all of them kept."""
    alive: list[weakref.ref[Any]] = []
    most = 0

    def make() -> Any:
        nonlocal most
        target = rare_faults.Members()
        alive.append(weakref.ref(target))
        gc.collect()
        most = max(most, sum(ref() is not None for ref in alive))
        return target

    assert check(fresh=make, threads=4, rounds=1).ok
    assert len(alive) == 5
    assert most == 2


def test_one_object_for_all_is_one_instance() -> None:
    target = rare_faults.Members()
    report = check(fresh=lambda: target, threads=4, rounds=1)
    assert report.ok
    assert report.instances == 1


def test_a_model_or_a_function_that_makes_one_is_needed() -> None:
    with pytest.raises(InvalidTarget, match="callable"):
        check()


def test_what_was_not_tried_stands_at_the_end() -> None:
    report = check(rare_faults.Members(), threads=2, rounds=1)
    text = str(report)
    told = [line.removeprefix("not tried").strip() for line in text.splitlines() if line.startswith("not tried")]
    assert told == list(report.untried)
    for words in ("asyncio tasks", "deadlines", "paths, bytes", "signals, forks", "leaks: too few laps", "orig_img"):
        assert any(words in thing for thing in report.untried), words
    assert not any("options:" in thing for thing in report.untried)
