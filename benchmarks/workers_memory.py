"""What a model in threads, a parent with its workers, and a process with a model of its own hold in memory.

Regime: Linux; two CPUs' worth of threads; a frame of 1920x1080, tiled out of a photograph; each kind in fresh
processes, read after two seconds of four callers, so that all compiled forms are there. Unique pages are those of no
other process (USS); shares are the proportional ones (PSS). A process of its own for each model is what people use
`multiprocessing` for: with --oracle-python, two with Ultralytics and the checkpoint beside them.

    python benchmarks/workers_memory.py .oracle/files --oracle-python .oracle/bin/python      # about 20 seconds
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import measure
from rival import Rival
from workers import MIB, SIZES_HW, Image, frame
from yoloom import YOLO
from yoloom.system.memory import memory_of

WORKERS = 2
CALLERS = 4
SECONDS = 2.0
RIVALS = 2


def held(pid: int | None) -> dict[str, int]:
    """In MiB."""
    memory = memory_of(pid)
    return {"unique_mib": memory.unique // MIB, "pss_mib": memory.proportional // MIB}


def held_by_model(path: Path, image: Image, workers: int) -> list[dict[str, int]]:
    """Of this process, and of each worker."""
    with YOLO(path, threads=WORKERS, workers=workers or None) as model:
        measure.run_callers([lambda: model.predict(image)] * CALLERS, SECONDS)
        return [held(pid) for pid in (os.getpid(), *(worker.pid for worker in model.statistics().workers))]


def in_fresh_process(asked: argparse.Namespace, workers: int) -> list[dict[str, int]]:
    command = [sys.executable, str(Path(__file__).resolve()), str(asked.folder), "--only", str(workers)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return list(json.loads(done.stdout))


def held_by_rivals(python: Path, checkpoint: Path, image: Image) -> tuple[list[dict[str, int]], str]:
    """Of each of some processes with Ultralytics, while the others are there; and its version."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as rivals:
        picture = Path(folder) / "frame.png"
        cv2.imwrite(str(picture), image)
        processes = [rivals.enter_context(Rival(python, checkpoint, [picture])) for _ in range(RIVALS)]
        for process in processes:
            process.ask("throughput", pattern="own", callers=1, seconds=SECONDS)
        return [held(process.pid) for process in processes], processes[0].ask("version")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the models and photographs: .oracle/files")
    parser.add_argument("--oracle-python", type=Path, help="of Ultralytics' environment")
    parser.add_argument("--only", type=int, metavar="N", help="print what N workers hold, 0 for threads, and end")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    image = frame(np.asarray(cv2.imread(str(asked.folder / "bus.jpg")), np.uint8), SIZES_HW["1080p"])
    if asked.only is not None:
        print(json.dumps(held_by_model(asked.folder / "yolov8n_dynamic.onnx", image, asked.only)))
        return
    result: dict[str, Any] = {"threads": in_fresh_process(asked, 0), "workers": in_fresh_process(asked, WORKERS)}
    versions = measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom")
    if asked.oracle_python is not None:
        checkpoint = asked.folder / "yolov8n.pt"
        result["ultralytics"], versions["ultralytics"] = held_by_rivals(asked.oracle_python, checkpoint, image)
    measure.finish("workers_memory", {**result, "versions": versions}, asked.results)


if __name__ == "__main__":
    main()
