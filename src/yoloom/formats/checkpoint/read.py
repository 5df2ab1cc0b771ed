"""A path → its `Checkpoint`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from yoloom.errors import InvalidModel, ModelError, ModelNotFound
from yoloom.formats.checkpoint.archive import read_archive
from yoloom.formats.checkpoint.describe import Checkpoint, describe
from yoloom.formats.checkpoint.sniff import check_kind
from yoloom.formats.checkpoint.unpickle import unpickle
from yoloom.formats.protobuf import mapped


def read_checkpoint(path: Path) -> Checkpoint:
    """Read an Ultralytics `.pt` as data: nothing in it is run, and its weights stay in the file until used.

    Raises ModelNotFound; InvalidModel for a file that is damaged, contradicts itself or holds no whole network;
    UnsupportedModel for names that do not belong in a checkpoint and for other kinds of files; UnsupportedTask.
    Any thread. The file must keep its length for as long as the weights are used: replace it, do not write into it.
    """
    with named(path):
        return parse_checkpoint(mapped_checkpoint(path))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Errors about a model that come from inside say which file they are about."""
    try:
        yield
    except ModelNotFound:
        raise
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def parse_checkpoint(data: memoryview) -> Checkpoint:
    """The checkpoint that the bytes of a file hold, as `read_checkpoint` does; its tensors look at `data`."""
    check_kind(data)
    return describe(unpickle(read_archive(data), len(data)))


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
