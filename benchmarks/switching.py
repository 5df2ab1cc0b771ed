"""What a switch between one caller and many costs, in milliseconds of throughput.

Regime: float32; one model; photographs decoded to arrays before. Phases of a second alternate: many callers, many
again, one, one again. A phase after one of the other kind is compared with the phase after one of its own kind, in the
same cycle: so filling and draining, which every phase has, cancel out, and what slows the machine for a while slows
both. What is lost is the length of a phase times the missing part of its rate. The first switch of all, where the form
for many callers is compiled beside the traffic, stands apart: it happens once in the life of a model.

    python benchmarks/switching.py .oracle/files/yolov8n_dynamic.onnx .oracle/files/*.jpg
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from measure import Sample, Work
from yoloom import YOLO

Image = np.ndarray[Any, np.dtype[np.uint8]]


def phase(model: YOLO, images: Sequence[Image], callers: int, seconds: float) -> Sample:
    """All callers from the first moment on: none has calls that do not count."""
    works = [_work(model, images, number) for number in range(callers)]
    return measure.run_callers(works, seconds, lone_calls=0)


def _work(model: YOLO, images: Sequence[Image], number: int) -> Work:
    start = number % len(images)
    turns = itertools.cycle([*images[start:], *images[:start]])
    return lambda: model.predict(next(turns), verbose=False)


def lost_ms(after_other: Sample, after_same: Sample, seconds: float) -> float:
    return seconds * 1e3 * (1 - after_other.images_per_s / after_same.images_per_s)


def first_switch(path: Path, images: Sequence[Image], callers: int, seconds: float) -> dict[str, float]:
    """The first phase of many callers of a new engine, against their second one."""
    with YOLO(path) as model:
        phase(model, images, 1, seconds)
        first, second = (phase(model, images, callers, seconds) for _ in range(2))
    return {"lost_ms": lost_ms(first, second, seconds), "longest_ms": max(first.latencies_ms)}


def cycles(
    model: YOLO, images: Sequence[Image], callers: int, seconds: float, rounds: int
) -> dict[str, dict[str, float]]:
    to_many, to_one = [], []
    for number in range(rounds):
        many, many_again = (phase(model, images, callers, seconds) for _ in range(2))
        one, one_again = (phase(model, images, 1, seconds) for _ in range(2))
        to_many.append(lost_ms(many, many_again, seconds))
        to_one.append(lost_ms(one, one_again, seconds))
        measure.log(
            f"round {number + 1}/{rounds}  to {callers}: {to_many[-1]:6.1f} ms lost, to one: {to_one[-1]:6.1f} ms"
            f"  ({many_again.images_per_s:.1f} and {one_again.images_per_s:.1f} images/s,"
            f" {many.elsewhere:.0%} {many_again.elsewhere:.0%} {one.elsewhere:.0%} {one_again.elsewhere:.0%} by others)"
        )
    return {"to_many_ms": measure.spread(to_many), "to_one_ms": measure.spread(to_one)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="length of a phase")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    images = [np.asarray(cv2.imread(str(path)), np.uint8) for path in asked.images]
    firsts = [first_switch(asked.model, images, asked.callers, asked.seconds) for _ in range(3)]
    with YOLO(asked.model) as model:
        phase(model, images, asked.callers, 2 * asked.seconds)
        phase(model, images, 1, asked.seconds)
        lost = cycles(model, images, asked.callers, asked.seconds, asked.rounds)
    result = {
        "model": asked.model.name,
        "callers": asked.callers,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "lost": lost,
        "first_lost_ms": measure.spread([first["lost_ms"] for first in firsts]),
        "first_longest_ms": measure.spread([first["longest_ms"] for first in firsts]),
        "versions": measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
    }
    measure.finish("switching", result, asked.results)


if __name__ == "__main__":
    main()
