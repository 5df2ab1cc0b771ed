"""Callbacks around predictions: in which order, in which thread, and of which call."""

from __future__ import annotations

import importlib.resources
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from yoloom import YOLO, errors
from yoloom.assets import DEMO_MODEL
from yoloom.facade.callbacks import EVENTS, Predictor
from yoloom.testing import barrier_run

SCENES = sorted(Path(str(importlib.resources.files("yoloom.assets"))).glob("scene-*.jpg"))
OPTIONS: dict[str, Any] = {"imgsz": 160, "conf": 0.01}
FOR_EACH = ["on_predict_batch_start", "on_predict_postprocess_end", "on_predict_batch_end"]


@pytest.fixture
def model(demo_stays_open: None) -> Iterator[YOLO]:
    with YOLO(DEMO_MODEL) as opened:
        yield opened


def watched(model: YOLO) -> list[tuple[str, Predictor]]:
    seen: list[tuple[str, Predictor]] = []
    for event in EVENTS:
        model.add_callback(event, lambda predictor, event=event: seen.append((event, predictor)))
    return seen


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("stream", [False, True])
def test_events_come_in_order(model: YOLO, count: int, stream: bool) -> None:
    seen = watched(model)
    results = list(model(SCENES[:count], stream=stream, **OPTIONS))
    assert len(results) == count
    assert [event for event, _ in seen] == ["on_predict_start", *FOR_EACH * count, "on_predict_end"]
    (predictor,) = {id(one): one for _, one in seen}.values()
    assert predictor.seen == count
    assert predictor.args.conf == 0.01
    assert predictor.batch[0] == [results[-1].path]
    np.testing.assert_array_equal(predictor.batch[1][0], results[-1].orig_img)


def test_a_callback_reads_the_results_and_may_replace_them(model: YOLO) -> None:
    """The recipe of Ultralytics' documentation: pictures zipped to the results."""

    def zip_pictures(predictor: Predictor) -> None:
        predictor.results = zip(predictor.results, predictor.batch[1], strict=True)

    model.add_callback("on_predict_batch_end", zip_pictures)
    ((result, picture),) = model(SCENES[0], **OPTIONS)
    assert picture is result.orig_img or np.array_equal(picture, result.orig_img)


def test_callbacks_run_in_the_thread_that_asks_and_see_their_own_call(model: YOLO) -> None:
    """Seen to fail when one predictor is kept for the handle: threads find each other's results in it."""
    wrong: list[str] = []

    def check(predictor: Predictor) -> None:
        if predictor.args.name != threading.current_thread().name or predictor.results[0].path != predictor.batch[0][0]:
            wrong.append(threading.current_thread().name)

    model.add_callback("on_predict_postprocess_end", check)

    def predict(index: int) -> int:
        scenes = [SCENES[(index + turn) % len(SCENES)] for turn in range(3)]
        return len(model(scenes, name=threading.current_thread().name, **OPTIONS))

    assert barrier_run(8, predict) == [3] * 8
    assert wrong == []


def test_the_error_of_a_callback_reaches_its_caller_only(model: YOLO) -> None:
    def refuse(predictor: Predictor) -> None:
        if predictor.args.max_det == 1:
            raise LookupError("not this one")

    model.add_callback("on_predict_batch_end", refuse)
    with pytest.raises(LookupError, match="not this one"):
        model(SCENES[0], max_det=1, **OPTIONS)
    assert len(model(SCENES[0], max_det=2, **OPTIONS)[0]) == 2


def test_callbacks_can_be_taken_back(model: YOLO) -> None:
    seen = watched(model)
    model.clear_callback("on_predict_start")
    assert "on_predict_start" not in model.callbacks
    model.reset_callbacks()
    assert model.callbacks == {}
    model(SCENES[0], **OPTIONS)
    assert seen == []
    assert model.predictor is None


def test_other_ways_to_ask_run_none(model: YOLO) -> None:
    seen = watched(model)
    model.submit(SCENES[0], **OPTIONS).result()
    list(model.map(SCENES[:2], **OPTIONS))
    assert seen == []


def test_what_is_no_event_or_no_function_is_refused(model: YOLO) -> None:
    with pytest.raises(errors.InvalidOption, match="did you mean 'on_predict_end'"):
        model.add_callback("predict_end", print)
    with pytest.raises(errors.InvalidOption, match="must be callable"):
        model.add_callback("on_predict_end", 3)  # type: ignore[arg-type]
    model.add_callback("on_train_start", print)  # never happens here
