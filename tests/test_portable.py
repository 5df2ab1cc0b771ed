"""Windows lacks the modules that only POSIX systems have: threads predict without them, workers say what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None  # importing it raises ImportError
import numpy as np
from yoloom import YOLO, errors
from yoloom.system.memory import available_memory_bytes
from yoloom.testing import barrier_run

image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
with YOLO(sys.argv[1]) as model:
    alone = model(image)[0].boxes.data.tobytes()
    assert set(barrier_run(4, lambda _: model(image)[0].boxes.data.tobytes())) == {alone}
try:
    YOLO(sys.argv[1], workers=1)
except errors.BackendUnavailable as error:
    print(error)
assert available_memory_bytes() > 0
"""


@pytest.mark.slow
def test_threads_predict_without_the_modules_of_posix(demo_model: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(demo_model)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("worker processes need a POSIX system")
