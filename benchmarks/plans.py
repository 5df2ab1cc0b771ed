"""How far the default plan is from the best one on this machine, through the whole engine.

Regime: float32; one model; photographs decoded to arrays before; eight callers, each in a thread that calls again as
soon as its result is there. `yoloom tune` measures first; then the plan that it found, the best few of its candidates
and the default take turns, each in an engine of its own. The ratio of the default to each is taken round by round.

    python benchmarks/plans.py .oracle/files/yolov8n_dynamic.onnx .oracle/files/*.jpg
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
from measure import Sample, Work
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.engine.tuning.plans import Subject, tune
from yoloom.engine.tuning.tuner import Tuning
from yoloom.formats.read import read_model
from yoloom.options import PredictOptions
from yoloom.runtime.plan import Plan
from yoloom.runtime.registry import CPU_BACKENDS, find_backend
from yoloom.system.cpus import available_cpus

Image = np.ndarray[Any, np.dtype[np.uint8]]


def engine_round(engine: Engine, images: Sequence[Image], callers: int, seconds: float) -> Sample:
    return measure.run_callers([_work(engine, images, number) for number in range(callers)], seconds)


def _work(engine: Engine, images: Sequence[Image], number: int) -> Work:
    start = number % len(images)
    turns = itertools.cycle([*images[start:], *images[:start]])
    return lambda: predict_now(
        engine, LocalImageJob(engine.model, PredictOptions(), "image.jpg"), next(turns), RequestTerms()
    )


def rivals(tuning: Tuning, count: int) -> list[Plan]:
    """What was chosen, and the candidates that came next to it, without the default."""
    ordered = sorted(tuning.candidates, key=lambda candidate: candidate.ratio, reverse=True)
    plans = dict.fromkeys([tuning.plan, *(candidate.plan for candidate in ordered)])
    return [plan for plan in plans if plan != Plan()][:count]


def started(subject: Subject, plan: Plan) -> Engine:
    engine = thread_engine(subject.model, subject.backend, subject.threads, plan=plan)
    engine.start()
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--backend", default=CPU_BACKENDS[0])
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--rivals", type=int, default=3)
    parser.add_argument("--tune-seconds", type=float, default=12.0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="length of one contender's turn")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    images = [np.asarray(cv2.imread(str(path)), np.uint8) for path in asked.images]
    subject = Subject(read_model(asked.model), find_backend(asked.backend, "cpu"), available_cpus())
    tuning = tune(subject, asked.tune_seconds)
    measure.log(f"tune: {tuning.plan.because}")
    plans = [Plan(), *rivals(tuning, asked.rivals)]
    engines = {_name(plan): started(subject, plan) for plan in plans}
    turns = {
        name: functools.partial(engine_round, engine, images, asked.callers, asked.seconds)
        for name, engine in engines.items()
    }
    for warm_up in turns.values():
        warm_up()
    series = measure.interleave(turns, asked.rounds)
    for engine in engines.values():
        engine.close()
    result = {
        "model": asked.model.name,
        "backend": asked.backend,
        "callers": asked.callers,
        "rounds": asked.rounds,
        "seconds": asked.seconds,
        "tune": {"seconds": round(tuning.seconds, 1), "chosen": _name(tuning.plan), "because": tuning.plan.because},
        "default_over": {
            name: measure.ratios(series[_name(Plan())], one) for name, one in series.items() if name != _name(Plan())
        },
        "contenders": {name: one.report() for name, one in series.items()},
        "versions": measure.versions("numpy", "openvino", "onnxruntime", "opencv-python-headless", "yoloom"),
    }
    measure.finish("plans" if asked.backend == CPU_BACKENDS[0] else f"plans_{asked.backend}", result, asked.results)


def _name(plan: Plan) -> str:
    asked = [f"{name} {value}" for name, value in (("streams", plan.streams), ("lanes", plan.lanes)) if value]
    return ", ".join([*asked, *([f"batch {plan.batch}"] if plan.batch else [])]) or "default"


if __name__ == "__main__":
    main()
