"""The pickle in a checkpoint → a tree of plain values. Nothing that it names is imported or called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.pickled.allowed_globals import find_global
from yoloom.formats.checkpoint.pickled.archive import Member
from yoloom.formats.checkpoint.pickled.pickle_machine import PickleMachine
from yoloom.formats.checkpoint.pickled.storage import Storages
from yoloom.formats.checkpoint.pickled.tree_builder import TreeBuilder

# What tensors and texts may take together when each use counts: a sound file needs its own size.
_SPARE_BYTES = 2**20


def unpickle(members: Mapping[str, Member], file_bytes: int) -> Any:
    """What `data.pkl` holds, as the values that `Module.attributes` lists, for a file of `file_bytes`.

    Raises UnsupportedModel for a name that does not belong in a checkpoint, InvalidModel for anything that is
    damaged, contradicts itself or is absurdly large; time and memory are bounded.
    """
    _check_byte_order(members)
    noted = PickleMachine(members["data.pkl"].checked(), find_global, Storages(members).find).run()
    return TreeBuilder(max_bytes=2 * file_bytes + _SPARE_BYTES).grow(noted)


def _check_byte_order(members: Mapping[str, Member]) -> None:
    said = members.get("byteorder")  # torch before 2.1 does not say
    if said is not None and bytes(said.content[:10]) != b"little":
        raise UnsupportedModel("its numbers lie in big-endian order. Save it again on another machine.")
