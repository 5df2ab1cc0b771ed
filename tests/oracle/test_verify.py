"""`yoloom verify` on real models: it passes yoloom, and fails Ultralytics' shared model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from verify_adapters import verify_in_oracle
from yoloom import YOLO
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.main import run_command
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.verify import adapters, check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LIVELY = ("yolov8n-seg", "yolo11n-pose", "yolo11n-obb", "yolo11n-cls")


def photographs(files: Path) -> list[Path]:
    return [files.absolute() / name for name in ("bus.jpg", "zidane.jpg")]


def test_the_shared_model_of_ultralytics_mixes_up_its_callers(files: Path, tmp_path: Path) -> None:
    target = ("--target", "yoloom.verify.adapters:ultralytics", "--target-arg", files.absolute() / "best.pt")
    size = ("--target-arg", "imgsz=160", "--threads", "1,6", "--rounds", 2, "--json")
    done = verify_in_oracle(files.parent, tmp_path, *target, *size, *photographs(files))
    assert done.returncode == ExitCode.WRONG_ANSWERS, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["verdict"] == "cross-talk"
    assert {"the answer for other options"} <= {wrong["fault"] for wrong in told["shown"]}
    assert not [wrong for wrong in told["shown"] if "1 threads" in wrong["where"]], "a single caller gets his own"
    assert told["mismatches"] > told["concurrent"] / 10


def test_a_session_of_onnx_runtime_that_all_share_passes(files: Path) -> None:
    report = check(
        adapters.onnxruntime(str(files / "best_dynamic.onnx"), imgsz="320"), photographs(files), threads=6, rounds=2
    )
    assert report.ok, str(report)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", ["best.pt", "best_dynamic.onnx", "best_fp16.onnx"])
def test_the_trained_model_passes(files: Path, name: str, backend: str) -> None:
    with YOLO(files / name, backend=backend) as model:
        report = check(model, photographs(files), threads=(2, 16), asyncio=True, rounds=1, cases=12)
    assert report.ok, str(report)
    assert report.distinct > 4
    assert report.cancelled > 0


def test_the_trained_model_passes_with_workers(files: Path) -> None:
    with YOLO(files / "best.pt", workers=2) as model:
        report = check(model, photographs(files), threads=(2, 16), asyncio=True, rounds=1, cases=12)
    assert report.ok, str(report)
    assert report.distinct > 4


@pytest.mark.skipif(
    Precision.BF16 not in find_backend("openvino", "cpu").precisions(), reason="no native bfloat16 on this CPU"
)
def test_the_trained_model_passes_in_bfloat16(files: Path) -> None:
    with YOLO(files / "best.pt", precision="bf16") as model:
        report = check(model, photographs(files), threads=(2, 16), rounds=1, cases=12)
    assert report.ok, str(report)


def test_the_trained_model_passes_as_on_the_command_line(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its defaults but for the time: options of all kinds, 1, 2, 8 and 64 threads and tasks."""
    page = tmp_path / "out.html"
    pictures = map(str, photographs(files))
    command = ["verify", str(files / "best.pt"), *pictures, "--asyncio", "--seconds", "8", "--report", str(page)]
    assert run_command(command) == ExitCode.OK, capsys.readouterr()
    assert "<svg" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", LIVELY)
def test_every_task_passes(files: Path, name: str, backend: str) -> None:
    with YOLO(files / "ultralytics" / f"{name}.pt", backend=backend) as model:
        report = check(model, photographs(files), threads=(2, 8), asyncio=True, rounds=1, cases=8)
    assert report.ok, str(report)
