"""What the parts of a result answer when they are asked to move: they are on the CPU already."""

from __future__ import annotations

from typing import TypeVar

from yoloom.results.arrays import require_cpu
from yoloom.values import Frozen

T = TypeVar("T", bound="TorchLike")


class TorchLike(Frozen):
    """Base of frozen objects that hold numpy arrays, with the methods people call on torch's. Threads: anybody."""

    __slots__ = ()

    def cpu(self: T) -> T:
        """The object itself: it is on the CPU."""
        return self

    def numpy(self: T) -> T:
        """The object itself: its arrays are numpy arrays."""
        return self

    def to(self: T, device: object = "cpu") -> T:
        """The object itself. Raises `UnknownDevice` for anything but "cpu"."""
        require_cpu(device)
        return self

    def cuda(self: T) -> T:
        """Raise `UnknownDevice`: results live on the CPU."""
        return self.to("cuda")
