"""The file of a checkpoint as bytes: what can be said of it without reading what is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoloom.errors import InvalidModel, ModelError, ModelNotFound
from yoloom.formats.protobuf import mapped

CONVERTER = 1
"""Goes up when the same checkpoint becomes another network, so that no converted one from before is taken for it."""


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors about a model that come from inside say which file they are about."""
    try:
        yield
    except ModelNotFound:
        raise
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def mapped_checkpoint(path: Path) -> memoryview:
    """The bytes of the file, read when they are looked at. Raises ModelNotFound or InvalidModel."""
    try:
        if path.is_dir():
            raise InvalidModel("a folder, expected a checkpoint file (.pt).")
        if not path.is_file():  # a pipe or a device would be read for ever
            raise ModelNotFound(f"no such model: {path}")
        if path.stat().st_size == 0:
            raise InvalidModel("the file is empty. Copy or download it again.")
        return mapped(path)
    except ModelError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long or holds a NUL, a file that just shrank
        raise InvalidModel(f"it can not be read: {error}") from error
