"""A path → its `Model`, by what kind of file it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yoloom.errors import InvalidModel, ModelNotFound, UnsupportedModel
from yoloom.formats.model import Graph, Model
from yoloom.formats.onnx_file import read_onnx
from yoloom.formats.openvino_ir import read_openvino_ir
from yoloom.formats.signature import Signature, describe

if TYPE_CHECKING:
    from yoloom.formats.checkpoint.convert import Convert, Converted


def read_model(
    path: Path,
    task: str | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
    convert: Convert | None = None,
) -> Model:
    """Read what `path` (an `.onnx` or `.pt` file, an OpenVINO IR folder) says; `task` and `names` override it.

    convert: what makes an ONNX file of a checkpoint, in memory when None. Raises ModelNotFound, InvalidModel,
    UnsupportedModel or UnsupportedTask. Any thread; executes nothing.
    """
    if not _is_there(path):
        raise ModelNotFound(f"no such model: {path}")
    reader = _reader(path, convert)
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


def _reader(path: Path, convert: Convert | None) -> Callable[[Path], tuple[Graph, Signature, Mapping[str, Any]]]:
    if path.suffix == ".pt":
        return lambda path: _read_checkpoint(path, convert)
    if path.is_dir() or path.suffix == ".xml":
        return read_openvino_ir
    if path.suffix == ".onnx":
        return read_onnx
    raise UnsupportedModel(
        f"{path}: expected a .pt or .onnx file or an OpenVINO IR folder, got {path.suffix or 'no suffix'}."
    )


def _read_checkpoint(path: Path, convert: Convert | None) -> tuple[Graph, Signature, Mapping[str, Any]]:
    converted = _in_memory(path) if convert is None else convert(path)
    return Graph("onnx", (path,), converted), converted.signature, converted.notes


def _in_memory(path: Path) -> Converted:
    from yoloom.formats.checkpoint.convert import convert_in_memory  # here, because it takes a while to import

    return convert_in_memory(path)
