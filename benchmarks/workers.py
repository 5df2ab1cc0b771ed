"""Worker processes beside threads: images/s, what a request costs more, what the channel moves, and memory.

Regime: Linux, float32; frames of 1920x1080 and 3840x2160, tiled out of a photograph, decoded before; options at their
defaults. Throughput: twice as many callers as workers, each of which calls again as soon as its result is there;
contenders take turns, a ratio is the median over rounds. The channel: a network that costs nothing, on a canvas of 64
pixels, so that what is left is the copy into the slot, the messages, the letterbox out of the slot, and the results;
beside it the ceiling, which is numpy copying the same frames in one thread. Added latency: that network with one caller
and one worker, less the same in threads. `workers_memory.py` says what all of it holds.

    python benchmarks/workers.py .oracle/files/yolov8n_dynamic.onnx .oracle/files/bus.jpg
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from measure import Sample, Turn, Work
from noop import noop_model, noop_opened
from yoloom import YOLO
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import predict_now
from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.options import PredictOptions
from yoloom.workers.process_lanes import worker_engine
from yoloom.workers.recipe import Recipe
from yoloom.workers.settings import Workers

SIZES_HW = {"1080p": (1080, 1920), "4k": (2160, 3840)}
MIB = 2**20
Image = np.ndarray[Any, np.dtype[np.uint8]]


def frame(photo: Image, shape_hw: tuple[int, int]) -> Image:
    """The photograph side by side, until it fills the frame."""
    height, width = shape_hw
    rows, columns = -(-height // photo.shape[0]), -(-width // photo.shape[1])
    return np.ascontiguousarray(np.tile(photo, (rows, columns, 1))[:height, :width])


def cpu_seconds(pids: Sequence[int]) -> float:
    """What these processes have used on all cores so far."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / os.sysconf("SC_CLK_TCK")


def turn(model: YOLO, image: Image, callers: int, seconds: float) -> Sample:
    """One turn; the CPU time of the workers counts as ours."""
    return measured([lambda: model.predict(image)] * callers, seconds, model.statistics().workers)


def measured(works: Sequence[Work], seconds: float, workers: Sequence[WorkerStatistics]) -> Sample:
    pids = [worker.pid for worker in workers if worker.pid is not None]
    before, started = cpu_seconds(pids), time.perf_counter()
    sample = measure.run_callers(works, seconds)
    used, spent = cpu_seconds(pids) - before, time.perf_counter() - started
    elsewhere = max(0.0, sample.elsewhere - used / spent / (os.cpu_count() or 1))
    return replace(sample, cpu_ms=sample.cpu_ms + used * 1e3 / len(sample.latencies_ms), elsewhere=elsewhere)


def throughput(path: Path, photo: Image, workers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Threads against workers on one budget, for each size of frame, and what each of them holds."""
    frames = {name: frame(photo, shape_hw) for name, shape_hw in SIZES_HW.items()}
    with YOLO(path, threads=workers) as threads, YOLO(path, threads=workers, workers=workers) as processes:
        turns: dict[str, Turn] = {}
        for name, image in frames.items():
            for kind, model in (("threads", threads), ("workers", processes)):
                turns[f"{kind} {name}"] = lambda model=model, image=image: turn(model, image, 2 * workers, seconds)  # type: ignore[misc]
        for warm_up in turns.values():
            warm_up()
        series = measure.interleave(turns, rounds)
        memory = [
            {"unique_mib": round(worker.unique_bytes / MIB, 1), "pss_mib": round(worker.proportional_bytes / MIB, 1)}
            for worker in processes.statistics().workers
        ]
    return {
        "callers": 2 * workers,
        "workers": workers,
        "contenders": {name: one.report() for name, one in series.items()},
        "over_threads": {name: measure.ratios(series[f"workers {name}"], series[f"threads {name}"]) for name in frames},
        "worker_memory": memory,
    }


def noop_engines(workers: int) -> tuple[Engine, Engine]:
    """Engines on a network that costs nothing: in threads, and in workers."""
    recipe = Recipe("noop:noop_opened", {})
    return (
        thread_engine(noop_model(), noop_opened().backend, workers),
        worker_engine(noop_model(), recipe, Workers(workers), workers),
    )


def once(engine: Engine, image: Image) -> None:
    predict_now(engine, engine.lanes.new_job(engine.model, PredictOptions(), "frame.jpg"), image, RequestTerms())


def channel(image: Image, workers: int, seconds: float) -> dict[str, Any]:
    """Frames/s through the channel and what a frame costs on all cores; and frames/s of one numpy copy."""
    _, engine = noop_engines(workers)
    engine.start()
    works = [lambda: once(engine, image)] * (workers + 1)
    measure.run_callers(works, seconds / 4)
    samples = [measured(works, seconds, engine.statistics().workers) for _ in range(3)]
    engine.close()
    return {
        "frames_per_s": measure.spread([sample.images_per_s for sample in samples]),
        "cpu_ms_per_frame": measure.spread([sample.cpu_ms for sample in samples]),
        "taken_by_others": measure.spread([sample.elsewhere for sample in samples]),
        "copy_ceiling_frames_per_s": copies_per_s(image, seconds),
    }


def copies_per_s(image: Image, seconds: float) -> float:
    target, count = np.empty_like(image), 0
    until = time.perf_counter() + seconds
    started = time.perf_counter()
    while time.perf_counter() < until:
        np.copyto(target, image)
        count += 1
    return round(count / (time.perf_counter() - started))


def added_latency(image: Image, calls: int = 300) -> dict[str, float]:
    """Milliseconds of one caller, one worker: the median with workers, with threads, and the difference."""
    engines = dict(zip(("threads", "workers"), noop_engines(1), strict=True))
    latencies: dict[str, list[float]] = {name: [] for name in engines}
    for engine in engines.values():
        engine.start()
        for _ in range(20):
            once(engine, image)
    for _ in range(calls):
        for name, engine in engines.items():
            started = time.perf_counter()
            once(engine, image)
            latencies[name].append((time.perf_counter() - started) * 1e3)
    for engine in engines.values():
        engine.close()
    medians = {name: round(statistics.median(values), 3) for name, values in latencies.items()}
    p99 = measure.percentile(sorted(latencies["workers"]), 99)
    return {**medians, "added_ms": round(medians["workers"] - medians["threads"], 3), "workers_p99_ms": p99}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one contender's turn")
    parser.add_argument("--only-channel", action="store_true", help="leave out the real network")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    photo = np.asarray(cv2.imread(str(asked.image)), np.uint8)
    result = {
        "model": asked.model.name,
        "channel": {name: channel(frame(photo, hw), asked.workers, asked.seconds) for name, hw in SIZES_HW.items()},
        "latency": {name: added_latency(frame(photo, hw)) for name, hw in SIZES_HW.items()},
        "versions": measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
    }
    if not asked.only_channel:
        result["throughput"] = throughput(asked.model, photo, asked.workers, asked.rounds, asked.seconds)
    measure.finish("workers", result, asked.results)


if __name__ == "__main__":
    main()
