"""`plan="auto"`: found in the user's cache or measured, once, and kept where a later process finds it."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from yoloom import YOLO, Plan
from yoloom.engine.tuning import plans as module
from yoloom.engine.tuning.plan_cache import LARGEST_BYTES, PlanCache, plan_cache
from yoloom.engine.tuning.plans import Plans, Subject, plans
from yoloom.engine.tuning.tuner import Tuning
from yoloom.errors import InvalidModel
from yoloom.formats.read import read_model
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.system.cpu_model import cpu_model
from yoloom.testing import barrier_run

Factory = Callable[..., Path]

ABOUT = {"cpu": "a CPU", "model": "00ff"}
FOUND = Plan(1, 2, 4, "1.2 times the default")


@pytest.fixture
def cache(tmp_path: Path) -> PlanCache:
    return PlanCache(tmp_path / "deep" / "plans")


@pytest.fixture
def subject(tiny_onnx: Factory) -> Subject:
    return Subject(read_model(tiny_onnx()), find_backend("openvino", "cpu"), 2)


class Measure:
    """A measurement whose outcome is given."""

    def __init__(self, *outcomes: Plan | Exception) -> None:
        self.outcomes = list(outcomes)
        self.subjects: list[Subject] = []

    def __call__(self, subject: Subject) -> Tuning:
        self.subjects.append(subject)
        threading.Event().wait(0.02)  # as a real one, it takes its time: others come meanwhile
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Tuning(outcome, (), 0.1)


# ---- The cache


def test_what_is_stored_is_found(cache: PlanCache) -> None:
    assert cache.find(ABOUT) is None
    path = cache.store(ABOUT, "tiny.onnx", FOUND)
    found = cache.find(ABOUT)
    assert found == FOUND
    assert found.because == FOUND.because
    assert cache.find({**ABOUT, "cpu": "another"}) is None
    assert [file.name for file in cache.folder.iterdir()] == [path.name]
    assert [(entry.name, entry.plan) for entry in cache.entries()] == [("tiny.onnx", FOUND)]
    assert [entry.path for entry in cache.clear()] == [path]
    assert not list(cache.folder.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff\xfe",
        b'{"digest": 1}',
        b"[" * 10_000,
        b" " * (LARGEST_BYTES + 1),
    ],
)
def test_a_damaged_entry_is_ignored_and_written_again(
    cache: PlanCache, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = cache.store(ABOUT, "tiny.onnx", FOUND)
    path.write_bytes(content)
    assert cache.find(ABOUT) is None
    assert "is damaged" in caplog.text
    assert cache.entries() == []
    cache.store(ABOUT, "tiny.onnx", FOUND)
    assert cache.find(ABOUT) == FOUND


@pytest.mark.parametrize("change", [("plan", "batch", 8), ("plan", "because", "?"), ("about", "cpu", "another")])
def test_an_entry_that_was_changed_is_ignored(cache: PlanCache, change: tuple[str, str, object]) -> None:
    path = cache.store(ABOUT, "tiny.onnx", FOUND)
    told = json.loads(path.read_text())
    told[change[0]][change[1]] = change[2]
    path.write_text(json.dumps(told))
    assert cache.find(ABOUT) is None


def test_an_entry_under_another_name_is_ignored(cache: PlanCache) -> None:
    path = cache.store(ABOUT, "tiny.onnx", FOUND)
    other = {**ABOUT, "cpu": "another"}
    path.rename(cache.store(other, "tiny.onnx", FOUND))
    assert cache.find(other) is None


@pytest.mark.parametrize("plan", [{"streams": 0}, {"lanes": "many"}, {"speed": 1}, {"batch": 10**9}, [], None])
def test_a_sound_entry_with_an_impossible_plan_is_ignored(cache: PlanCache, plan: object) -> None:
    from yoloom.engine.tuning.plan_cache import _digest

    told = {"about": ABOUT, "model": "tiny.onnx", "plan": plan}
    path = cache.store(ABOUT, "tiny.onnx", FOUND)
    path.write_text(json.dumps({**told, "digest": _digest(told)}))
    assert cache.find(ABOUT) is None


def test_many_threads_store_and_find_whole_entries(cache: PlanCache, caplog: pytest.LogCaptureFixture) -> None:
    def work(number: int) -> set[Plan | None]:
        found = set()
        for _ in range(20):
            cache.store(ABOUT, "tiny.onnx", Plan(1, 2, number + 1))
            found.add(cache.find(ABOUT))
        return found

    assert None not in set().union(*barrier_run(4, work))
    assert not caplog.records
    assert len(list(cache.folder.iterdir())) == 1


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("YOLOOM_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert plan_cache() is None


# ---- Found or measured


def test_a_plan_is_measured_once_for_all_threads(subject: Subject, cache: PlanCache) -> None:
    """Seen to fail (eight measurements, at once) without the map of those under way."""
    measure = Measure(*[FOUND] * 8)
    ours = Plans(measure, lambda: cache)
    assert barrier_run(8, lambda _: ours.auto(subject)) == [replace(FOUND)] * 8
    assert len(measure.subjects) == 1


def test_a_later_process_finds_it(
    subject: Subject, cache: PlanCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    possible = Plan(1, 2, 4, "1.2 times the default")
    with caplog.at_level(logging.INFO, "yoloom"):
        Plans(Measure(possible), lambda: cache).auto(subject)
        assert "plans are measured for a moment" in caplog.text
        caplog.clear()
        nothing = Measure()
        assert Plans(nothing, lambda: cache).auto(subject) == possible
    assert nothing.subjects == []
    assert [record.message.split(": ", 1)[1] for record in caplog.records] == ["1.2 times the default"]


def test_what_is_kept_by_hand_is_used(subject: Subject, cache: PlanCache) -> None:
    ours = Plans(Measure(), lambda: cache)
    assert ours.keep(subject, Tuning(FOUND, (), 0.1)) == next(cache.folder.iterdir())
    assert ours.auto(subject) == FOUND


@pytest.mark.parametrize("blocked", [True, False])
def test_without_a_folder_it_is_measured_once_for_the_process(
    subject: Subject, tmp_path: Path, blocked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    measure = Measure(FOUND)
    ours = Plans(measure, lambda: PlanCache(tmp_path / "file" / "plans") if blocked else None)
    assert [ours.auto(subject) for _ in range(3)] == [FOUND] * 3
    assert len(measure.subjects) == 1
    assert ("can not be kept" in caplog.text) == blocked


def test_no_plan_behind_a_link_is_listed_or_removed(subject: Subject, tmp_path: Path) -> None:
    behind = tmp_path / "settings"
    PlanCache(behind).store(subject.about(), "tiny.onnx", FOUND)
    (behind / "mine.json").touch()
    (tmp_path / "plans").symlink_to(behind)
    cache = PlanCache(tmp_path / "plans")
    assert cache.entries() == cache.clear() == []
    assert cache.find(subject.about()) is None
    with pytest.raises(OSError, match="symbolic link"):
        cache.store(subject.about(), "tiny.onnx", FOUND)
    assert len(list(behind.iterdir())) == 2


def test_an_error_is_for_all_that_wait_and_kept_for_nobody(subject: Subject, cache: PlanCache) -> None:
    ours = Plans(Measure(InvalidModel("torn"), FOUND), lambda: cache)
    with pytest.raises(InvalidModel, match="torn"):
        ours.auto(subject)
    assert ours.auto(subject) == FOUND


def test_a_plan_of_the_cache_that_is_not_allowed_here_is_measured_again(subject: Subject, cache: PlanCache) -> None:
    cache.store(subject.about(), "tiny.onnx", Plan(streams=7))
    assert Plans(Measure(FOUND), lambda: cache).auto(subject) == FOUND
    assert cache.find(subject.about()) == FOUND


def test_what_a_plan_depends_on(subject: Subject, tiny_onnx: Factory) -> None:
    others = [
        replace(subject, threads=1),
        replace(subject, precision=Precision.BF16),
        replace(subject, backend=find_backend("onnxruntime", "cpu")),
        replace(subject, model=read_model(tiny_onnx("other.onnx", nc=4))),
    ]
    copy = replace(subject, model=read_model(tiny_onnx("copy.onnx")))
    assert copy.about() == subject.about()
    assert len({repr(one.about()) for one in [subject, *others]}) == 5
    assert subject.about()["cpu"] == cpu_model() != ""


# ---- Models


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, cache: PlanCache) -> Measure:
    measure = Measure(Plan(1, batch=2, because="measured"))
    monkeypatch.setattr(module, "_plans", Plans(measure, lambda: cache))
    return measure


def test_auto_opens_with_the_plan_that_was_found(tiny_onnx: Factory, measured: Measure) -> None:
    path = tiny_onnx()

    def opened(_: int) -> YOLO:
        return YOLO(path, threads=2, plan="auto")

    models = barrier_run(6, opened)
    assert {model._opened.engine.lanes.plan for model in models} == {Plan(1, batch=2)}
    assert len(measured.subjects) == 1
    for model in models:
        model.close()
    with opened(0) as again:
        assert again._opened.engine.lanes.plan.because == "measured"
    assert len(measured.subjects) == 1


def test_auto_joins_a_model_that_is_open(tiny_onnx: Factory, measured: Measure) -> None:
    path = tiny_onnx()
    with YOLO(path, threads=2) as first, YOLO(path, threads=2, plan="auto") as second:
        assert second._opened.engine is first._opened.engine
    assert measured.subjects == []


@pytest.mark.slow
def test_auto_measures_a_real_network(
    tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch, cache: PlanCache, caplog: pytest.LogCaptureFixture
) -> None:
    short = Plans(lambda subject: module.tune(subject, 0.1), lambda: cache)
    monkeypatch.setattr(module, "_plans", short)
    assert plans() is short
    with caplog.at_level(logging.INFO, "yoloom"), YOLO(tiny_onnx(), threads=2, plan="auto") as model:
        chosen = model._opened.engine.lanes.plan
    assert chosen.because in caplog.text
    assert [entry.plan for entry in cache.entries()] == [chosen]
