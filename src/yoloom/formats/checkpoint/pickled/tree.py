"""The tree that a checkpoint stands for: modules, tensors and the storages that hold their numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True, eq=False)
class Tensor:
    """An array whose numbers lie in the file, and are read when they are asked for. Immutable.

    It never reaches outside of its storage: `rebuild_tensor` has checked that.

    Thread safety: any number of threads.

    Attributes:
        shape: the length of each axis.
        stride: the step of each axis, in elements.
        offset: the place of the first element in the storage, in elements.
        storage: the numbers.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage: Storage

    @property
    def dtype(self) -> str:
        """The type of the numbers by its name in torch, such as "float16"."""
        return self.storage.dtype

    @property
    def size(self) -> int:
        """The count of elements."""
        return math.prod(self.shape)

    def numpy(self) -> npt.NDArray[Any]:
        """Read the numbers.

        Returns:
            A read-only view of the mapped file, in the file's type; for bfloat16 and bool, a new array of float32 and
            of bool.

        Raises:
            InvalidModel: the bytes do not match their checksum in the file.
        """
        flat = self.storage.numbers
        strides = [step * flat.itemsize for step in self.stride]
        array: npt.NDArray[Any] = np.ndarray(self.shape, flat.dtype, flat.data, self.offset * flat.itemsize, strides)
        if self.dtype == "bfloat16":  # its bits are the upper half of those of a float32
            return (array.astype(np.uint32) << 16).view(np.float32)
        return array != 0 if self.dtype == "bool" else array


@dataclass(frozen=True, eq=False)
class Module:
    """A module of the network: its values in the file, without any code. Immutable.

    Thread safety: any number of threads.

    Attributes:
        cls: its class, such as "ultralytics.nn.modules.conv.Conv", under the name that it has today.
        attributes: None, bool, int, float, str, list, tuple, dict, Tensor, Module or Opaque, by name.
        parameters: its own parameters and buffers.
        children: the modules inside it, in order.
    """

    cls: str
    attributes: Mapping[str, Any]
    parameters: Mapping[str, Tensor]
    children: Mapping[str, Module]

    @property
    def kind(self) -> str:
        """The class without its package, such as "Conv". Decide by this: packages have changed between versions."""
        return self.cls.rpartition(".")[2]

    def get(self, name: str, default: Any = None) -> Any:
        """Find the attribute, parameter or child of this name, as `module.name` does in Python."""
        for values in (self.attributes, self.parameters, self.children):
            if name in values:
                return values[name]
        return default

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module ("") and all below it with their dotted path ("model.0.conv"), parents first."""
        yield prefix, self
        for name, child in self.children.items():
            yield from child.walk(f"{prefix}.{name}" if prefix else name)


@dataclass(frozen=True)
class Opaque:
    """A mark for a value that belongs in a checkpoint and has no use here: a path, a function, a loss. Immutable.

    Thread safety: any number of threads.
    """

    name: str
