"""Seconds from the start of a process to its first result."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from yoloom.bench.bare import Image
from yoloom.bench.callers import short
from yoloom.errors import RuntimeFailed

PARTS = ("interpreter", "import", "open", "first")
PATIENCE_S = 300.0
_PROGRAM = """
import json, pickle, sys, time
asked = json.loads(sys.argv[1])
marks = [time.monotonic()]
import yoloom
marks.append(time.monotonic())
if __name__ == "__main__":
    with pickle.loads(bytes.fromhex(asked["model"])) as model:
        marks.append(time.monotonic())
        model.predict(asked["image"])
        marks.append(time.monotonic())
    print(json.dumps(marks))
"""


def start_seconds(recipe: bytes, image: Image) -> Mapping[str, float]:
    """Seconds by part, and in all, of a fresh process that opens a model and predicts one image from its file.

    recipe: a pickled YOLO. `time.monotonic` is the same in all processes of a machine. Raises RuntimeFailed.
    """
    with tempfile.TemporaryDirectory() as folder:
        program, picture = Path(folder) / "first.py", Path(folder) / "image.png"
        program.write_text(_PROGRAM)
        cv2.imwrite(str(picture), image)
        marks = _run(program, {"model": recipe.hex(), "image": str(picture)})
    parts = [after - before for before, after in itertools.pairwise(marks)]
    return {**{part: short(seconds) for part, seconds in zip(PARTS, parts, strict=True)}, "total": short(sum(parts))}


def _run(program: Path, asked: Mapping[str, Any]) -> list[float]:
    command = [sys.executable, str(program), json.dumps(asked)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeFailed(f"a fresh process could not open the model: {done.stderr.strip()[-500:]}")
    return [started, *json.loads(done.stdout.splitlines()[-1])]
