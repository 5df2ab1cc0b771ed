"""Files that yoloom exports, opened by Ultralytics 8.4.190 itself: they give what the checkpoint gives in yoloom."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from task_parity import Final, cases, compare_case
from yoloom import YOLO

ROOT = Path(__file__).resolve().parents[2]
EXPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "detect-dynamic": ("yolov8n", {"dynamic": True}),
    "segment-dynamic": ("yolo11n-seg", {"dynamic": True}),
    "pose-static": ("yolov8n-pose", {"imgsz": 320}),
    "obb-static": ("yolo11n-obb", {"imgsz": 320}),
    "classify-static": ("yolov8n-cls", {"imgsz": 320}),
    "detect-without-nms": ("yolo26n", {"dynamic": True, "nms": False}),
}


@pytest.fixture(scope="module")
def exported(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all exports, and what Ultralytics found with each."""
    folder = tmp_path_factory.mktemp("exports")
    for name, (checkpoint, options) in EXPORTS.items():
        with YOLO(files / "ultralytics" / f"{checkpoint}.pt", nms=options.get("nms")) as model:
            shutil.move(model.export(**options), folder / f"{name}.onnx")
    oracle = files.resolve().parent
    subprocess.run(
        [oracle / "bin" / "python", ROOT / "tools" / "oracle_exports.py", folder, files / "bus.jpg"],
        env={**os.environ, "YOLO_CONFIG_DIR": str(oracle), "YOLO_AUTOINSTALL": "false"},
        cwd=folder,
        check=True,
        timeout=110,
    )
    return folder


@pytest.mark.parametrize("name", EXPORTS)
def test_ultralytics_finds_with_an_export_what_yoloom_finds_with_the_checkpoint(
    exported: Path, files: Path, name: str
) -> None:
    checkpoint, options = EXPORTS[name]
    (case,) = cases(exported / f"{name}.onnx")
    final = Final()
    with YOLO(files / "ultralytics" / f"{checkpoint}.pt", nms=options.get("nms")) as model:
        (result,) = model.predict(exported / case.image, **case.options, rect="dynamic" in options)
    compare_case(result, case, final)
    assert final.found > 0
    assert final.holds, final
