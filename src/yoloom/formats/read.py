"""A path → its `Model`, by what kind of file it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from yoloom.errors import InvalidModel, ModelNotFound, UnsupportedModel
from yoloom.formats.model import Model
from yoloom.formats.onnx_file import read_onnx
from yoloom.formats.openvino_ir import read_openvino_ir
from yoloom.formats.signature import describe


def read_model(path: Path, task: str | None = None, names: Mapping[int, str] | Sequence[str] | None = None) -> Model:
    """Read what `path` (an `.onnx` file or an OpenVINO IR folder) says; `task` and `names` override it.

    Raises ModelNotFound, InvalidModel, UnsupportedModel or UnsupportedTask. Any thread; executes nothing.
    """
    if not _is_there(path):
        raise ModelNotFound(f"no such model: {path}")
    reader = _reader(path)
    try:
        graph, signature, notes = reader(path)
    except OSError as error:
        if isinstance(error, ModelNotFound):
            raise
        raise InvalidModel(f"{path} can not be read: {error.strerror or error}") from error
    return describe(graph, signature, notes, task, names)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file() or path.is_dir()  # a pipe or a device would be read for ever
    except OSError:  # a name that is too long
        return False


def _reader(path: Path):  # type: ignore[no-untyped-def]
    if path.is_dir() or path.suffix == ".xml":
        return read_openvino_ir
    if path.suffix == ".onnx":
        return read_onnx
    if path.suffix == ".pt":
        raise UnsupportedModel(
            f"{path}: checkpoints are not read by this version. Export it once, where Ultralytics is installed: "
            f"yolo export model={path.name} format=onnx dynamic=True"
        )
    raise UnsupportedModel(
        f"{path}: expected an .onnx file or an OpenVINO IR folder, got {path.suffix or 'no suffix'}."
    )
