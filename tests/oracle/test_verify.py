"""`yoloom verify` on real models: it passes yoloom, and fails Ultralytics' shared model."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import imagesize
import pytest

import yoloom
from yoloom import YOLO
from yoloom.cli.exit_codes import ExitCode
from yoloom.verify import adapters, check

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOOLS = Path(__file__).parents[2] / "tools"
START = "import sys, cpu_torchvision; from yoloom.cli.main import main; sys.exit(main())"
LIVELY = ("yolov8n-seg", "yolo11n-pose", "yolo11n-obb", "yolo11n-cls")


def verify_in_oracle(files: Path, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`yoloom verify` in the environment that has Ultralytics, which lacks one small package of ours."""
    package = Path(imagesize.__file__).parent
    (folder / package.name).symlink_to(package)
    oracle = files.absolute().parent
    paths = [Path(yoloom.__file__).absolute().parents[1], TOOLS, folder]
    settings = {"YOLO_CONFIG_DIR": str(oracle), "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    return subprocess.run(
        [oracle / "bin" / "python", "-c", START, "verify", *map(str, arguments)],
        check=False,
        cwd=folder,
        env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        encoding="utf-8",
        timeout=500,
    )


def photographs(files: Path) -> list[Path]:
    return [files.absolute() / name for name in ("bus.jpg", "zidane.jpg")]


def test_the_shared_model_of_ultralytics_mixes_up_its_callers(files: Path, tmp_path: Path) -> None:
    target = ("--target", "yoloom.verify.adapters:ultralytics", "--target-arg", files.absolute() / "best.pt")
    size = ("--target-arg", "imgsz=160", "--threads", "1,6", "--rounds", 2, "--json")
    done = verify_in_oracle(files, tmp_path, *target, *size, *photographs(files))
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
    assert report.ok, report


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("name", ["best.pt", "best_dynamic.onnx", "best_fp16.onnx"])
def test_the_trained_model_passes(files: Path, name: str, backend: str) -> None:
    with YOLO(files / name, backend=backend) as model:
        report = check(model, photographs(files), threads=(2, 16), asyncio=True, rounds=1, cases=12)
    assert report.ok, report
    assert report.distinct > 4
    assert report.cancelled > 0


@pytest.mark.parametrize("name", LIVELY)
def test_every_task_passes(files: Path, name: str) -> None:
    with YOLO(files / "ultralytics" / f"{name}.pt") as model:
        report = check(model, photographs(files), threads=(2, 8), asyncio=True, rounds=1, cases=8)
    assert report.ok, report
