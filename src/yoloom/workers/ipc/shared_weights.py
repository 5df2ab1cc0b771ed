"""The network as one worker has compiled it, in memory that the kernel seals against any change.

```
parent: create ──▶ leader: write, seal ──▶ followers: view
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
    """Memory behind a file descriptor, without a name: it goes with its last user.

    Thread safety: one thread at a time in each process.

    Args:
        descriptor: A descriptor of memory that exists; from now on it belongs to this object.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def create(cls) -> SharedNetwork | None:
        """Make empty memory; None on a system where none can be sealed (other than Linux, some sandboxes)."""
        try:
            return cls(os.memfd_create("yoloom-network", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
        except (AttributeError, OSError):
            return None

    @property
    def is_sealed(self) -> bool:
        """Whether the whole network was written, and nobody can change it any more."""
        # A leader seals after its last byte: one that ends half-way leaves memory without seals, and the next one
        # writes it anew. So no worker ever maps half a network.
        seals = _seals()
        return fcntl.fcntl(self.descriptor, fcntl.F_GET_SEALS) & seals == seals

    def write(self, data: memoryview) -> None:
        """Write the network, over whatever an earlier leader has begun. Raises OSError, when there is no room."""
        os.ftruncate(self.descriptor, 0)
        written = 0
        while written < len(data):
            written += os.pwrite(self.descriptor, data[written:], written)

    def seal(self) -> None:
        """Let nobody change it from now on, this process included. Raises OSError."""
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _seals())

    def view(self) -> NDArray[np.uint8]:
        """Map all bytes as a uint8 array (size,). Pages are shared by all processes until one writes to them."""
        # OpenVINO takes only what may be written to; it writes nothing, and if it did, into pages of its own.
        access = mmap.PROT_READ | mmap.PROT_WRITE
        size = os.fstat(self.descriptor).st_size
        return np.frombuffer(mmap.mmap(self.descriptor, size, mmap.MAP_PRIVATE, access), np.uint8)

    def close(self) -> None:
        """Release the memory. What was mapped stays. Idempotent."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _seals() -> int:
    return sum(int(getattr(fcntl, name)) for name in _SEALS)
