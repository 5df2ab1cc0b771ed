"""How far bfloat16 is from float32, and how much faster: average precision, boxes, bits and images per second.

Regime: the public `YOLO` object in both precisions, in one process. Average precision (COCO's) is that of the bundled
model on the 200 scenes that nothing was trained or tuned on. Boxes and confidences are those of a trained YOLOv8s on
two photographs, for several sizes and confidences: detections of one class are paired by overlap, best pairs first, and
those without a partner are counted. Bits are compared on the runtime itself: each image of a batch, in both forms, on
one thread and on two, with the same image alone in the LATENCY form on two threads. Speed is that of callers in
threads, at the defaults; contenders take turns in short rounds, and a ratio is the median over rounds.

    PYTHONPATH=tools python benchmarks/precision.py .oracle/files --results benchmarks/results
    python tools/precision_table.py
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
import scenes
from evaluate_demo import evaluate
from measure import Turn, Work
from yoloom import YOLO, Results
from yoloom.assets import DEMO_MODEL
from yoloom.formats.model import Model
from yoloom.formats.read import describe
from yoloom.runtime.openvino import OpenVINOBackend
from yoloom.runtime.protocol import LATENCY, THROUGHPUT, Batch, Context, Precision, Profile, RawOutputs
from yoloom.store.locate import file_at

Image = np.ndarray[Any, np.dtype[np.uint8]]
Floats = np.ndarray[Any, np.dtype[np.float32]]

PARTS = ("speed", "average_precision", "agreement", "bits")
PHOTOGRAPHS = ("bus.jpg", "zidane.jpg")
TRAINED = "best.pt"
TIMED = ("yolov8n_dynamic.onnx", TRAINED)
CALLERS = (1, 4)
SIZES: tuple[int | tuple[int, int], ...] = (320, 480, 640, (384, 640), 800)
CONFS = (0.01, 0.1, 0.25, 0.5)
LEAST_IOU = 0.5
"""Boxes of one class that overlap by less are two detections, and not one that moved."""
THREADS = (1, 2)
BATCHES = (1, 2, 4)
STRIDES_HW = (5, 7)
"""Height and width of the batches whose bits are compared: odd numbers of the network's strides."""


# ---- Average precision


def average_precision() -> dict[str, Any]:
    found = {}
    for precision in (Precision.FP32, Precision.BF16):
        with YOLO(DEMO_MODEL, precision=precision.value) as model:
            average = evaluate(model, scenes.EVALUATION_SEEDS, (640, 480), 640)
        found[precision.value] = {"map50": round(average.map50, 4), "map50_95": round(average.map50_95, 4)}
        measure.log(f"average precision in {precision.value}: {found[precision.value]}")
    return {"scenes": len(scenes.EVALUATION_SEEDS), **found}


# ---- Boxes and confidences


@dataclass(frozen=True)
class Agreement:
    """One image in both precisions. pixels, score: the differences of each pair, rows of `(N, 4)` and `(N,)`.

    alone_scores: confidences of detections without a partner.
    """

    pixels: Floats
    score: Floats
    alone_scores: tuple[float, ...]


def agreement(folder: Path) -> dict[str, Any]:
    with YOLO(folder / TRAINED) as exact, YOLO(folder / TRAINED, precision="bf16") as brief:
        rows = []
        for image, imgsz, conf in itertools.product(PHOTOGRAPHS, SIZES, CONFS):
            found = [model(folder / image, imgsz=imgsz, conf=conf)[0] for model in (exact, brief)]
            rows.append(_agreement_row(image, imgsz, conf, compare(*found)))
    return {"model": TRAINED, "least_iou": LEAST_IOU, "cases": rows}


def compare(exact: Results, brief: Results) -> Agreement:
    ours, theirs = (np.asarray(result.boxes.data, np.float32) for result in (exact, brief))
    pairs = list(_pairs(_overlap(ours, theirs)))
    left = [row for row, _ in pairs]
    right = [row for _, row in pairs]
    alone = [*np.delete(ours, left, axis=0)[:, 4], *np.delete(theirs, right, axis=0)[:, 4]]
    return Agreement(
        np.abs(ours[left, :4] - theirs[right, :4]), np.abs(ours[left, 4] - theirs[right, 4]), tuple(map(float, alone))
    )


def _pairs(overlap: Floats) -> Iterator[tuple[int, int]]:
    """Rows and columns that overlap most, each once."""
    left = overlap.copy()
    while left.size and left.max() >= LEAST_IOU:
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        yield int(row), int(column)
        left[row, :] = left[:, column] = -1


def _overlap(first: Floats, second: Floats) -> Floats:
    """IoU of each row of one with each of the other, -1 between classes: (N, 6) and (M, 6) give (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(rows[:, 2:4] - rows[:, :2]).prod(axis=1) for rows in (first, second)]
    iou: Floats = shared / (areas[0][:, None] + areas[1][None] - shared)
    iou[first[:, None, 5] != second[None, :, 5]] = -1
    return iou


def _agreement_row(image: str, imgsz: object, conf: float, found: Agreement) -> dict[str, Any]:
    row = {
        "image": image,
        "imgsz": imgsz,
        "conf": conf,
        "pairs": len(found.score),
        "alone": len(found.alone_scores),
        "alone_above_conf": round(max((score - conf for score in found.alone_scores), default=0.0), 4),
        "pixels_mean": round(float(found.pixels.mean()), 3) if found.pixels.size else 0.0,
        "pixels_max": round(float(found.pixels.max(initial=0.0)), 2),
        "score_max": round(float(found.score.max(initial=0.0)), 4),
    }
    measure.log(str(row))
    return row


# ---- Bits


def _bits_row(path: Path) -> dict[str, Any]:
    model = describe(file_at(path))
    images = [_noisy(seed, _size_of(model)) for seed in range(max(BATCHES))]
    reference = _context(model, LATENCY, max(THREADS))
    expected = [_rows(reference.run(image))[0] for image in images]
    compared = different = 0
    for form, threads in itertools.product((LATENCY, THROUGHPUT), THREADS):
        context = _context(model, form, threads)
        for count in BATCHES if model.input.batch is None else (1,):
            found = _rows(context.run(np.concatenate(images[:count])))
            compared += count
            different += sum(mine != theirs for mine, theirs in zip(found, expected, strict=False))
    row = {"network": path.name, "task": model.task, "compared": compared, "different": different}
    measure.log(str(row))
    return row


def _context(model: Model, form: str, threads: int) -> Context:
    return OpenVINOBackend().compile(model, Profile(form, threads), Precision.BF16).context()


def _size_of(model: Model) -> tuple[int, int]:
    height, width = STRIDES_HW
    return model.input.hw or (height * model.stride, width * model.stride)


def _noisy(seed: int, hw: tuple[int, int]) -> Batch:
    return np.random.default_rng(seed).integers(0, 256, (1, *hw, 3), np.uint8)


def _rows(outputs: RawOutputs) -> list[tuple[bytes, ...]]:
    """The bytes of each image of a batch."""
    return [tuple(output[row].tobytes() for output in outputs) for row in range(len(outputs[0]))]


# ---- Speed


def speed(folder: Path, rounds: int, seconds: float) -> dict[str, Any]:
    images = [np.asarray(cv2.imread(str(folder / name)), np.uint8) for name in PHOTOGRAPHS]
    return {name: _speed_of(folder / name, images, rounds, seconds) for name in TIMED}


def _speed_of(path: Path, images: Sequence[Image], rounds: int, seconds: float) -> dict[str, Any]:
    with YOLO(path) as exact, YOLO(path, precision="bf16") as brief:
        models = {"fp32": exact, "bf16": brief}
        turns: dict[str, Turn] = {
            f"{precision} {callers}": functools.partial(_turn, model, images, callers, seconds)
            for callers in CALLERS
            for precision, model in models.items()
        }
        for warm_up in turns.values():
            warm_up()
        series = measure.interleave(turns, rounds)
    return {
        "rounds": rounds,
        "seconds": seconds,
        "contenders": {name: one.report() for name, one in series.items()},
        "bf16_over_fp32": {
            str(callers): measure.ratios(series[f"bf16 {callers}"], series[f"fp32 {callers}"]) for callers in CALLERS
        },
    }


def _turn(model: YOLO, images: Sequence[Image], callers: int, seconds: float) -> measure.Sample:
    return measure.run_callers([_work(model, images, number) for number in range(callers)], seconds)


def _work(model: YOLO, images: Sequence[Image], number: int) -> Work:
    start = number % len(images)
    turns = itertools.cycle([*images[start:], *images[:start]])
    return lambda: model.predict(next(turns))


def _compared_files(folder: Path, largest_mb: float) -> list[Path]:
    made = sorted(folder.glob("ultralytics/*.pt"))
    networks = [path for path in made if path.stat().st_size <= largest_mb * 1e6 and "channels" not in path.name]
    return [folder / name for name in (*TIMED, "yolov8n_static.onnx")] + networks


def _kept(folder: Path | None) -> dict[str, Any]:
    """The parts that an earlier run measured."""
    path = folder and folder / "precision.json"
    known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    return {name: known[name] for name in PARTS if name in known}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, help="the folder that tools/make_oracle.sh made")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="the others stay what they were")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one contender's turn")
    parser.add_argument("--largest", type=float, default=30.0, help="MB of the files whose bits are compared, at most")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    if Precision.BF16 not in OpenVINOBackend().precisions():
        parser.error("this CPU has no bfloat16")
    measures: dict[str, Callable[[], Any]] = {
        "speed": lambda: speed(asked.files, asked.rounds, asked.seconds),
        "average_precision": average_precision,
        "agreement": lambda: agreement(asked.files),
        "bits": lambda: [_bits_row(path) for path in _compared_files(asked.files, asked.largest)],
    }
    result = _kept(asked.results)
    for part in asked.parts:
        result[part] = measures[part]()
    result["versions"] = measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom")
    measure.finish("precision", result, asked.results)


if __name__ == "__main__":
    main()
