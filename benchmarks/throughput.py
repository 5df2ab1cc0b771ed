"""Images per second of one shared model, beside bare OpenVINO loops on the same machine in the same minutes.

Regime: float32; photographs decoded to arrays before; options at their defaults; all callers in one process, each in a
thread that calls again as soon as its result is there. A bare loop has an infer request for each thread and does the
same letterbox, the same compiled preprocessing and the same post-processing, without queue, options, copies or Results.
The ceilings: bare LATENCY for one caller; for more, the best of bare THROUGHPUT with as many callers, with as many as
OpenVINO calls optimal, and with one more. Contenders take turns in short rounds; a ratio is the median over rounds.

    python benchmarks/throughput.py .oracle/files/yolov8n_dynamic.onnx .oracle/files/*.jpg
"""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from measure import Sample, Series, Turn, Work
from yoloom import YOLO
from yoloom.engine.budget import available_cpus
from yoloom.formats.model import Layout, Model
from yoloom.formats.read import read_model
from yoloom.heads.detect import detect_end2end, detect_raw
from yoloom.images.letterbox import plan_letterbox, round_up_to_stride
from yoloom.options import PredictOptions
from yoloom.runtime.openvino import OpenVINOBackend
from yoloom.runtime.protocol import Compiled, Context, Form, Setup

CALLERS = (1, 2, 4, 8, 16, 64)
Image = np.ndarray[Any, np.dtype[np.uint8]]


def yoloom_round(model: YOLO, images: Sequence[Image], callers: int, seconds: float) -> Sample:
    return measure.run_callers([_yoloom_work(model, images, number) for number in range(callers)], seconds)


def bare_round(
    model: Model, contexts: Sequence[Context], images: Sequence[Image], callers: int, seconds: float
) -> Sample:
    works = [_bare_work(model, contexts[number], images, number) for number in range(callers)]
    return measure.run_callers(works, seconds)


def bare_predict(model: Model, context: Context, image: Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Letterbox, run, head, and back to the pixels of the source, in a straight line."""
    options = PredictOptions()
    hw = (image.shape[0], image.shape[1])
    if model.input.hw is not None:
        letterbox = plan_letterbox(hw, model.input.hw, stride=None)
    else:
        letterbox = plan_letterbox(hw, round_up_to_stride(model.imgsz_hw, model.stride), model.stride)
    batch = np.empty((1, *letterbox.canvas_hw, 3), np.uint8)
    letterbox.draw(image, batch[0])
    outputs = context.run(batch)
    detect = detect_raw if model.layout is Layout.RAW else detect_end2end
    rows = detect(outputs[0][0], options, None)
    rows[:, :4] = letterbox.to_source(rows[:, :4])
    return rows


def _yoloom_work(model: YOLO, images: Sequence[Image], number: int) -> Work:
    turns = _turns(images, number)
    return lambda: model.predict(next(turns), verbose=False)


def _bare_work(model: Model, context: Context, images: Sequence[Image], number: int) -> Work:
    turns = _turns(images, number)
    return lambda: bare_predict(model, context, next(turns))


def _turns(images: Sequence[Image], number: int) -> itertools.cycle[Image]:
    start = number % len(images)
    return itertools.cycle([*images[start:], *images[:start]])


def contenders(
    path: Path, images: Sequence[Image], callers: Sequence[int], seconds: float
) -> tuple[dict[str, Turn], int]:
    """Every contender by name, and what OpenVINO calls the optimal number of requests."""
    model, described, backend = YOLO(path), read_model(path), OpenVINOBackend()
    latency, throughput = (backend.compile(described, Setup(form, available_cpus())) for form in Form)
    optimal = throughput.lanes - 1
    bare_callers = sorted({optimal, optimal + 1, *callers} - {1})
    alone, contexts = [latency.context()], _contexts(throughput, max(bare_callers, default=0))
    turns: dict[str, Turn] = {}
    for count in sorted({1, *callers, *bare_callers}):  # rivals next to each other, in the same seconds
        if count in callers:
            turns[f"yoloom {count}"] = functools.partial(yoloom_round, model, images, count, seconds)
        if count == 1:
            turns["bare latency 1"] = functools.partial(bare_round, described, alone, images, 1, seconds)
        else:
            turns[f"bare throughput {count}"] = functools.partial(
                bare_round, described, contexts, images, count, seconds
            )
    return turns, optimal


def _contexts(compiled: Compiled, count: int) -> list[Context]:
    return [compiled.context() for _ in range(count)]


def compare(series: dict[str, Series], callers: Sequence[int], optimal: int) -> dict[str, Any]:
    """Ours over the ceiling for each number of callers, and over the bare loop with the same number."""
    compared = {}
    for count in callers:
        same = "bare latency 1" if count == 1 else f"bare throughput {count}"
        rivals = {same} if count == 1 else {same, f"bare throughput {optimal}", f"bare throughput {optimal + 1}"}
        known = [name for name in rivals if name in series]
        ceiling = max(known, key=lambda name: measure.spread(series[name].rates)["median"])
        ours = series[f"yoloom {count}"]
        compared[str(count)] = {
            "over_same_callers": measure.ratios(ours, series[same]),
            "ceiling": ceiling,
            "over_ceiling": measure.ratios(ours, series[ceiling]),
        }
    return compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--callers", type=int, nargs="+", default=list(CALLERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one contender's turn")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    images = [np.asarray(cv2.imread(str(path)), np.uint8) for path in asked.images]
    rounds, optimal = contenders(asked.model, images, asked.callers, asked.seconds)
    for warm_up in rounds.values():
        warm_up()
    series = measure.interleave(rounds, asked.rounds)
    result = {
        "model": asked.model.name,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "optimal_requests": optimal,
        "contenders": {name: one.report() for name, one in series.items()},
        "ratios": compare(series, asked.callers, optimal),
        "versions": measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
    }
    measure.finish("throughput", result, asked.results)


if __name__ == "__main__":
    main()
