"""64 threads with options of their own on one real model: every result has the bits of the sequential one."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any

import cv2
import numpy as np
import pytest

from scenes import scene
from yoloom import YOLO, Results
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend

THREADS = 64
SCENE_SIZES_WH = ((640, 480), (480, 640), (500, 281), (333, 333), (160, 640))
CONFS = (0.001, 0.005, 0.02, 0.1, 0.25)
IOUS = (0.2, 0.45, 0.7, 0.9)
CLASSES = (None, [0], [1], [0, 1])
SIZES = (160, 192, 224, 256, 320, [160, 256])
MAX_DETS = (1, 3, 20, 300)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
needs_bf16 = pytest.mark.skipif(
    Precision.BF16 not in find_backend("openvino", "cpu").precisions(), reason="this CPU has no bfloat16"
)


@dataclass(frozen=True)
class Job:
    """One prediction, and the bits that it must give."""

    image: np.ndarray
    options: dict[str, Any]


@pytest.fixture(scope="module")
def images(files: Path) -> list[np.ndarray]:
    photographs = [np.asarray(cv2.imread(str(files / name))) for name in ("bus.jpg", "zidane.jpg")]
    return photographs + [scene(seed, size).image for seed, size in enumerate(SCENE_SIZES_WH)]


def thread_options(number: int) -> dict[str, Any]:
    """What thread `number` asks for, the same in every run; one in sixteen works at full size."""
    rng = random.Random(number)
    return {
        "conf": rng.choice(CONFS),
        "iou": rng.choice(IOUS),
        "classes": rng.choice(CLASSES),
        "imgsz": 640 if number % 16 == 0 else rng.choice(SIZES),
        "max_det": rng.choice(MAX_DETS),
        "agnostic_nms": rng.random() < 0.3,
    }


def jobs_of(number: int, images: Sequence[np.ndarray], count: int) -> list[Job]:
    turns = itertools.islice(itertools.cycle(images), number, number + count)
    return [Job(image, thread_options(number)) for image in turns]


def bits(result: Results) -> tuple[tuple[int, ...], bytes]:
    return result.boxes.data.shape, result.boxes.data.tobytes()


def check_identity(model: YOLO, images: Sequence[np.ndarray], threads: int, each: int, rounds: int) -> int:
    """Run every thread's jobs one after the other, then `rounds` times all at once. Returns how many were compared."""
    work = [jobs_of(number, images, each) for number in range(threads)]
    alone = [[bits(predict(model, job)) for job in jobs] for jobs in work]
    assert model.statistics().forms == ("latency",), "the sequential run must be that of a single caller"
    assert sum(shape[0] > 0 for results in alone for shape, _ in results) > threads * each / 3
    start = Barrier(threads)

    def caller(number: int) -> list[list[tuple[tuple[int, ...], bytes]]]:
        start.wait()
        return [[bits(predict(model, job)) for job in work[number]] for _ in range(rounds)]

    with ThreadPoolExecutor(threads) as pool:
        together = list(pool.map(caller, range(threads)))
    assert model.statistics().forms == ("latency", "throughput")
    different = [
        (number, index, work[number][index].options)
        for number, runs in enumerate(together)
        for run in runs
        for index, got in enumerate(run)
        if got != alone[number][index]
    ]
    assert not different
    return sum(len(run) for runs in together for run in runs)


def predict(model: YOLO, job: Job) -> Results:
    (result,) = model.predict(job.image, **job.options)
    return result


@pytest.fixture
def open_model(files: Path) -> Iterator[Callable[..., YOLO]]:
    """Opens a model that no other test has used, so that its engine starts with the form for one caller."""
    opened: list[YOLO] = []

    def open_file(name: str, **options: Any) -> YOLO:
        opened.append(YOLO(files / name, **options))
        return opened[-1]

    yield open_file
    for model in opened:
        model.close()


def test_64_threads_share_a_dynamic_model(open_model: Callable[..., YOLO], images: list[np.ndarray]) -> None:
    assert check_identity(open_model("best_dynamic.onnx"), images, THREADS, each=5, rounds=6) == 1920


def test_64_threads_share_a_static_model(open_model: Callable[..., YOLO], images: list[np.ndarray]) -> None:
    # It works at 640 whatever is asked, so each prediction is slow.
    assert check_identity(open_model("best_fp16.onnx"), images, THREADS, each=1, rounds=3) == 192


def test_threads_share_a_model_in_onnx_runtime(open_model: Callable[..., YOLO], images: list[np.ndarray]) -> None:
    model = open_model("best_dynamic.onnx", backend="onnxruntime")
    assert check_identity(model, images, threads=16, each=3, rounds=4) == 192


@needs_bf16
def test_threads_share_a_model_in_bfloat16(open_model: Callable[..., YOLO], images: list[np.ndarray]) -> None:
    model = open_model("best_dynamic.onnx", precision="bf16")
    assert model.guarantee().bit_identical
    assert check_identity(model, images, threads=32, each=3, rounds=4) == 384
