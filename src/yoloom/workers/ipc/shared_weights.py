"""The network as a worker has compiled it, in memory that nobody can change any more.

```
parent: create ──▶ the worker that gives: write, seal ──▶ the workers that take: view
```
"""

from __future__ import annotations

import contextlib
import mmap
import os

import numpy as np
from numpy.typing import NDArray

with contextlib.suppress(ImportError):  # Windows has none, and no memory that can be sealed: `create` gives None there
    import fcntl

_SEALS = ("F_SEAL_WRITE", "F_SEAL_GROW", "F_SEAL_SHRINK", "F_SEAL_SEAL")


class SharedNetwork:
    """Memory behind a file descriptor, without a name: it goes with its last user. One thread at a time."""

    def __init__(self, descriptor: int) -> None:
        """descriptor: of memory that exists, which then belongs to this object."""
        self.descriptor = descriptor

    @classmethod
    def create(cls) -> SharedNetwork | None:
        """Empty memory; None on a system without such that can be sealed (other than Linux, some sandboxes)."""
        try:
            return cls(os.memfd_create("yoloom-network", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        except (AttributeError, OSError):
            return None

    @property
    def is_sealed(self) -> bool:
        """Whether something was written, all of it, and nobody can change it any more."""
        seals = _seals()
        return fcntl.fcntl(self.descriptor, fcntl.F_GET_SEALS) & seals == seals

    def write(self, data: memoryview) -> None:
        """What earlier workers have begun to write goes. Raises OSError, where there is no room for example."""
        os.ftruncate(self.descriptor, 0)
        written = 0
        while written < len(data):
            written += os.pwrite(self.descriptor, data[written:], written)

    def seal(self) -> None:
        """From now on nobody can change it, this process included. Raises OSError."""
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _seals())

    def view(self) -> NDArray[np.uint8]:
        """All bytes (size,), mapped for as long as the array lives. Pages are everybody's until one is written to."""
        # OpenVINO takes only what may be written to; it writes nothing, and if it did, into pages of its own.
        access = mmap.PROT_READ | mmap.PROT_WRITE
        size = os.fstat(self.descriptor).st_size
        return np.frombuffer(mmap.mmap(self.descriptor, size, mmap.MAP_PRIVATE, access), np.uint8)

    def close(self) -> None:
        """Let go. What was mapped stays. Idempotent."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _seals() -> int:
    return sum(int(getattr(fcntl, name)) for name in _SEALS)
