"""The bundled model on scenes that nothing was trained or tuned on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scenes import EVALUATION_SEEDS
from yoloom.assets import DEMO_MODEL

TOOL = Path(__file__).parents[2] / "tools" / "evaluate_demo.py"


def test_it_is_small_enough_to_come_with_the_package() -> None:
    assert DEMO_MODEL.stat().st_size <= 2_000_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_average_precision_on_unseen_scenes() -> None:
    """A quarter of the scenes that the committed figure was measured on (benchmarks/precision.py)."""
    command = [sys.executable, TOOL, "--first", str(EVALUATION_SEEDS[0]), "--count", "50"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    scores = re.fullmatch(r"mAP50 (\S+)  mAP50-95 (\S+)  \((\d+) scenes.*\)\n", done.stdout)
    assert scores, done.stdout
    assert int(scores[3]) == 50
    assert float(scores[1]) >= 0.95
    assert float(scores[2]) >= 0.75
