"""Another model under load: nobody is refused, every result is that of one of the two, and nothing stays behind."""

from __future__ import annotations

import gc
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from yoloom import YOLO
from yoloom.engine.engine_registry import registry
from yoloom.errors import EngineClosed, InvalidModel, InvalidOption, ModelNotFound
from yoloom.results.results import Results
from yoloom.testing import barrier_run, shaken

SIZE = 96


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def bits(results: Results) -> bytes:
    assert results.boxes is not None
    return bytes(results.boxes.data.tobytes())


@pytest.fixture
def paths(tiny_onnx: Callable[..., Path], ultralytics_notes: Callable[..., dict[str, str]]) -> list[Path]:
    """Two networks with different weights."""
    first = tiny_onnx("first.onnx", metadata=ultralytics_notes())
    proto = onnx.load(first)
    for tensor in proto.graph.initializer:
        if tensor.name == "weights":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor)[::-1].copy(), "weights"))
    second = first.with_name("second.onnx")
    onnx.save(proto, second)
    return [first, second]


@pytest.fixture
def alone(paths: list[Path]) -> list[list[bytes]]:
    """The bits of each model for each picture."""
    found = []
    for path in paths:
        with YOLO(path) as model:
            found.append([bits(model(picture(seed), conf=0.0, imgsz=SIZE)[0]) for seed in range(4)])
    assert all(first != second for first, second in zip(*found, strict=True))
    return found


@pytest.fixture
def model(paths: list[Path]) -> Iterator[YOLO]:
    with YOLO(paths[0]) as opened:
        yield opened


def open_engines() -> int:
    return len(registry()._engines)


def test_after_a_swap_the_other_model_answers(model: YOLO, paths: list[Path], alone: list[list[bytes]]) -> None:
    assert bits(model(picture(0), conf=0.0, imgsz=SIZE)[0]) == alone[0][0]
    model.swap(paths[1])
    assert bits(model(picture(0), conf=0.0, imgsz=SIZE)[0]) == alone[1][0]
    assert repr(model).startswith(f"YOLO({str(paths[1])!r}")


def test_callers_get_one_of_the_two_models_and_nobody_is_refused(
    model: YOLO, paths: list[Path], alone: list[list[bytes]]
) -> None:
    """Seen to end in EngineClosed when the old model is closed at the swap instead of after its last call."""
    done = threading.Event()

    def work(index: int) -> list[tuple[int, bytes]]:
        if index == 0:
            for turn in range(1, 9):
                model.swap(paths[turn % 2])
            done.set()
            return []
        answers = []
        while not done.is_set():
            seed = len(answers) % 4
            if index % 2:
                answers.append((seed, bits(model(picture(seed), conf=0.0, imgsz=SIZE)[0])))
            else:
                answers.append((seed, bits(model.submit(picture(seed), conf=0.0, imgsz=SIZE).result(60))))
        return answers

    with shaken():
        answers = [answer for answers in barrier_run(5, work) for answer in answers]
    assert len(answers) > 8
    assert all(found in (alone[0][seed], alone[1][seed]) for seed, found in answers)
    gc.collect()
    while open_engines() > 1:  # the old ones are given back by a thread of their own
        threading.Event().wait(0.001)


def test_a_stream_ends_on_the_model_that_it_began_with(
    model: YOLO, paths: list[Path], alone: list[list[bytes]]
) -> None:
    stream = model.map([picture(seed % 4) for seed in range(40)], conf=0.0, imgsz=SIZE)
    found = [bits(next(stream))]
    model.swap(paths[1])
    assert open_engines() == 2
    found += [bits(result) for result in stream]
    assert found == alone[0] * 10
    del stream
    gc.collect()
    while open_engines() > 1:
        threading.Event().wait(0.001)


def test_a_bad_file_changes_nothing(model: YOLO, paths: list[Path], alone: list[list[bytes]], tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(paths[0].read_bytes()[:100])
    with pytest.raises(InvalidModel):
        model.swap(bad)
    with pytest.raises(ModelNotFound):
        model.swap(tmp_path / "none.onnx")
    assert bits(model(picture(0), conf=0.0, imgsz=SIZE)[0]) == alone[0][0]
    assert open_engines() == 1


def test_a_model_for_another_task_is_refused(
    model: YOLO, tiny_onnx: Callable[..., Path], ultralytics_notes: Callable[..., dict[str, str]]
) -> None:
    other = tiny_onnx("obb.onnx", metadata=ultralytics_notes(nc=2, task="obb"))
    with pytest.raises(InvalidOption, match="detect"):
        model.swap(other)
    assert open_engines() == 1


def test_the_form_for_many_is_there_before_the_switch(model: YOLO, paths: list[Path]) -> None:
    """Otherwise all callers would share one caller's form until it is compiled."""
    barrier_run(4, lambda seed: [model(picture(seed), imgsz=SIZE) for _ in range(10)])
    model._opened.engine.expect_many()
    model.swap(paths[1])
    assert model.statistics().forms == ("latency", "throughput")


def test_other_handles_keep_their_model(model: YOLO, paths: list[Path], alone: list[list[bytes]]) -> None:
    with YOLO(paths[0]) as other:
        model.swap(paths[1])
        assert bits(other(picture(0), conf=0.0, imgsz=SIZE)[0]) == alone[0][0]


def test_closing_ends_the_old_model_too(model: YOLO, paths: list[Path]) -> None:
    stream = model.map([picture(seed % 4) for seed in range(40)], imgsz=SIZE)
    next(stream)
    model.swap(paths[1])
    model.close()
    assert open_engines() == 0
    with pytest.raises(EngineClosed):
        list(stream)
    with pytest.raises(EngineClosed):
        model.swap(paths[0])


def test_a_file_that_was_replaced_can_be_swapped_in(model: YOLO, paths: list[Path], alone: list[list[bytes]]) -> None:
    shutil.copy(paths[1], paths[0].with_suffix(".new"))
    paths[0].with_suffix(".new").replace(paths[0])
    model.swap(paths[0])
    assert bits(model(picture(0), conf=0.0, imgsz=SIZE)[0]) == alone[1][0]
