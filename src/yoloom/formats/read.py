"""A path → its `Model`, by what kind of file it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from yoloom.errors import InvalidModel, ModelNotFound, UnsupportedModel
from yoloom.formats.model import Graph, Model
from yoloom.formats.onnx_file import read_onnx
from yoloom.formats.openvino_ir import read_openvino_ir
from yoloom.formats.signature import Signature, describe


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


def refuse_unreadable(name: object) -> None:
    """Raise for what can not be a model that this version reads, whether or not it exists."""
    if not isinstance(name, (str, os.PathLike)):
        raise ModelNotFound(f"expected the path or the name of a model, got {type(name).__name__}.")
    path = Path(os.fsdecode(name))
    if path.suffix == ".pt":
        raise UnsupportedModel(
            f"{path}: checkpoints are not read by this version. Export it once, where Ultralytics is installed: "
            f"yolo export model={path.name} format=onnx dynamic=True"
        )


def _reader(path: Path) -> Callable[[Path], tuple[Graph, Signature, Mapping[str, Any]]]:
    refuse_unreadable(path)
    if path.is_dir() or path.suffix == ".xml":
        return read_openvino_ir
    if path.suffix == ".onnx":
        return read_onnx
    raise UnsupportedModel(
        f"{path}: expected an .onnx file or an OpenVINO IR folder, got {path.suffix or 'no suffix'}."
    )
