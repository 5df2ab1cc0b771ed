"""What one more thread costs in memory, and what one more `YOLO(same file)` costs.

Regime: Linux, yolov8n, default options; each caller has an array of its own, allocated before the first reading, and
calls in a loop. Every number of callers is measured in a fresh process, in which two callers have warmed the model up,
so that both of its forms are compiled. Readings are taken while they work; the median and the highest are given. PSS is
read: a process's own pages and its share of those it shares. The slope from 2 callers to the most is what a further
thread costs beside its image; it includes what the allocator keeps for later, and so does what is left after the load.

Handles: 32 threads open the same file at once and predict, in a process where one handle is open and warm.
With --oracle-python: the same slope for Ultralytics with a model for each thread, 1 to 8.

    python benchmarks/memory.py .oracle/files --oracle-python .oracle/bin/python
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from rival import Rival
from throughput import Image, yoloom_round
from yoloom import YOLO

CALLERS = (2, 4, 8, 16, 32, 64, 256)
HANDLES = 32
SECONDS = 4.0
INTERVAL = 0.05
RIVAL_MODELS = 8


@contextmanager
def watched_memory() -> Iterator[list[float]]:
    """Readings in MiB, taken while the block runs."""
    readings: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(INTERVAL):
            readings.append(measure.memory_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield readings
    finally:
        over.set()
        watcher.join()


def warm_up(model: YOLO, image: Image) -> None:
    """Until the second form is compiled, which happens beside the traffic, and has been used."""
    while len(model.statistics().forms) < 2:
        yoloom_round(model, [image], 2, 0.5)
    yoloom_round(model, [image], 2, SECONDS / 2)


def with_callers(model_path: Path, image_path: Path, callers: int) -> dict[str, float]:
    """Runs in a process of its own."""
    images = [_decode(image_path) for _ in range(callers)]
    with YOLO(model_path) as model:
        warm_up(model, images[0])
        before = measure.memory_mib()
        with watched_memory() as readings:
            yoloom_round(model, images, callers, SECONDS)
        after = measure.memory_mib()
    growth = [reading - before for reading in readings]
    return {
        "callers": callers,
        "before_mib": before,
        "median_mib": statistics.median(growth),
        "peak_mib": max(growth),
        "left_mib": after - before,
    }


def with_handles(model_path: Path, image_path: Path, handles: int) -> dict[str, float]:
    """Runs in a process of its own."""
    image = _decode(image_path)
    with YOLO(model_path) as model:
        warm_up(model, image)
        yoloom_round(model, [image], handles, SECONDS)
        before = measure.memory_mib()

        def open_and_predict(_: int) -> YOLO:
            handle = YOLO(model_path)
            handle.predict(image)
            return handle

        with ThreadPoolExecutor(handles) as pool:
            opened = list(pool.map(open_and_predict, range(handles)))
        after = measure.memory_mib()
        engines = {id(handle._opened.engine) for handle in [model, *opened]}
        for handle in opened:
            handle.close()
    return {"handles": handles, "growth_mib": after - before, "engines": len(engines)}


MODES: dict[str, Callable[[Path, Path, int], dict[str, float]]] = {"callers": with_callers, "handles": with_handles}


def in_fresh_process(mode: str, model: Path, image: Path, count: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", mode, str(model), str(image), str(count)]
    answer = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    measure.log(f"{mode} {count}: {answer}")
    return dict(answer)


def per_thread(readings: list[dict[str, float]], key: str) -> float:
    """MiB for each further caller, from the fewest to the most, beside the image that it brought."""
    first, last = readings[0], readings[-1]
    return round((last[key] - first[key]) / (last["callers"] - first["callers"]), 3)


def ultralytics_per_model(python: Path, model: Path, image: Path) -> float:
    with Rival(python, model, [image]) as rival:
        one: float = rival.ask("memory", models=1)
        many: float = rival.ask("memory", models=RIVAL_MODELS)
    return round((many - one) / (RIVAL_MODELS - 1), 2)


def _decode(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        mode, model, image, count = sys.argv[2:]
        print(json.dumps(MODES[mode](Path(model), Path(image), int(count))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="?", default=Path(".oracle/files"))
    parser.add_argument("--oracle-python", type=Path)
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    model, image = asked.files / "yolov8n_dynamic.onnx", asked.files / "bus.jpg"
    readings = [in_fresh_process("callers", model, image, count) for count in CALLERS]
    result: dict[str, Any] = {
        "image_mib": round(_decode(image).nbytes / 2**20, 2),
        "callers": readings,
        "yoloom_mib_per_thread": {
            "median": per_thread(readings, "median_mib"),
            "peak": per_thread(readings, "peak_mib"),
        },
        "handles": in_fresh_process("handles", model, image, HANDLES),
        "versions": measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom"),
    }
    if asked.oracle_python:
        result["ultralytics_mib_per_thread"] = ultralytics_per_model(
            asked.oracle_python, asked.files / "yolov8n.pt", image
        )
    measure.finish("memory", result, asked.results)


if __name__ == "__main__":
    main()
