"""From a path to its model file, and from that to a `Model`.

```
path ─▶ find_files ─▶ ModelFile ─▶ describe ─▶ Model
```
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path

from yoloom.errors import InvalidModel, ModelNotFound, UnsupportedModel
from yoloom.formats.model import Model, ModelFile
from yoloom.formats.onnx_file import read_onnx
from yoloom.formats.openvino_ir import find_openvino_ir, read_openvino_ir
from yoloom.formats.signature import interpret


def find_files(path: Path) -> ModelFile:
    """Find what belongs to the `.onnx` file or OpenVINO IR folder (or the `.xml` in it) at `path`. Reads nothing yet.

    Raises:
        ModelNotFound: There is no such file, or a part of it is missing.
        UnsupportedModel: It is a file of another kind. Checkpoints are found by `yoloom.store.locate`.
    """
    check_exists(path)
    if path.is_dir() or path.suffix == ".xml":
        return find_openvino_ir(path)
    if path.suffix == ".onnx":
        return ModelFile("onnx", (path,))
    raise UnsupportedModel(
        f"{path}: expected a .pt or .onnx file or an OpenVINO IR folder, got {path.suffix or 'no suffix'}: give the "
        "checkpoint (.pt) that it was made from, or export that to ONNX."
    )


def check_exists(path: Path) -> None:
    """Raise ModelNotFound unless `path` is a file or a folder: a pipe or a device would be read for ever."""
    try:
        exists = path.is_file() or path.is_dir()
    except OSError:  # a name that is too long
        exists = False
    if not exists:
        text = str(path)
        raise ModelNotFound(
            f"no such model: {text if len(text) <= 300 else f'{text[:40]}... ({len(text)} characters)'}"
        )


def describe(
    file: ModelFile,
    task: str | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
    layout: str | None = None,
) -> Model:
    """Read what a model file declares: shapes, task, names, operators. Executes nothing.

    Thread safety: any number of threads.

    Args:
        file: The files, from `find_files` or `yoloom.store.locate`. A checkpoint is converted first, where no
            conversion of it is kept.
        task: Overrides the task that the file states.
        names: Overrides the class names that the file states.
        layout: The form of the first output, where the file does not prove it: one of `LAYOUTS`.

    Raises:
        InvalidModel: The file is damaged, contradicts itself or holds no YOLO network.
        UnsupportedModel: It needs something that yoloom does not have, or could be read in more ways than one.
        InvalidOption: No such layout.
        UnsupportedTask: Its task is none of `TASKS`.
    """
    try:
        reader = read_openvino_ir if file.format == "openvino" else read_onnx
        signature, notes = reader(file)
    except OSError as error:
        if isinstance(error, ModelNotFound) or error.errno in (errno.ENOMEM, errno.EAGAIN):  # no fault of the file
            raise
        raise InvalidModel(f"{file.path} can not be read: {error.strerror or error}") from error
    return interpret(file, signature, notes, task, names, layout)


def read_model(
    path: Path,
    task: str | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
    layout: str | None = None,
) -> Model:
    """Describe the `.onnx` file or OpenVINO IR folder at `path`, see `find_files` and `describe`."""
    return describe(find_files(path), task, names, layout)
