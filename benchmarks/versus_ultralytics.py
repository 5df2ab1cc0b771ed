"""yoloom beside Ultralytics 8.4.190 on the same photographs: images per second, and how many answers are wrong.

Regime: CPU, yolov8n (random weights, which cost the same as trained ones), default options, photographs decoded to
arrays before, verbose=False. yoloom runs the ONNX file with all callers on one model. Ultralytics runs the checkpoint
in a process and an environment of its own, in the two ways its guide shows: one model shared by the threads, and a
model for each thread. The processes take turns, one idle while the other works; each way is measured with 1, 2, 4 and 8
threads and the best median counts.

Wrong answers: six threads share one trained model, each with its own conf, iou, classes and max_det, and each answer is
compared with that of the same call made alone. yoloom's is wrong when one bit differs; Ultralytics' when a box is
missing or too many, or a number is off by more than 0.01.

    python benchmarks/versus_ultralytics.py .oracle/files --oracle-python .oracle/bin/python
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import cv2
import numpy as np

import measure
from measure import Series, Turn
from rival import Rival
from throughput import Image, yoloom_round
from yoloom import YOLO

CALLERS = (1, 2, 4, 8)
PHOTOGRAPHS = ("bus.jpg", "zidane.jpg")
EACH = 12
OPTIONS: tuple[dict[str, Any], ...] = (
    {"conf": 0.01},
    {"conf": 0.25},
    {"conf": 0.5},
    {"conf": 0.01, "classes": [1]},
    {"conf": 0.05, "max_det": 2},
    {"conf": 0.01, "iou": 0.2},
)


def speed(folder: Path, oracle_python: Path, rounds: int, seconds: float) -> dict[str, Any]:
    photographs = [folder / name for name in PHOTOGRAPHS]
    images = _decoded(photographs)
    with (
        YOLO(folder / "yolov8n_dynamic.onnx") as model,
        Rival(oracle_python, folder / "yolov8n.pt", photographs) as rival,
    ):
        turns: dict[str, Turn] = {}
        for count in CALLERS:
            turns[f"yoloom {count}"] = functools.partial(yoloom_round, model, images, count, seconds)
            for pattern in ("own", "shared"):
                turns[f"ultralytics {pattern} {count}"] = functools.partial(rival.turn, pattern, count, seconds)
        for warm_up in turns.values():
            warm_up()
        series = measure.interleave(turns, rounds)
    return {
        "contenders": {name: one.report() for name, one in series.items()},
        **ratios(series),
    }


def ratios(series: Mapping[str, Series]) -> dict[str, Any]:
    """Our best number of threads over theirs, round by round."""
    ours, own, shared = (_best(series, prefix) for prefix in ("yoloom", "ultralytics own", "ultralytics shared"))
    return {
        "best": [ours, own, shared],
        "over_model_per_thread": measure.ratios(series[ours], series[own]),
        "over_shared_model": measure.ratios(series[ours], series[shared]),
    }


def wrong_answers(folder: Path, oracle_python: Path) -> dict[str, Any]:
    photographs = [folder / name for name in PHOTOGRAPHS]
    with Rival(oracle_python, folder / "best.pt", photographs) as rival:
        theirs = rival.ask("wrong_answers", options=OPTIONS, each=EACH)
    with YOLO(folder / "best_dynamic.onnx") as model:
        ours = {"wrong": _our_wrong_answers(model, _decoded(photographs)), "of": len(OPTIONS) * EACH}
    return {"yoloom": ours, "ultralytics_shared": theirs}


def _our_wrong_answers(model: YOLO, images: Sequence[Image]) -> int:
    sequential = [[_bits(model, image, asked) for image in images] for asked in OPTIONS]
    start = Barrier(len(OPTIONS))

    def caller(number: int) -> int:
        start.wait()
        answers = ((turn % len(images), OPTIONS[number]) for turn in range(EACH))
        return sum(_bits(model, images[which], asked) != sequential[number][which] for which, asked in answers)

    with ThreadPoolExecutor(len(OPTIONS)) as pool:
        return sum(pool.map(caller, range(len(OPTIONS))))


def _bits(model: YOLO, image: Image, asked: Mapping[str, Any]) -> bytes:
    (result,) = model.predict(image, **asked)
    return bytes(result.boxes.data.tobytes())


def _best(series: Mapping[str, Series], prefix: str) -> str:
    names = [name for name in series if name.startswith(prefix)]
    return max(names, key=lambda name: measure.spread(series[name].rates)["median"])


def _decoded(paths: Sequence[Path]) -> list[Image]:
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="?", default=Path(".oracle/files"))
    parser.add_argument("--oracle-python", type=Path, default=Path(".oracle/bin/python"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one contender's turn")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    result = {
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        **speed(asked.files, asked.oracle_python, asked.rounds, asked.seconds),
        "wrong_answers": wrong_answers(asked.files, asked.oracle_python),
        "versions": {
            **measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
            "ultralytics": "8.4.190",
        },
    }
    measure.finish("versus_ultralytics", result, asked.results)


if __name__ == "__main__":
    main()
