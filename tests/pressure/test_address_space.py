"""The whole path while the address space ends: each answer is right or a typed error, and comes in time.

A child process sets its limit after its imports, and takes the same steps as one without a limit. `make pressure` goes
through all scenarios and many limits; the tests of every day through a few.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS bounds the address space on Linux only"),
]

STEPS = Path(__file__).parents[1] / "support" / "pressure_steps.py"
IN_TIME_S = 100
"""Seconds in which a child ends, on a machine under load."""

LONG = "YOLOOM_PRESSURE" in os.environ
SCENARIOS = ("one_thread", "two_threads", "onnxruntime", "many", "swap", "workers", "export")
LIMITS_MIB: dict[str, tuple[int, ...]] = (
    dict.fromkeys(SCENARIOS, tuple(range(20, 1220, 40)))
    if LONG
    else {"one_thread": (500,), "swap": (580,), "workers": (380,)}  # each fails at some of its steps
)

Outcomes = dict[str, dict[str, Any]]


def run(scenario: str, limit_mib: int, model: Path, other: Path, folder: Path) -> tuple[Outcomes, int, str]:
    """The outcomes by step, the exit code and the end of stderr. Raises TimeoutExpired for a hang."""
    folder.mkdir(exist_ok=True)
    child = subprocess.run(
        [sys.executable, str(STEPS), scenario, str(limit_mib), str(model), str(other), str(folder)],
        capture_output=True,
        text=True,
        timeout=IN_TIME_S,
        check=False,
    )
    lines = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    return {line.pop("step"): line for line in lines}, child.returncode, child.stderr[-2000:]


@pytest.fixture(scope="module")
def steps_of(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    base = tmp_path_factory.mktemp("pressure")
    model, other = base / "demo.onnx", base / "other.onnx"
    for copy in (model, other):
        copy.write_bytes(demo_model.read_bytes())

    @cache
    def right(scenario: str) -> Outcomes:
        outcomes, code, words = run(scenario, 0, model, other, base / f"{scenario}-right")
        assert code == 0, words
        return outcomes

    def check(scenario: str, limit_mib: int) -> tuple[Outcomes, int]:
        expected = right(scenario)
        found, code, words = run(scenario, limit_mib, model, other, base / f"{scenario}-{limit_mib}")
        for step, outcome in found.items():
            if "error" not in outcome:
                assert outcome == expected.get(step, outcome), f"{limit_mib} MiB, {step}"
        # glibc ends a process when a thread finds no memory for its variables, and nothing in the process can catch it.
        assert code == 0 or (code == 127 and "thread-local data" in words), f"{limit_mib} MiB: {code} {words}"
        return found, code

    return check


@pytest.mark.parametrize("scenario", LIMITS_MIB)
@pytest.mark.timeout(IN_TIME_S * 40)
def test_right_or_a_typed_error(steps_of: Callable[..., Any], scenario: str) -> None:
    """Seen to deliver the boxes of the run before (one thread), and those of a spoilt network (two)."""
    for limit_mib in LIMITS_MIB[scenario]:
        found, code = steps_of(scenario, limit_mib)
        if LONG:
            ends = ["right" if "right" in outcome else outcome["error"] for outcome in found.values()]
            print(scenario, limit_mib, "MiB:", *ends, f"exit {code}" if code else "")
