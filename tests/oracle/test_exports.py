"""Exports of yoloom: Ultralytics opens them, and finds what it finds with the checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
import pytest

from task_parity import Final, cases, compare_case, compare_final
from yoloom import YOLO

FILES = Path(os.environ["YOLOOM_ORACLE_FILES"]).absolute()
TOOL = Path(__file__).parents[2] / "tools" / "oracle_exports.py"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Export:
    """A file to make, and the size that it is asked to work at."""

    network: str
    form: str
    imgsz: Any
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def dynamic(self) -> bool:
        return "dynamic" in self.options

    @property
    def file(self) -> str:
        kind = "-".join(["dynamic" if self.dynamic else "static", *(self.options.keys() - {"dynamic"})])
        return f"{self.network}-{kind}" + (".onnx" if self.form == "onnx" else "_openvino_model")

    @property
    def cases(self) -> list[tuple[str, dict[str, Any]]]:
        if self.network.endswith("-cls"):
            return [("bus.jpg", {"imgsz": self.imgsz}), ("odd.png", {"imgsz": self.imgsz})]
        few = {"imgsz": self.imgsz, "max_det": 100}
        return [("bus.jpg", {**few, "conf": 0.4}), ("odd.png", {**few, "conf": 0.3, "iou": 0.5})]


EXPORTS = (
    Export("yolov8n", "onnx", 320),
    Export("yolov8n-seg", "onnx", 320, {"dynamic": True}),
    Export("yolo11n-pose", "openvino", [256, 448]),
    Export("yolo12n-obb", "openvino", 320, {"dynamic": True}),
    Export("yolo11n-cls", "onnx", 224),
    Export("yolo12n-cls", "openvino", 224, {"dynamic": True}),
    Export("yolov5n-p6", "openvino", 320, {"dynamic": True}),
    Export("yolov10n", "openvino", 320, {"dynamic": True, "nms": False}),
    Export("yolo26n", "onnx", 320, {"nms": False}),
    Export("yolo26n-pose", "onnx", [320, 256], {"dynamic": True, "nms": False}),
    Export("yolo26n-obb", "onnx", 320, {"nms": False}),
    Export("yolo26n-seg", "onnx", 320, {"dynamic": True, "half": True}),
    Export("yolov9t", "openvino", 320, {"half": True}),
)
FULL = [export for export in EXPORTS if "half" not in export.options]
ONNX = [export for export in EXPORTS if export.form == "onnx"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All exports, with the answers of Ultralytics beside them."""
    folder = tmp_path_factory.mktemp("exports")
    for name in ("bus.jpg", "zidane.jpg", "odd.png"):
        shutil.copy(FILES / "ultralytics" / name, folder)
    asked = [{"file": export.file, "task": write(export, folder), "cases": export.cases} for export in EXPORTS]
    (folder / "asked.json").write_text(json.dumps(asked))
    oracle = FILES.parent
    settings = {"YOLO_CONFIG_DIR": str(oracle), "YOLO_AUTOINSTALL": "false"}
    command = [oracle / "bin" / "python", TOOL, folder]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, **settings})
    yield folder
    shutil.rmtree(folder)


def write(export: Export, folder: Path) -> str:
    """Export, and say for which task."""
    checkpoint = folder / f"{export.file.removesuffix('.onnx').removesuffix('_openvino_model')}.pt"
    checkpoint.symlink_to(FILES / "ultralytics" / f"{export.network}.pt")
    with YOLO(checkpoint) as model:
        written = Path(model.export(export.form, imgsz=export.imgsz, **export.options))
        assert written == folder / export.file
        return model.task


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.file)
def test_ultralytics_finds_what_yoloom_finds(export: Export, folder: Path) -> None:
    final = compare_final(folder / export.file)
    assert final.holds, final
    assert final.found >= 2 * (1 if export.network.endswith("-cls") else 10)


@pytest.mark.parametrize("export", ONNX, ids=lambda export: export.file)
def test_onnx_runtime_finds_the_same(export: Export, folder: Path) -> None:
    onnx.checker.check_model(str(folder / export.file), full_check=True)
    final = compare_final(folder / export.file, backend="onnxruntime")
    assert final.holds, final


@pytest.mark.parametrize("export", FULL, ids=lambda export: export.file)
def test_export_finds_what_its_checkpoint_finds(export: Export, folder: Path) -> None:
    final = Final()
    with YOLO(FILES / "ultralytics" / f"{export.network}.pt", nms=export.options.get("nms")) as model:
        for case in cases(folder / export.file):
            (result,) = model.predict(folder / case.image, rect=export.dynamic, **case.options)
            compare_case(result, case, final)
    assert final.holds, final
