"""All four patterns of the guide under both libraries, each in a fresh process, and one JSON line.

tools/make_oracle.sh files
python benchmarks/hazards/run_hazards.py --results benchmarks/results      # about two minutes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import measure

HERE = Path(__file__).resolve().parent
PATTERNS = ("shared_model", "models_passed_in", "model_per_thread", "model_per_process")


def run_once(pattern: str, library: str, python: Path, files: Path, quick: bool, seconds: float) -> dict[str, Any]:
    """What one reproduction tells. Raises RuntimeError with its words, TimeoutExpired after so many seconds."""
    command = [str(python.absolute()), str(HERE / f"{pattern}.py"), "--library", library, "--files", str(files)]
    environment = {**os.environ, "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(files.resolve())}
    if library == "ultralytics":
        environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        command + ["--quick"] * quick, capture_output=True, text=True, env=environment, timeout=seconds, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{pattern}, {library}: {done.stderr[-1000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, default=Path(".oracle/files"))
    parser.add_argument("--oracle-python", type=Path, default=Path(".oracle/bin/python"))
    parser.add_argument("--quick", action="store_true", help="to see that it works: figures are not kept")
    parser.add_argument("--minutes", type=float, default=60.0, help="in all: after that it fails, and keeps nothing")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    pythons = {"ultralytics": asked.oracle_python, "yoloom": Path(sys.executable)}
    patterns: dict[str, dict[str, Any]] = {}
    for pattern in PATTERNS:
        patterns[pattern] = {}
        for library, python in pythons.items():
            left_s = until - time.monotonic()
            patterns[pattern][library] = run_once(pattern, library, python, asked.files, asked.quick, left_s)
            measure.log(f"{pattern:18} {patterns[pattern][library]}")
    versions = measure.versions("numpy", "openvino", "opencv-python-headless", "yoloom")
    result = {"patterns": patterns, "versions": {**versions, "ultralytics": "8.4.190"}}
    measure.finish("hazards", result, None if asked.quick else asked.results)


if __name__ == "__main__":
    main()
