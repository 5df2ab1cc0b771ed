"""Every family, scale and task against Ultralytics 8.4.190: raw outputs, and what is found on photographs.

`tools/make_oracle.sh` makes the networks, with random weights as lively as trained ones, and Ultralytics' answers.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checkpoint_parity import RUNNERS, TOLERANCE, compare
from task_parity import compare_final

FOLDER = Path(os.environ["YOLOOM_ORACLE_FILES"]) / "ultralytics"
RAW = sorted(path.with_suffix(".pt") for path in FOLDER.glob("*.npz") if ".answers" not in path.name)
FINAL = sorted(FOLDER / f"{path.name.removesuffix('.answers.npz')}.pt" for path in FOLDER.glob("*.answers.npz"))
SMALL_BYTES = 12_000_000


def name(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", RAW, ids=name)
def test_raw_outputs_are_those_of_ultralytics(path: Path) -> None:
    assert compare(path, RUNNERS["openvino"]).worst <= TOLERANCE


@pytest.mark.parametrize("path", [path for path in RAW if path.stat().st_size < SMALL_BYTES], ids=name)
def test_raw_outputs_in_onnx_runtime(path: Path) -> None:
    assert compare(path, RUNNERS["onnxruntime"]).worst <= TOLERANCE


@pytest.mark.parametrize("path", FINAL, ids=name)
def test_results_on_photographs_are_those_of_ultralytics(path: Path) -> None:
    final = compare_final(path)
    assert final.holds, final


def test_nothing_is_left_out() -> None:
    # All plans of tools/oracle_checkpoints.py, and those that tools/oracle_tasks.py judges on photographs.
    assert (len(RAW), len(FINAL)) == (90, 73)
