"""Storages: runs of numbers in the file, which tensors are views of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from yoloom.errors import InvalidModel, UnsupportedModel
from yoloom.formats.checkpoint.pickled.allowed_globals import STORAGES, Global, Meaning, short_repr
from yoloom.formats.checkpoint.pickled.archive import Member

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
"""torch's name of a type → how its numbers lie in the file."""


@dataclass(frozen=True, eq=False)
class Storage:
    """A run of numbers of one type, mapped and not read. Immutable.

    Thread safety: any number of threads.

    Attributes:
        dtype: torch's name of their type, such as "float16".
        member: where they lie in the archive.
    """

    dtype: str
    member: Member

    @property
    def itemsize(self) -> int:
        """The bytes of one number."""
        return DTYPES[self.dtype].itemsize

    @property
    def size(self) -> int:
        """The count of numbers."""
        return len(self.member.content) // self.itemsize

    @cached_property
    def numbers(self) -> npt.NDArray[Any]:
        """All numbers as a flat, read-only view of the file.

        Raises:
            InvalidModel: the bytes do not match their checksum.
        """
        # Two threads may compute this at once: both get a view of the same bytes, and either may be kept.
        return np.frombuffer(self.member.checked(), DTYPES[self.dtype])


class Storages:
    """The storages of one archive, each with the one type that the pickle gives it.

    Thread safety: one thread at a time.
    """

    def __init__(self, members: Mapping[str, Member]) -> None:
        self._members = members
        self._by_key: dict[str, Storage] = {}

    def find(self, persistent_id: Any) -> Storage:
        """Find the storage that the pickle asks for.

        Args:
            persistent_id: ("storage", type, key, device, number of elements), as torch writes it; anything, in a
                file that torch did not write.

        Raises:
            InvalidModel: the archive does not have it, or not in this size and type.
            UnsupportedModel: yoloom does not know the type of its numbers.
        """
        if not (type(persistent_id) is tuple and len(persistent_id) == 5 and persistent_id[0] == "storage"):
            raise InvalidModel("its pickle asks for a storage in a way that torch does not.")
        _, kind, key, device, size = persistent_id
        if type(kind) is not Global or type(key) is not str or type(device) is not str:
            raise InvalidModel("its pickle asks for a storage in a way that torch does not.")
        member = self._members.get(f"data/{key}")
        if member is None:
            raise InvalidModel(f"its pickle asks for the storage {short_repr(key)}, which the archive does not have.")
        if kind.meaning is not Meaning.STORAGE:
            raise UnsupportedModel(f"storage {key} holds {kind.name}, expected one of {', '.join(DTYPES)}.")
        # The first use decides the type; one that differs later would read the same bytes as other numbers.
        dtype = STORAGES[kind.name]
        storage = self._by_key.setdefault(key, Storage(dtype, member))
        if storage.dtype != dtype or type(size) is not int or size * storage.itemsize != len(member.content):
            raise InvalidModel(
                f"{member.name} has {len(member.content)} bytes of {storage.dtype}, "
                f"but its pickle expects {short_repr(size)} x {dtype}."
            )
        return storage
