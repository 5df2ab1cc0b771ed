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
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import measure
from measure import Sample, Turn
from yoloom import YOLO
from yoloom.bench.contenders import BareRuntime, Image, bare_turns, compare, model_turn, side_by_side
from yoloom.formats.read import read_model
from yoloom.runtime.openvino import OpenVINOBackend
from yoloom.system.cpus import available_cpus

__all__ = ["Image", "yoloom_round"]

CALLERS = (1, 2, 4, 8, 16, 64)


def yoloom_round(model: YOLO, images: Sequence[Image], callers: int, seconds: float) -> Sample:
    return model_turn(model, images, callers, seconds, time.process_time)


def contenders(
    path: Path, images: Sequence[Image], callers: Sequence[int], seconds: float
) -> tuple[dict[str, Turn], int]:
    """Every contender by name, and what OpenVINO calls the optimal number of requests."""
    model = YOLO(path)
    runtime = BareRuntime(read_model(path), OpenVINOBackend(), available_cpus())
    ours: dict[int, Turn] = {count: functools.partial(yoloom_round, model, images, count, seconds) for count in callers}
    return side_by_side(ours, bare_turns(runtime, images, callers, seconds)), runtime.optimal


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
