"""What two models in one process cost each other when both are under load.

Regime: float32; two files, so two engines; photographs decoded to arrays before; so many callers on each model, each in
a thread that calls again as soon as its result is there. A turn has the first model alone, the second alone, or both at
once; the turns are interleaved. A model's share is its rate beside the other over its rate alone, in the same round.
Fair halves would be 0.5 each; what the shares lack to 1 together is what the models cost each other.

    cd .oracle/files && python ../../benchmarks/two_models.py yolov8n_dynamic.onnx yolov8n_static.onnx *.jpg
"""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from measure import Sample, Series, Work
from yoloom import YOLO

Image = np.ndarray[Any, np.dtype[np.uint8]]
ALONE, BOTH = "alone", "both"


def turn(models: Sequence[tuple[YOLO, int]], images: Sequence[Image], seconds: float) -> list[Sample]:
    """All of `models` at once, each with its number of callers; the sample of each."""
    with ThreadPoolExecutor(len(models)) as pool:
        return list(pool.map(lambda one: measure.run_callers(_works(one[0], one[1], images), seconds), models))


def _works(model: YOLO, callers: int, images: Sequence[Image]) -> list[Work]:
    return [_work(model, images, number) for number in range(callers)]


def _work(model: YOLO, images: Sequence[Image], number: int) -> Work:
    start = number % len(images)
    turns = itertools.cycle([*images[start:], *images[:start]])
    return lambda: model.predict(next(turns), verbose=False)


def calmest(models: Sequence[tuple[YOLO, int]], images: Sequence[Image], seconds: float) -> list[Sample]:
    """A turn that others did not disturb, or the least disturbed of a few."""
    best = turn(models, images, seconds)
    for _ in range(measure.RETRIES):
        if best[0].elsewhere <= measure.CALM:
            break
        best = min(best, turn(models, images, seconds), key=lambda samples: samples[0].elsewhere)
    return best


def measured(
    models: Sequence[YOLO], callers: Sequence[int], images: Sequence[Image], rounds: int, seconds: float
) -> dict[tuple[str, int], Series]:
    """The series of each model, alone and beside the other."""
    pairs = list(zip(models, callers, strict=True))
    kinds = [([0], ALONE), ([0, 1], BOTH), ([1], ALONE)]
    series = {(kind, number): Series() for numbers, kind in kinds for number in numbers}
    for number in range(rounds):
        for numbers, kind in kinds[number % 3 :] + kinds[: number % 3]:
            samples = calmest([pairs[one] for one in numbers], images, seconds)
            for one, sample in zip(numbers, samples, strict=True):
                series[kind, one].samples.append(sample)
                measure.log(
                    f"round {number + 1}/{rounds}  model {one + 1} {kind:6} {sample.images_per_s:7.2f} images/s"
                    f"  {sample.elsewhere:4.0%} taken by others"
                )
    return series


def shares(series: dict[tuple[str, int], Series]) -> dict[str, dict[str, float]]:
    """Each model's share of its own rate alone, and what they make together; each the median over rounds."""
    by_round = [
        [both / alone for both, alone in zip(series[BOTH, one].rates, series[ALONE, one].rates, strict=True)]
        for one in (0, 1)
    ]
    together = [sum(pair) for pair in zip(*by_round, strict=True)]
    smaller = [min(pair) / sum(pair) for pair in zip(*by_round, strict=True)]
    return {
        "first": measure.spread(by_round[0]),
        "second": measure.spread(by_round[1]),
        "together": measure.spread(together),
        "smaller_part": measure.spread(smaller),
    }


def scenario(
    models: Sequence[YOLO], callers: Sequence[int], images: Sequence[Image], asked: argparse.Namespace
) -> dict[str, Any]:
    measure.log(f"callers: {callers[0]} and {callers[1]}")
    for kind in ([0], [1], [0, 1]):
        turn([(models[one], callers[one]) for one in kind], images, 0.7)
    series = measured(models, callers, images, asked.rounds, asked.seconds)
    return {
        "shares": shares(series),
        "models": {f"{kind} {one + 1}": each.report() for (kind, one), each in series.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--callers", nargs="+", default=["8,8", "1,8", "1,1"], help="on the first and second model")
    parser.add_argument("--threads", help="that each model asks for, such as 2,1 (default: all CPUs)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--name", default="two_models", help="of the JSON")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    images = [np.asarray(cv2.imread(str(path)), np.uint8) for path in asked.images]
    threads = [int(text) for text in asked.threads.split(",")] if asked.threads else [None, None]
    models = [YOLO(path, threads=count) for path, count in zip((asked.first, asked.second), threads, strict=True)]
    run = functools.partial(scenario, models, images=images, asked=asked)
    result = {
        "first": asked.first.name,
        "second": asked.second.name,
        "threads": threads,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "callers": {text: run([int(count) for count in text.split(",")]) for text in asked.callers},
        "versions": measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
    }
    measure.finish(asked.name, result, asked.results)


if __name__ == "__main__":
    main()
