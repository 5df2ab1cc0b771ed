"""A run of numbers in the file that tensors look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from yoloom.errors import InvalidModel, UnsupportedModel
from yoloom.formats.checkpoint.pickled.allowed_globals import STORAGES, Global, Meaning
from yoloom.formats.checkpoint.pickled.archive import Member
from yoloom.formats.checkpoint.pickled.wording import shown

DTYPES: dict[str, np.dtype[Any]] = {
    "float64": np.dtype("<f8"),
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),  # numpy has none: taken as bits
    "int64": np.dtype("<i8"),
    "int32": np.dtype("<i4"),
    "int16": np.dtype("<i2"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
    "bool": np.dtype("u1"),  # a byte from a file need not be 0 or 1
}
"""torch's name of a type -> how its numbers lie in the file."""


@dataclass(frozen=True, eq=False)
class Storage:
    """`size` numbers of one type, mapped and not read. Immutable: shared freely."""

    dtype: str
    member: Member

    @property
    def itemsize(self) -> int:
        return DTYPES[self.dtype].itemsize

    @property
    def size(self) -> int:
        return len(self.member.content) // self.itemsize

    @cached_property
    def numbers(self) -> npt.NDArray[Any]:
        """All of them as a flat, read-only view. Raises InvalidModel when they do not match their checksum."""
        return np.frombuffer(self.member.checked(), DTYPES[self.dtype])


class Storages:
    """The storages of one archive, each with the one type that the pickle gives it."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._found: dict[str, Storage] = {}

    def find(self, wanted: Any) -> Storage:
        """The storage for a persistent id: ("storage", type, key, device, number of elements)."""
        if not (type(wanted) is tuple and len(wanted) == 5 and wanted[0] == "storage"):
            raise InvalidModel("its pickle asks for a storage in a way that torch does not.")
        _, kind, key, device, size = wanted
        if type(kind) is not Global or type(key) is not str or type(device) is not str:
            raise InvalidModel("its pickle asks for a storage in a way that torch does not.")
        if f"data/{key}" not in self._members:
            raise InvalidModel(f"its pickle asks for the storage {shown(key)}, which the archive does not have.")
        if kind.meaning is not Meaning.STORAGE:
            raise UnsupportedModel(f"storage {key} holds {kind.name}, expected one of {', '.join(DTYPES)}.")
        storage = self._found.setdefault(key, Storage(STORAGES[kind.name], self._members[f"data/{key}"]))
        self._check(storage, kind, size)
        return storage

    def _check(self, storage: Storage, kind: Global, size: Any) -> None:
        content = len(storage.member.content)
        if storage.dtype != STORAGES[kind.name] or type(size) is not int or size * storage.itemsize != content:
            raise InvalidModel(
                f"{storage.member.name} has {content} bytes of {storage.dtype}, "
                f"but its pickle expects {shown(size)} x {STORAGES[kind.name]}."
            )
