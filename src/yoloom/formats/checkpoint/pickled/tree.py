"""What a checkpoint holds, as plain values: modules, tensors, and marks for what has no meaning here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from yoloom.formats.checkpoint.pickled.storage import Storage


@dataclass(frozen=True, eq=False)
class Tensor:
    """Numbers that lie in the file, taken when they are asked for. Immutable: shared freely.

    shape and stride: in elements. dtype: torch's name, such as "float16". Never reaches outside of its storage.
    """

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    storage: Storage

    @property
    def dtype(self) -> str:
        return self.storage.dtype

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    def numpy(self) -> npt.NDArray[Any]:
        """A read-only view on the mapped file; of bfloat16 and bool, a new array of float32 and bool.

        Raises InvalidModel when the bytes do not match their checksum in the file.
        """
        flat = self.storage.numbers
        strides = [step * flat.itemsize for step in self.stride]
        array: npt.NDArray[Any] = np.ndarray(self.shape, flat.dtype, flat.data, self.offset * flat.itemsize, strides)
        return _CONVERSIONS[self.dtype](array) if self.dtype in _CONVERSIONS else array


@dataclass(frozen=True, eq=False)
class Module:
    """One module of the network: no code, only what the file says about it. Immutable: shared freely.

    cls: its class, such as "ultralytics.nn.modules.conv.Conv", under the name it has today.
    attributes: None, bool, int, float, str, list, tuple, dict, Tensor, Module or Opaque.
    parameters: its own parameters and buffers. children: the modules inside it, in order.
    """

    cls: str
    attributes: Mapping[str, Any]
    parameters: Mapping[str, Tensor]
    children: Mapping[str, Module]

    @property
    def kind(self) -> str:
        """The class without its package: "Conv". What to decide by: packages have changed between versions."""
        return self.cls.rpartition(".")[2]

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute, parameter or child of this name, as `module.name` finds it in Python."""
        for values in (self.attributes, self.parameters, self.children):
            if name in values:
                return values[name]
        return default

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module ("") and all below it by their dotted path ("model.0.conv"), parents first."""
        yield prefix, self
        for name, child in self.children.items():
            yield from child.walk(f"{prefix}.{name}" if prefix else name)


@dataclass(frozen=True)
class Opaque:
    """Something that belongs in a checkpoint and means nothing here: a path, a function, a loss."""

    name: str


def _widened(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """bfloat16, given as uint16, is the upper half of float32."""
    return (array.astype(np.uint32) << 16).view(np.float32)


_CONVERSIONS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "bfloat16": _widened,
    "bool": lambda array: array != 0,
}
