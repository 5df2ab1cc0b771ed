"""Seconds from the start of a process to its first result, yoloom beside Ultralytics 8.4.190.

Regime: a fresh interpreter for each run, files in the page cache (one run of each is thrown away), the photograph is
decoded from its file, CPU, the trained YOLOv8s checkpoint `best.pt` (22.5 MB). "yoloom" converts it in every run,
"yoloom-cached" finds the conversion of an earlier run, "yoloom-onnx" opens its export. Runs take turns.
The marks split the time into interpreter, import, open (read, compile, warm up) and first (decode to result).

    python benchmarks/startup.py .oracle/files --oracle-python .oracle/bin/python
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import measure

TOOLS = Path(__file__).resolve().parent.parent / "tools"
IMPORTS = {
    "yoloom": "from yoloom import YOLO",
    # The second line lets it predict where torchvision does not fit torch, and adds about 10 ms.
    "ultralytics": f"from ultralytics import YOLO\nimport sys; sys.path.append({str(TOOLS)!r}); import cpu_torchvision",
}
PROGRAM = """
import time
marks = [time.monotonic()]
{imports}
marks.append(time.monotonic())
model = YOLO({model!r}, task="detect")
marks.append(time.monotonic())
model.predict({image!r}, verbose=False)
marks.append(time.monotonic())
import json
print(json.dumps(marks))
"""
PARTS = ("interpreter", "import", "open", "first")
OPEN = PARTS.index("open")


def run_once(python: Path, package: str, model: Path, image: Path, cache: Path | None) -> list[float]:
    """Seconds that each part took, in one fresh process. `time.monotonic` is the same in all processes of a machine."""
    program = PROGRAM.format(imports=IMPORTS[package], model=str(model.resolve()), image=str(image.resolve()))
    environment = {**os.environ, "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(model.resolve().parent)}
    with tempfile.TemporaryDirectory() as empty:
        environment["YOLOOM_CACHE"] = str(cache or empty)
        started = time.monotonic()
        run = subprocess.run(
            [str(python.absolute()), "-c", program], env=environment, check=True, stdout=subprocess.PIPE, text=True
        )
    marks = [started, *json.loads(run.stdout.splitlines()[-1])]
    return [after - before for before, after in itertools.pairwise(marks)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="?", default=Path(".oracle/files"))
    parser.add_argument("--oracle-python", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    runs = measured(asked)
    measure.finish("startup", report(runs), asked.results)


def measured(asked: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Seconds of the parts of each run, by contender."""
    image, checkpoint, onnx = (asked.files / name for name in ("bus.jpg", "best.pt", "best_dynamic.onnx"))
    ours = Path(sys.executable)
    with tempfile.TemporaryDirectory() as cache:
        contenders: dict[str, tuple[Path, str, Path, Path, Path | None]] = {
            "yoloom": (ours, "yoloom", checkpoint, image, None),
            "yoloom-cached": (ours, "yoloom", checkpoint, image, Path(cache)),
            "yoloom-onnx": (ours, "yoloom", onnx, image, None),
        }
        if asked.oracle_python:
            contenders["ultralytics"] = (asked.oracle_python, "ultralytics", checkpoint, image, None)
        return in_turns(contenders, asked.runs)


def in_turns(
    contenders: dict[str, tuple[Path, str, Path, Path, Path | None]], count: int
) -> dict[str, list[list[float]]]:
    runs: dict[str, list[list[float]]] = {name: [] for name in contenders}
    for number in range(count + 1):
        for name, contender in contenders.items():
            seconds = run_once(*contender)
            measure.log(f"run {number}/{count}  {name:14} {sum(seconds):6.3f} s, open {seconds[2]:6.3f} s")
            if number:  # the first fills the page cache
                runs[name].append(seconds)
    return runs


def report(runs: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Totals, parts, and the first contender's time over that of the others, pair by pair."""
    result: dict[str, Any] = {"runs": len(runs["yoloom"])}
    for name, measured in runs.items():
        parts = {part: measure.spread(column) for part, column in zip(PARTS, zip(*measured, strict=True), strict=True)}
        result[name] = {"total_s": measure.spread([sum(run) for run in measured]), "parts_s": parts}
    if "ultralytics" in runs:
        pairs = zip(runs["yoloom"], runs["ultralytics"], strict=True)
        result["yoloom_over_ultralytics"] = measure.spread([sum(ours) / sum(theirs) for ours, theirs in pairs])
    opened = zip(runs["yoloom"], runs["yoloom-onnx"], strict=True)
    result["open_pt_over_open_onnx"] = measure.spread([pt[OPEN] / onnx[OPEN] for pt, onnx in opened])
    result["versions"] = measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom")
    return result


if __name__ == "__main__":
    main()
