"""Measures the seconds from the start of a process to its first result."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import cv2

from yoloom.bench.callers import short
from yoloom.bench.contenders import Image
from yoloom.errors import RuntimeFailed

PARTS = ("interpreter", "import", "open", "first")
LIMIT_S = 300.0
_PROGRAM = """
import json, pickle, sys, time
options = json.loads(sys.argv[1])
marks = [time.monotonic()]
import yoloom
marks.append(time.monotonic())
if __name__ == "__main__":
    with pickle.loads(bytes.fromhex(options["model"])) as model:
        marks.append(time.monotonic())
        model.predict(options["image"])
        marks.append(time.monotonic())
    print(json.dumps(marks))
"""


def start_seconds(recipe: bytes, image: Image) -> Mapping[str, float]:
    """Time a fresh process that opens a model and predicts one image from its file.

    Args:
        recipe: a pickled YOLO.
        image: (H, W, 3) uint8 BGR.

    Returns:
        Seconds by part, and in all.

    Raises:
        RuntimeFailed: the process could not open the model.
    """
    with tempfile.TemporaryDirectory() as folder:
        program, picture = Path(folder) / "first.py", Path(folder) / "image.png"
        program.write_text(_PROGRAM)
        cv2.imwrite(str(picture), image)
        command = [sys.executable, str(program), json.dumps({"model": recipe.hex(), "image": str(picture)})]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeFailed(f"a fresh process could not open the model: {done.stderr.strip()[-500:]}")
    marks = [started, *json.loads(done.stdout.splitlines()[-1])]
    # `time.monotonic` is the same clock in all processes of a machine.
    parts = [after - before for before, after in itertools.pairwise(marks)]
    return {**{part: short(seconds) for part, seconds in zip(PARTS, parts, strict=True)}, "total": short(sum(parts))}
