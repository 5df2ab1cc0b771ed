"""From the members of an archive to a tree of plain values. Nothing that the pickle names is imported or called.

```
data.pkl ─▶ PickleMachine ─▶ recorded calls ─▶ TreeBuilder ─▶ Module, Tensor, plain values
            names: find_global                 sizes: SizeLimits
            data/N: Storages
```
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.pickled.allowed_globals import find_global
from yoloom.formats.checkpoint.pickled.archive import Member
from yoloom.formats.checkpoint.pickled.pickle_machine import PickleMachine
from yoloom.formats.checkpoint.pickled.tree import Storages
from yoloom.formats.checkpoint.pickled.tree_builder import TreeBuilder

# Texts and tensors may take together, each use counted, twice the file and this: a sound file needs its own size.
_SPARE_BYTES = 2**20


def unpickle(members: Mapping[str, Member], file_bytes: int) -> Any:
    """Read `data.pkl` of an archive as data, in bounded time and memory.

    Args:
        members: the archive's members by name.
        file_bytes: the length of the whole file, which bounds what the values may take.

    Returns:
        The value in it, of a type that `Module.attributes` lists.

    Raises:
        UnsupportedModel: it uses a name that does not belong in a checkpoint, or was written on a big-endian machine.
        InvalidModel: it is damaged, contradicts itself or is absurdly large.
    """
    byte_order = members.get("byteorder")  # torch before 2.1 does not write it
    if byte_order is not None and bytes(byte_order.content[:10]) != b"little":
        raise UnsupportedModel("its numbers lie in big-endian order. Save it again on another machine.")
    recorded = PickleMachine(members["data.pkl"].checked(), find_global, Storages(members).find).run()
    return TreeBuilder(max_bytes=2 * file_bytes + _SPARE_BYTES).build(recorded)
