"""`yoloom.verify.check` finds the faults that are there, names them, and passes what is sound."""

from __future__ import annotations

import dataclasses
import gc
import html.parser
import json
import os
import pickle
import sys
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import broken_models as broken
from scenes import scene
from yoloom import YOLO, Plan
from yoloom.assets import DEMO_MODEL
from yoloom.errors import (
    InvalidOption,
    InvalidTarget,
    NoImagesFound,
    SourceNotFound,
    TargetFailed,
)
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.testing import ManualClock
from yoloom.verify import Report, Target, Verdict, check, target_of
from yoloom.verify.reference import Fault
from yoloom.verify.schedule import TimeBudget

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"
QUICK: dict[str, Any] = {"seconds": 1.5}


def faults(report: Report) -> set[Fault]:
    return {mismatch.fault for mismatch in report.shown}


def verdicts(report: Report) -> list[Verdict]:
    return [finding.verdict for finding in report.findings]


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    return [scene(seed, size).image for seed, size in enumerate(((320, 240), (240, 320), (256, 256)))]


def with_few_options(model: YOLO) -> Target:
    """Small, and with answers that differ in networks with random weights too."""
    few = {"conf": (0.01, 0.3), "iou": (0.3, 0.7), "max_det": (5, 40), "imgsz": (64, 96)}
    return dataclasses.replace(target_of(model), options=few)


# ---- Faults that are there


def test_options_on_the_shared_model_are_cross_talk() -> None:
    report = check(broken.SharedOptions(), **QUICK)
    assert verdicts(report) == [Verdict.CROSS_TALK]
    assert faults(report) == {Fault.OTHER_OPTIONS}
    first = report.shown[0]
    assert first.whose.partition("(")[0] == first.asked.partition("(")[0], "the same picture, with options of"
    assert first.whose != first.asked
    assert first.came != first.expected
    assert any(mismatch.by.startswith("caller ") for mismatch in report.shown)


def test_a_shared_input_buffer_is_cross_talk_between_pictures() -> None:
    report = check(broken.SharedPicture(), **QUICK)
    assert verdicts(report) == [Verdict.CROSS_TALK]
    assert faults(report) == {Fault.OTHER_PICTURE}


def test_a_shared_output_buffer_changes_answers_after_delivery() -> None:
    report = check(broken.SharedBuffer(), **QUICK)
    assert report.verdict is Verdict.CHANGED
    assert Fault.CHANGED in faults(report)
    assert "share memory" in report.findings[0].words


def test_a_shared_output_buffer_is_found_by_a_single_caller() -> None:
    assert check(broken.SharedBuffer(), threads=1, rounds=1).verdict is Verdict.CHANGED


def test_a_torn_cache_gives_answers_that_are_nobodys() -> None:
    report = check(broken.TornCache(), **QUICK)
    assert verdicts(report) == [Verdict.TORN]
    assert faults(report) == {Fault.TORN}
    assert {mismatch.whose for mismatch in report.shown} == {""}


def test_answers_swapped_once_in_500_are_found() -> None:
    report = check(broken.SwappedOnceInAWhile(), rounds=12)
    assert verdicts(report) == [Verdict.CROSS_TALK]
    assert 0 < report.mismatches < report.concurrent / 50
    assert all(mismatch.whose for mismatch in report.shown)


def test_an_exception_once_in_1000_is_found_with_its_trace() -> None:
    report = check(broken.RaisesOnceInAWhile(), rounds=12)
    assert verdicts(report) == [Verdict.EXCEPTIONS]
    [failure] = report.exceptions
    assert failure.kind == "RuntimeError"
    assert failure.count == report.requests // 1000 == 2
    assert "broken_models.py" in failure.trace
    assert "infer request is busy" in str(report)
    assert sum(level.exceptions for level in report.levels) == 2


@pytest.mark.parametrize(
    ("what", "grows"),
    [
        ("bytes", "bytes"),
        ("objects", "blocks of Python objects"),
        ("threads", "threads"),
        ("files", "file descriptors"),
    ],
)
def test_a_leak_is_found(what: str, grows: str) -> None:
    model = broken.Leaks(what)
    report = check(model, rounds=8)
    model.close()
    assert set(verdicts(report)) == {Verdict.LEAK}
    assert any(leak.what.startswith(grows) and leak.per_request > 0 for leak in report.memory.leaks)


def test_a_deadlock_is_a_hang_with_the_stacks_of_all_threads() -> None:
    report = check(broken.Deadlocks(), hang_after=1.0, **QUICK)
    assert report.verdict is Verdict.HANG
    assert report.hang is not None
    assert "with second:" in report.hang.stacks
    assert "with second:" in str(report)


def test_a_deadlock_of_a_few_is_found_while_others_go_on() -> None:
    """LevelTally of the whole is no proof that everybody moves."""
    stuck = threading.Event()
    lock = threading.Lock()

    def predict(image: np.ndarray, conf: float) -> Any:
        name = threading.current_thread().name
        if name.startswith("verify 8 threads, lap") and name.endswith("#3") and lock.acquire(blocking=False):
            stuck.wait()
        return broken.boxes_of(image, conf, 0.5)

    report = check(predict, threads=8, hang_after=1.5, **QUICK)
    stuck.set()
    assert report.verdict is Verdict.HANG
    assert report.hang is not None
    assert report.hang.where.endswith("caller 3")
    assert report.hang.others == 0
    assert report.concurrent > 100


def test_a_model_that_hangs_alone_is_a_hang() -> None:
    release = threading.Event()
    report = check(lambda image: release.wait() or image.mean(), hang_after=0.3)
    release.set()
    assert report.verdict is Verdict.HANG
    assert report.concurrent == 0
    assert report.hang is not None
    assert "first calls of instance 1" in report.hang.where


def test_a_task_that_waits_for_ever_is_a_hang_with_the_stacks_of_tasks() -> None:
    report = check(broken.HangsInLoop(), asyncio=True, threads=4, hang_after=0.5, **QUICK)
    assert report.verdict is Verdict.HANG
    assert report.hang is not None
    assert "create_future()" in report.hang.stacks


def test_a_stale_answer_after_a_cancellation_is_cross_talk() -> None:
    model = broken.AnswersTheNext()
    report = check(model, **QUICK)
    model.pool.shutdown()
    assert verdicts(report) == [Verdict.CROSS_TALK]
    assert report.cancelled > 0


def test_a_model_that_writes_to_its_input_is_told() -> None:
    report = check(broken.WritesToItsInput(), rounds=1)
    assert verdicts(report) == [Verdict.CHANGED_INPUT]


def test_options_that_stay_for_the_next_call_are_found_without_any_thread() -> None:
    """Every case comes after another one the second time."""
    report = check(broken.Sticky(), **QUICK)
    assert report.verdict is Verdict.UNSTEADY
    assert report.concurrent == 0
    assert "no tolerance helps" in report.findings[0].words


def test_noise_is_told_with_a_tolerance_that_helps() -> None:
    report = check(broken.Noisy(1e-6), **QUICK)
    assert verdicts(report) == [Verdict.UNSTEADY]
    assert "--tolerance 1e-05" in report.findings[0].words
    assert f" of {report.cases} cases" in report.findings[0].words
    assert faults(report) == {Fault.UNSTEADY}
    assert check(broken.Noisy(1e-6), rounds=2, tolerance=1e-5).ok


def test_cross_talk_is_told_from_noise_within_the_tolerance() -> None:
    report = check(broken.SharedOptionsAndNoise(1e-6), tolerance=1e-5, **QUICK)
    assert verdicts(report) == [Verdict.CROSS_TALK]
    assert faults(report) == {Fault.OTHER_OPTIONS}


def test_an_answer_where_alone_there_is_an_error_is_wrong() -> None:
    """And the error itself is the right answer."""

    def predict(image: np.ndarray, conf: float) -> Any:
        if conf == 0.6 and not threading.current_thread().name.startswith("verify 4 threads, lap"):
            raise ValueError("not this confidence")
        return broken.boxes_of(image, conf, 0.5)

    report = check(predict, threads=2, rounds=2)
    assert report.ok, str(report)
    report = check(predict, threads=(2, 4), rounds=2)
    assert verdicts(report) == [Verdict.SWALLOWED]
    assert faults(report) == {Fault.UNRAISED}


# ---- What is sound


def test_a_sound_model_passes_each_time() -> None:
    """Five times here, twenty with `make soak`."""
    for seed in range(20 if "YOLOOM_SOAK_S" in os.environ else 5):
        report = check(broken.Sound(), threads=(2, 32), rounds=5, seed=seed, cases=16)
        assert report.ok, str(report)
        assert report.memory.judged
        assert report.mismatches == 0


def test_sound_futures_pass_with_cancellations() -> None:
    model = broken.Futures()
    report = check(model, asyncio=True, **QUICK)
    model.pool.shutdown()
    assert report.ok, str(report)
    assert {level.mode for level in report.levels} == {"threads", "asyncio"}
    assert report.cancelled > 0


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_yoloom_passes_in_threads_and_tasks(backend: str, tiny_onnx: Callable[..., Path]) -> None:
    streamed = []

    with YOLO(tiny_onnx(), task="detect", backend=backend, threads=2) as model:

        def streams(images: list[np.ndarray], **options: Any) -> Any:
            streamed.append(options)
            return model.map(images, **options)

        target = dataclasses.replace(target_of(model), map=streams)
        report = check(target, asyncio=True, threads=(1, 2, 8, 64), rounds=1)
    assert report.ok, str(report)
    assert report.cancelled > 0
    assert report.expired > 0
    assert streamed
    assert report.tolerance == 0
    assert [(level.mode, level.callers) for level in report.levels] == [
        (mode, callers) for mode in ("threads", "asyncio") for callers in (1, 2, 8, 64)
    ]


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", ["v8-detect", "v9-segment", "11-pose", "12-obb", "11-classify"])
def test_yoloom_passes_for_every_task(name: str, backend: str, pictures: list[np.ndarray]) -> None:
    with YOLO(CHECKPOINTS / f"{name}.pt", backend=backend, threads=2) as model:
        report = check(with_few_options(model), pictures, threads=8, asyncio=True, rounds=2, cases=12)
    assert report.ok, str(report)
    assert report.distinct > 1


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        *((name, "openvino") for name in ("v8-detect", "v9-segment", "11-pose", "12-obb", "11-classify")),
        ("v8-detect", "onnxruntime"),
    ],
)
def test_yoloom_passes_for_every_task_with_workers(name: str, backend: str, pictures: list[np.ndarray]) -> None:
    with YOLO(CHECKPOINTS / f"{name}.pt", backend=backend, threads=2, workers=2) as model:
        report = check(with_few_options(model), pictures, threads=(2, 8), asyncio=True, rounds=1, cases=12)
    assert report.ok, str(report)
    assert report.distinct > 1
    assert report.cancelled + report.expired > 0


@pytest.mark.parametrize("name", ["v8-detect", "v9-segment", "11-pose", "12-obb", "11-classify"])
def test_yoloom_passes_when_images_share_a_batch(name: str, pictures: list[np.ndarray]) -> None:
    """Whoever shares one, the bits are those of the image alone."""
    with YOLO(CHECKPOINTS / f"{name}.pt", threads=2, plan=Plan(lanes=1, batch=4)) as model:
        report = check(with_few_options(model), pictures, threads=(1, 16), asyncio=True, rounds=2, cases=12)
        sizes = model.statistics().batch_sizes
    assert report.ok, str(report)
    assert max(sizes) > 1


@pytest.mark.skipif(
    Precision.BF16 not in find_backend("openvino", "cpu").precisions(), reason="no native bfloat16 on this CPU"
)
def test_yoloom_passes_in_bfloat16(pictures: list[np.ndarray]) -> None:
    with YOLO(CHECKPOINTS / "v8-detect.pt", threads=2, precision="bf16") as model:
        report = check(with_few_options(model), pictures, threads=8, asyncio=True, rounds=2, cases=12)
    assert report.ok, str(report)
    assert report.tolerance == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("opened", [{"backend": "openvino"}, {"backend": "onnxruntime"}, {"workers": 2}], ids=str)
def test_yoloom_passes_with_the_bundled_model(opened: dict[str, Any], pictures: list[np.ndarray]) -> None:
    with YOLO(DEMO_MODEL, **opened) as model:
        target = dataclasses.replace(target_of(model), options={"conf": (0.05, 0.4), "imgsz": (160, 224)})
        report = check(target, pictures, threads=(2, 16), asyncio=True, rounds=2, cases=16)
    assert report.ok, str(report)
    assert report.distinct > 5


def test_wrong_outputs_of_a_runtime_are_found_through_a_yolo(tiny_onnx: Callable[..., Path]) -> None:
    """The check sees a fault of the engine itself: here results of one image that are handed to another."""

    class Mixed:
        """A `YOLO` whose answers are swapped now and then."""

        def __init__(self, model: YOLO) -> None:
            self._swap = broken.SwappedOnceInAWhile(every=20)
            self._model = model
            self.options = {"conf": (0.1, 0.25), "imgsz": (64, 96)}

        def __call__(self, image: np.ndarray, **options: Any) -> Any:
            [results] = self._model.predict(image, **options)
            with self._swap._meeting:
                return self._exchanged(results)

        def _exchanged(self, mine: Any) -> Any:
            if self._swap._offered:
                slot = self._swap._offered.pop()
                slot[0], mine = mine, slot[0]
                self._swap._meeting.notify_all()
            elif self._swap.next_call() % 20 == 0:
                slot = [mine]
                self._swap._offered.append(slot)
                self._swap._meeting.wait(0.05)
                if slot in self._swap._offered:
                    self._swap._offered.remove(slot)
                mine = slot[0]
            return mine

    with YOLO(tiny_onnx(), task="detect", threads=2) as model:
        report = check(Mixed(model), threads=8, **QUICK)
    assert report.verdict is Verdict.CROSS_TALK


def test_a_cache_that_fills_up_is_no_leak() -> None:
    """It grows as a leak does for all laps; as many again, where it looks like one, show that it has stopped."""
    model = broken.FillsACache(entries=1000)
    report = check(model, rounds=6)
    assert report.ok, str(report)
    assert report.laps in (6, 12)  # a process that has memory left over from before does not grow at first
    assert len(model.cache) == 1000


# ---- The seed


class Recording(broken.Sound):
    """Writes down who asked for what, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: defaultdict[str, list[Any]] = defaultdict(list)

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._lock:
            self.asked[threading.current_thread().name].append((image.shape, int(image.sum()), conf, iou))
        return broken.boxes_of(image, conf, iou)


def asked_with(seed: int) -> dict[str, list[Any]]:
    model = Recording()
    assert check(model, threads=(1, 4, 16), rounds=3, seed=seed).ok
    return dict(model.asked)


def test_the_seed_reproduces_the_run() -> None:
    """The same callers ask for the same, in the same order: each of them by itself."""
    first = asked_with(7)
    assert len(first) == 1 + 8 + 3 * (8 + 1 + 1 + 4 + 16), "alone, first calls, and three laps with a new size"
    assert asked_with(7) == first
    assert asked_with(8) != first


def test_nobody_asks_before_all_callers_are_there() -> None:
    """And all begin with different cases. Seen to fail without the barrier: the first thread was alone for a while."""
    there, cases, first = [], defaultdict(set), threading.local()

    def predict(image: np.ndarray, conf: float, iou: float) -> Any:
        name, _, _ = threading.current_thread().name.rpartition(" #")
        if name.startswith("verify 8") and not name.endswith("alone") and not hasattr(first, "seen"):
            first.seen = True
            cases[name].add((int(image.sum()), conf, iou))
            there.append(sum(thread.name.startswith(name) for thread in started))
        return broken.boxes_of(image, conf, iou)

    started: list[threading.Thread] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", noted)
        assert check(predict, threads=8, rounds=1).ok
    assert [len(of_crowd) for of_crowd in cases.values()] == [8, 8, 8], "first calls, a new size, and a lap"
    assert min(there) >= 7, "the last one may be on its way back from its start"


# ---- How long it takes


def test_a_slow_model_gets_one_lap_and_the_report_says_why_it_took_longer() -> None:
    """One lap of all callers takes 2.7 seconds at least: there is no other."""
    alone = threading.Lock()

    def predict(image: np.ndarray, conf: float) -> Any:
        with alone:
            time.sleep(0.1)
        return broken.boxes_of(image, conf, 0.5)

    report = check(predict, threads=(1, 2, 24), seconds=0.5, cases=4)
    assert report.ok, str(report)
    assert report.laps == 1
    assert report.concurrent == 8 + 1 + 2 + 24
    assert report.new_sizes == 0, "there was no time"
    assert 2.7 <= report.seconds_at_once < report.seconds
    [note] = [note for note in report.notes if "instead of 0.5" in note]
    assert "each caller asks at least once" in note


def test_a_fast_model_takes_the_time_that_it_is_given() -> None:
    """However many levels there are: each of some 150 would take as long if they did not share it."""
    report = check(broken.Sound(), threads=tuple(range(1, 25)), seconds=0.5)
    assert report.ok, str(report)
    assert 0.45 <= report.seconds_at_once < 25


def test_time_is_dealt_out_evenly_and_what_is_lost_is_not_added() -> None:
    clock = ManualClock()
    budget = TimeBudget(12.0, 4, clock)
    assert budget.next_s() == 3
    clock.advance(6)  # a slow level takes that of another
    assert budget.next_s() == 2
    clock.advance(2)
    assert budget.next_s() == 2
    assert not budget.is_used_up
    clock.advance(9)
    assert budget.next_s() == 0
    assert budget.is_used_up
    assert TimeBudget(None, 4).next_s() is None
    assert not TimeBudget(None, 4).is_used_up


# ---- The report


def test_a_report_is_plain_data(tmp_path: Path) -> None:
    report = check(broken.SharedOptions(), seconds=1)
    told = json.loads(report.to_json())
    assert told["verdict"] == "cross-talk"
    assert told["ok"] is False
    assert told["requests"] == report.requests
    assert report.requests - report.concurrent == 2 * report.cases + 8 * report.new_sizes
    assert told["untried"]
    assert told["shown"][0]["fault"] == "the answer for other options"
    assert [level["callers"] for level in told["levels"]] == [1, 2, 8, 64]
    assert told["levels"][0]["mismatches"] == 0, "a single caller gets his own"
    assert sum(level["mismatches"] for level in told["levels"]) <= told["mismatches"]
    assert sum(told["faults"].values()) == told["mismatches"]
    assert all(level["p50_ms"] <= level["p95_ms"] <= level["p99_ms"] for level in told["levels"])
    assert told["machine"]["python"]
    assert len(told["memory"]["laps"]) == report.laps + 1
    twin = pickle.loads(pickle.dumps(report))
    assert twin.to_json() == report.to_json()
    assert str(report).startswith("SharedOptions: cross-talk: ")


class Page(html.parser.HTMLParser):
    """Notes what a page would load, and whether its tags match."""

    EMPTY = frozenset({"meta", "line", "circle", "rect", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.plots = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.plots += tag == "svg"
        self.outside += [f"{tag} {name}" for name, _ in attrs if name in ("src", "href")]
        self.outside += [tag] * (tag in ("script", "link", "img", "iframe"))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    model = broken.SharedOptions()
    target = Target("<b>evil</b>", model, options=model.options, facts={"<script>": "alert(1)"})
    text = check(target, seconds=1).to_html()
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert page.outside == []
    assert page.plots == 4  # speed, latency, memory over time and at rest
    assert "&lt;b&gt;evil&lt;/b&gt;" in text
    assert "<script>" not in text


def test_nothing_is_left_running() -> None:
    before = threading.active_count()
    check(broken.Sound(), rounds=1)
    assert threading.active_count() == before


def test_the_report_keeps_no_answers_alive(tiny_onnx: Callable[..., Path]) -> None:
    kept: list[Any] = []

    def predict(image: np.ndarray, conf: float) -> Any:
        answer = broken.boxes_of(image, conf, 0.5)
        if len(kept) < 50:
            kept.append(weakref.ref(answer))
        return answer

    report = check(predict, rounds=1)
    gc.collect()
    assert report.ok
    assert not [ref for ref in kept if ref() is not None]


# ---- Bad input


def test_a_target_must_be_callable() -> None:
    with pytest.raises(InvalidTarget, match=r"callable as predict\(image, \*\*options\), got int"):
        check(5)


@pytest.mark.parametrize("nothing", [None, "3 persons", object()])
def test_an_answer_must_be_comparable(nothing: object) -> None:
    with pytest.raises(InvalidTarget, match="an answer must be a Results"):
        check(lambda image: nothing)


def test_a_target_that_always_raises_shows_its_own_error() -> None:
    def predict(image: np.ndarray) -> Any:
        try:
            raise OSError("libcuda.so.1: no such file")
        except OSError as error:
            raise RuntimeError("no CUDA device") from error

    with pytest.raises(TargetFailed, match=r"RuntimeError: no CUDA device, because of OSError: libcuda") as caught:
        check(predict)
    assert isinstance(caught.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"seconds": 0}, "seconds must be a positive number"),
        ({"seconds": float("nan")}, "seconds must be a positive number"),
        ({"rounds": 0}, "rounds must be at least 1"),
        ({"threads": 0}, "threads must be at least 1"),
        ({"threads": []}, "threads must be one number or several"),
        ({"threads": "8"}, "threads must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"tolerance": -1}, "tolerance must be 0 or more"),
        ({"hang_after": 0}, "hang_after must be a positive number"),
        ({"cases": 0}, "cases must be at least 1"),
        ({"asyncio": True}, "asyncio needs a target with predict_async"),
    ],
)
def test_wrong_settings_are_told(option: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidOption, match=words):
        check(broken.Sound(), **option)


def test_wrong_options_of_a_target_are_told() -> None:
    model = broken.Sound()
    model.options = {"conf": 0.25}  # type: ignore[dict-item]
    with pytest.raises(InvalidTarget, match="must map names to lists of values"):
        check(model)


def test_folders_without_images_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(NoImagesFound):
        check(broken.Sound(), tmp_path)
    with pytest.raises(NoImagesFound):
        check(broken.Sound(), [])
    with pytest.raises(SourceNotFound):
        check(broken.Sound(), tmp_path / "none.jpg")


def test_fewer_images_than_threads_are_shared_and_it_is_said(pictures: list[np.ndarray]) -> None:
    report = check(broken.Sound(), pictures[:1], threads=16, rounds=1)
    assert report.ok
    assert (report.pictures, report.crops, report.cases) == (1, 2, 27)
    report = check(broken.Sound(), pictures[:1], threads=40, rounds=1)
    assert "40 callers share 27 cases of 1 picture." in report.notes


def test_pictures_that_are_too_many_are_left_out_and_it_is_said() -> None:
    many = [np.full((32, 32, 3), level, np.uint8) for level in range(50)]
    report = check(broken.Sound(), many, threads=2, rounds=1, cases=16)
    assert (report.pictures, report.crops, report.cases) == (2, 2, 16)
    assert "48 more pictures were left out: ask with more cases." in report.notes


def test_a_model_that_always_says_the_same_proves_nothing() -> None:
    report = check(lambda image: np.zeros((0, 6)), rounds=1)
    assert verdicts(report) == [Verdict.INCONCLUSIVE]
    assert "all cases have the same answer" in report.findings[0].words
    assert not report.ok


def test_a_single_case_proves_nothing() -> None:
    report = check(lambda image: image.mean(), np.zeros((32, 32, 3), np.uint8), threads=4, rounds=1, cases=1)
    assert verdicts(report) == [Verdict.INCONCLUSIVE]
    assert "there is only one case" in report.findings[0].words


def test_an_interrupt_ends_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    before = threading.active_count()
    calls = iter(range(1000))

    def say(_words: str) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(broken.Sound(), say=say, **QUICK)
    assert threading.active_count() == before


@pytest.fixture(autouse=True)
def _same_switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    assert sys.getswitchinterval() == before
