"""A path → its `Checkpoint`."""

from __future__ import annotations

from pathlib import Path

from yoloom.formats.checkpoint.describe import Checkpoint, describe
from yoloom.formats.checkpoint.file import mapped_checkpoint, named
from yoloom.formats.checkpoint.pickled.archive import read_archive
from yoloom.formats.checkpoint.pickled.unpickle import unpickle
from yoloom.formats.checkpoint.sniff import check_kind


def read_checkpoint(path: Path) -> Checkpoint:
    """Read an Ultralytics `.pt` as data: nothing in it is run, and its weights stay in the file until used.

    Raises ModelNotFound; InvalidModel for a file that is damaged, contradicts itself or holds no whole network;
    UnsupportedModel for names that do not belong in a checkpoint and for other kinds of files; UnsupportedTask.
    Any thread. The file must keep its length for as long as the weights are used: replace it, do not write into it.
    """
    with named(path):
        return parse_checkpoint(mapped_checkpoint(path))


def parse_checkpoint(data: memoryview) -> Checkpoint:
    """The checkpoint that the bytes of a file hold, as `read_checkpoint` does; its tensors look at `data`."""
    check_kind(data)
    return describe(unpickle(read_archive(data), len(data)))
