"""The guide's four patterns under both libraries: the reproductions run, and yoloom's answers are right in all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HAZARDS = Path(__file__).parent.parent.parent / "benchmarks" / "hazards"
PATTERNS = ("shared_model", "models_passed_in", "model_per_thread", "model_per_process")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def reproduce(pattern: str, library: str, files: Path) -> dict[str, Any]:
    python = sys.executable if library == "yoloom" else str(files.absolute().parent / "bin" / "python")
    environment = {**os.environ, "YOLO_AUTOINSTALL": "false", "YOLO_CONFIG_DIR": str(files.absolute())}
    if library == "ultralytics":
        environment.pop("PYTHONPATH", None)
    command = [python, str(HAZARDS / f"{pattern}.py"), "--library", library, "--files", str(files), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def judgements(told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What was counted, in the parts of a pattern or in the whole."""
    parts = [part for part in told.values() if isinstance(part, dict)]
    yield from parts or [told]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_answers_of_yoloom_are_right_in_every_pattern(pattern: str, files: Path) -> None:
    for judged in judgements(reproduce(pattern, "yoloom", files)):
        assert judged["of"] > 0
        assert judged["wrong"] == 0


def test_a_shared_ultralytics_model_gives_wrong_answers(files: Path) -> None:
    """With 12 calls in 6 threads; of 72, 48 to 65 were wrong."""
    assert reproduce("shared_model", "ultralytics", files)["wrong"] > 0


@pytest.mark.parametrize("pattern", PATTERNS[1:])
def test_the_other_patterns_run_with_ultralytics(pattern: str, files: Path) -> None:
    assert all(judged["of"] > 0 for judged in judgements(reproduce(pattern, "ultralytics", files)))
