"""The values in a checkpoint: modules, tensors, and marks for those that have no meaning here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from yoloom.formats.checkpoint.pickled.storage import Storage


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
