"""Exports: files that other programs open, with the same results, and that take the place of old ones at once."""

from __future__ import annotations

import ast
import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from checkpoint_parity import run_onnxruntime, run_openvino
from scenes import scene
from yoloom import YOLO, Results, errors
from yoloom.facade.export_model import ExportOptions, default_target, export_model, parse_export_options
from yoloom.store import hub

CHECKPOINTS = Path(__file__).parents[1] / "data" / "checkpoints"
IMAGE = scene(1, (64, 48)).image
STATIC = {"imgsz": 64}
"""Of exports in these tests: the small networks are made for small images."""


def bits(results: Results) -> bytes:
    return np.asarray(results.boxes.data).tobytes()


def predicted(path: Path | str, **options: Any) -> Results:
    with YOLO(path) as model:
        return model(IMAGE, **{"imgsz": 64, "conf": 0.001, "rect": False, **options})[0]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copy(CHECKPOINTS / "v8-detect.pt", tmp_path / "best.pt"))


def exported(source: Path, target: Path | None = None, **options: Any) -> Path:
    return export_model(source, parse_export_options(options), target)


def notes_of(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path).metadata_props}


def shape_of(path: Path) -> list[int | str]:
    return [dim.dim_value or dim.dim_param for dim in onnx.load(path).graph.input[0].type.tensor_type.shape.dim]


# ---- What is written


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_an_onnx_file_gives_the_boxes_of_its_checkpoint(checkpoint: Path, dynamic: bool) -> None:
    path = exported(checkpoint, dynamic=dynamic, **STATIC)
    assert path == checkpoint.with_suffix(".onnx")
    onnx.checker.check_model(path, full_check=True)
    assert len(predicted(path))
    assert bits(predicted(path)) == bits(predicted(checkpoint))
    images = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    outputs = (run(path.read_bytes(), images) for run in (run_openvino, run_onnxruntime))
    for ours, theirs in zip(*outputs, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_what_is_asked_for_is_what_the_file_declares(checkpoint: Path) -> None:
    for options, shape in (
        ({}, [1, 3, 640, 640]),
        ({"imgsz": 64, "batch": 2}, [2, 3, 64, 64]),
        ({"imgsz": [64, 96]}, [1, 3, 64, 96]),
        ({"imgsz": 64, "dynamic": True}, ["batch", 3, "height", "width"]),
    ):
        path = exported(checkpoint, **options)
        assert shape_of(path) == shape
        notes = notes_of(path)
        assert ast.literal_eval(notes["imgsz"]) == (shape[2:] if isinstance(shape[2], int) else [64, 64])
        assert ast.literal_eval(notes["args"])["dynamic"] is (shape[0] == "batch")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_half_is_half_the_size_and_near(checkpoint: Path, tmp_path: Path, form: str) -> None:
    def size(path: Path) -> int:
        files = path.glob("*.bin") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files)

    suffix = ".onnx" if form == "onnx" else "_openvino_model"
    whole = exported(checkpoint, tmp_path / f"whole{suffix}", format=form, **STATIC)
    half = exported(checkpoint, tmp_path / f"half{suffix}", format=form, half=True, **STATIC)
    assert size(half) < 0.7 * size(whole)
    ours, theirs = predicted(half).boxes.data, predicted(whole).boxes.data
    np.testing.assert_allclose(ours[:5], theirs[:5], rtol=0.02, atol=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_an_openvino_folder_gives_the_boxes_of_its_checkpoint(checkpoint: Path, dynamic: bool) -> None:
    folder = exported(checkpoint, format="openvino", dynamic=dynamic, **STATIC)
    assert folder == checkpoint.with_name("best_openvino_model")
    assert sorted(path.name for path in folder.iterdir()) == ["best.bin", "best.xml", "metadata.yaml"]
    assert bits(predicted(folder)) == bits(predicted(checkpoint))
    with YOLO(folder) as model:
        assert (model.model.dynamic, model.model.imgsz_hw) == (dynamic, (64, 64))


def test_an_openvino_folder_says_what_ultralytics_says(checkpoint: Path) -> None:
    folder = exported(checkpoint, format="openvino", half=True, **STATIC)
    notes = yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))
    assert {
        key: notes[key] for key in ("stride", "task", "head", "batch", "imgsz", "names", "channels", "end2end")
    } == {
        "stride": 8,
        "task": "detect",
        "head": "Detect",
        "batch": 1,
        "imgsz": [64, 64],
        "names": {0: "0", 1: "1", 2: "2"},
        "channels": 3,
        "end2end": False,
    }
    assert notes["args"] == {"data": None, "batch": 1, "fraction": 1.0, "quantize": 16, "nms": None, "dynamic": False}
    info = ET.parse(folder / "best.xml").getroot().find("rt_info/model_info")
    assert info is not None
    assert {element.tag: element.get("value") for element in info} == {
        "iou_threshold": "0.7",
        "labels": "0 1 2",
        "model_type": "YOLO",
        "pad_value": "114",
        "resize_type": "fit_to_window_letterbox",
        "reverse_input_channels": "YES",
        "scale_values": "255",
    }


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [False, True])
def test_an_onnx_file_becomes_an_openvino_folder(checkpoint: Path, dynamic: bool) -> None:
    source = exported(checkpoint, dynamic=dynamic, **STATIC)
    folder = exported(source, format="openvino")
    assert bits(predicted(folder)) == bits(predicted(source))
    assert {path.suffix for path in folder.iterdir()} == {".bin", ".xml", ".yaml"}
    assert source.exists()


@pytest.mark.slow
def test_an_onnx_file_without_notes_becomes_an_openvino_folder(demo_model: Path, tmp_path: Path) -> None:
    bare = onnx.load(demo_model)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    folder = exported(tmp_path / "bare.onnx", format="openvino")
    with YOLO(folder) as model, YOLO(tmp_path / "bare.onnx") as other:
        assert dict(model.names) == dict(other.names)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_the_head_that_needs_no_nms(tmp_path: Path, form: str) -> None:
    source = Path(shutil.copy(CHECKPOINTS / "v10-detect.pt", tmp_path))
    with YOLO(exported(source, format=form, nms=False, **STATIC)) as model, YOLO(source, nms=False) as original:
        assert model.model.layout.value == "end2end"
        options = {"imgsz": 64, "conf": 0.001, "rect": False, "nms": False}
        assert bits(model(IMAGE, **options)[0]) == bits(original(IMAGE, **options)[0])


@pytest.mark.parametrize("path", sorted(CHECKPOINTS.glob("*.pt")), ids=lambda path: path.stem)
@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_every_task_is_exported(tmp_path: Path, path: Path, form: str) -> None:
    target = tmp_path / ("x.onnx" if form == "onnx" else "x_openvino_model")
    assert exported(path, target, format=form, half=True, **STATIC) == target


# ---- From a handle


@pytest.mark.slow
def test_a_handle_exports_what_it_has_open(tmp_path: Path) -> None:
    source = Path(shutil.copy(CHECKPOINTS / "v10-detect.pt", tmp_path))
    with YOLO(source, nms=False) as model:
        path = model.export(imgsz=64)
        assert path == str(tmp_path / "v10-detect.onnx")
        assert ast.literal_eval(notes_of(Path(path))["end2end"]) is True
    with YOLO(source) as model:
        assert ast.literal_eval(notes_of(Path(model.export(dynamic=True)))["end2end"]) is False
        folder = model.export(
            format="openvino", imgsz=(64, 96), half=True, batch=2, simplify=True, opset=17, device="cpu"
        )
        with YOLO(folder) as other:
            assert (other.model.input.batch, other.model.input.hw) == (2, (64, 96))


def test_a_handle_does_not_export_another_file_than_it_has_open(checkpoint: Path) -> None:
    with YOLO(checkpoint) as model:
        os.replace(shutil.copy(CHECKPOINTS / "v3-detect.pt", checkpoint.with_name("new.pt")), checkpoint)
        with pytest.raises(errors.InvalidModel, match=r"best\.pt was changed while it is open"):
            model.export()
        checkpoint.unlink()
        with pytest.raises(errors.InvalidModel, match=r"best\.pt was changed while it is open"):
            model.export()


def test_what_was_downloaded_is_exported_to_the_working_folder(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_target(checkpoint, "openvino") == checkpoint.with_name("best_openvino_model")
    assert default_target(hub.cache_folder() / "yolov8n.pt", "onnx") == Path("yolov8n.onnx")
    monkeypatch.setattr(hub, "user_cache", _no_home)
    assert default_target(checkpoint, "onnx") == checkpoint.with_suffix(".onnx")


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


# ---- Where it goes


@pytest.mark.slow
def test_an_old_export_is_replaced(checkpoint: Path) -> None:
    for form in ("onnx", "openvino"):
        first = exported(checkpoint, format=form, **STATIC)
        second = exported(checkpoint, format=form, imgsz=96)
        assert first == second
        with YOLO(second) as model:
            assert model.model.imgsz_hw == (96, 96)
    assert sorted(path.name for path in checkpoint.parent.iterdir()) == ["best.onnx", "best.pt", "best_openvino_model"]


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_an_export_that_fails_leaves_the_old_one(checkpoint: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old = exported(checkpoint, format=form, **STATIC)
    before = {path: path.read_bytes() for path in sorted(checkpoint.parent.rglob("*")) if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace" if form == "onnx" else "rename", _full_disk(Path.rename))
        with pytest.raises(errors.InvalidOption, match=r"can not be written: No space"):
            exported(checkpoint, format=form, imgsz=96)
    checkpoint.write_bytes(before[checkpoint][:5000])
    with pytest.raises(errors.InvalidModel, match=r"best\.pt: "):
        exported(checkpoint, format=form, imgsz=96)
    checkpoint.write_bytes(before[checkpoint])
    assert {path: path.read_bytes() for path in sorted(checkpoint.parent.rglob("*")) if path.is_file()} == before
    assert old.exists()


def _full_disk(rename: Any) -> Any:
    """A rename that fails, unless it is away from or back to a target."""

    def fail(self: Path, target: Path) -> Any:
        if self.name.endswith(".part"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    return fail


@pytest.mark.parametrize(
    ("target", "form", "message"),
    [
        ("best.pt", "onnx", r"expected the name of an \.onnx file"),
        ("best", "onnx", r"expected the name of an \.onnx file"),
        ("folder.onnx", "onnx", r"is a folder, expected"),
        ("best.pt", "openvino", r"is the model itself"),
        ("mine", "openvino", r"exists and is no OpenVINO model"),
        ("file.txt", "openvino", r"exists and is no OpenVINO model"),
        ("nowhere/x.onnx", "onnx", r"can not be written: No such file"),
        ("nowhere/x_openvino_model", "openvino", r"can not be written: No such file"),
    ],
)
def test_nothing_else_is_overwritten(checkpoint: Path, target: str, form: str, message: str) -> None:
    folder = checkpoint.parent
    (folder / "mine" / "deep").mkdir(parents=True)
    (folder / "folder.onnx").mkdir()
    (folder / "file.txt").write_text("mine")
    before = sorted(folder.rglob("*"))
    with pytest.raises(errors.InvalidOption, match=message):
        exported(checkpoint, folder / target, format=form, **STATIC)
    assert sorted(folder.rglob("*")) == before


# ---- What can not be had


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"imgs": 64}, errors.UnknownOption, "Did you mean 'imgsz'"),
        ({"format": "engine"}, errors.UnsupportedOption, "one of onnx, openvino, got 'engine'"),
        ({"int8": True}, errors.UnsupportedOption, "int8=True is not available"),
        ({"opset": 11}, errors.UnsupportedOption, "opset=11"),
        ({"nms": True}, errors.UnsupportedOption, "take nms=False"),
        ({"imgsz": "big"}, errors.InvalidOption, "imgsz"),
        ({"imgsz": 0}, errors.InvalidOption, "imgsz must be at least 1"),
        ({"imgsz": 100}, errors.InvalidOption, r"best\.pt.* stride, 8|stride, 8"),
        ({"batch": 0}, errors.InvalidOption, "batch must be at least 1"),
        ({"half": "yes"}, errors.InvalidOption, "half must be True or False"),
    ],
)
def test_what_can_not_be_asked_for(
    checkpoint: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with YOLO(checkpoint) as model, pytest.raises(error, match=message):
        model.export(**options)
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_none_asks_for_the_default() -> None:
    names = ("format", "imgsz", "dynamic", "half", "batch", "nms", "int8", "opset", "workspace")
    assert parse_export_options(dict.fromkeys(names)) == ExportOptions()


@pytest.mark.slow
def test_what_is_exported_already(checkpoint: Path) -> None:
    source = exported(checkpoint, **STATIC)
    with YOLO(source) as model:
        with pytest.raises(errors.UnsupportedModel, match=r"best\.onnx: expected a checkpoint \(\.pt\)"):
            model.export(format="onnx")
        for options in ({"imgsz": 96}, {"dynamic": True}, {"batch": 2}, {"nms": False}):
            with pytest.raises(errors.UnsupportedOption, match=r"export its checkpoint"):
                model.export(format="openvino", **options)  # type: ignore[arg-type]
        folder = Path(model.export(format="openvino"))
    with YOLO(folder) as model, pytest.raises(errors.UnsupportedModel, match=r"expected a checkpoint \(\.pt\)"):
        model.export(format="openvino")


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"?")
    with pytest.raises(errors.InvalidModel, match=r"bad\.onnx"):
        exported(tmp_path / "bad.onnx", format="openvino")
    with pytest.raises(errors.ModelNotFound, match=r"best\.pt"):
        exported(tmp_path / "best.pt")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]


@pytest.mark.parametrize("files", ["a.xml b.xml", "a.xml", "", "a.xml b.bin", "a.bin a.xml notes.txt"])
def test_a_folder_that_is_no_openvino_model_is_never_replaced(tmp_path: Path, files: str) -> None:
    """Seen to delete a folder of annotations, which are .xml files too."""
    folder = tmp_path / "annotations"
    folder.mkdir()
    for name in files.split():
        (folder / name).write_text("<annotation/>")
    with pytest.raises(errors.InvalidOption, match="not replaced"):
        export_model(CHECKPOINTS / "v8-detect.pt", parse_export_options({"format": "openvino"}), folder)
    assert sorted(path.name for path in folder.iterdir()) == files.split()


def test_a_link_to_an_openvino_model_is_not_replaced(tmp_path: Path) -> None:
    options = parse_export_options({"format": "openvino"})
    real = export_model(CHECKPOINTS / "v8-detect.pt", options, tmp_path / "real")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(errors.InvalidOption, match="not replaced"):
        export_model(CHECKPOINTS / "v8-detect.pt", options, tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
