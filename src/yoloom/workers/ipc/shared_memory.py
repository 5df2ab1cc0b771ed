"""Memory without a name: slots that a parent shares with one worker, and weights that all workers share, sealed.

```
parent: create ──▶ leader: write, seal ──▶ followers: view
```
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import SharedMemoryFull

MIB = 2**20

SMALLEST = 2**20
"""Bytes of a slot that has seen nothing large."""

STEP = 2**16
"""Sizes of slots are multiples of it, so that images of nearly one size do not resize them."""

MEMORY = 64
"""Images after which a slot shrinks, when none of them needed half of it."""


class SharedMemory:
    """Bytes behind a file descriptor.

    The memory has no name in any folder, so nothing is left of it when both processes end, however they end, and no
    resource tracker has to know it.

    Thread safety: one thread at a time in each process. Parent and worker take turns: the parent writes before it sends
    a request, and the worker reads until it has answered.

    Args:
        descriptor: A descriptor of memory that exists; from now on it belongs to this object.

    Attributes:
        size: The size in bytes, changed by `resize` and `follow` alone.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._view: NDArray[np.uint8] | None = None

    @classmethod
    def create(cls, size: int) -> SharedMemory:
        """Make new memory of `size` bytes. Raises SharedMemoryFull."""
        try:
            descriptor = os.memfd_create("yoloom", os.MFD_CLOEXEC)
        except (AttributeError, OSError):  # another system than Linux, or a sandbox that forbids it
            with tempfile.TemporaryFile(prefix="yoloom-") as file:
                descriptor = os.dup(file.fileno())
        memory = cls(descriptor)
        try:
            memory.resize(size)
        except BaseException:
            memory.close()
            raise
        return memory

    def resize(self, size: int) -> None:
        """Change to `size` bytes, all of which exist: touching them can not fail later. Raises SharedMemoryFull."""
        # To touch a mapped page that the file no longer has is a SIGBUS. So the mapping goes before the size changes,
        # and the worker does the same in `follow`, before it touches the slot for the next request.
        self._view = None
        try:
            os.ftruncate(self.descriptor, size)
            # Without it a system that is short of memory kills whichever process touches the page that is missing.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self.descriptor, 0, size)
            self._view = _mapped(self.descriptor, size, writable=True)
        except (OSError, MemoryError) as error:
            # Not longer than before: what was reserved in part would stay taken. Nor taken for longer than it is.
            self.size = min(size, self.size)
            os.ftruncate(self.descriptor, self.size)
            raise SharedMemoryFull(
                f"an image needs {-(-size // MIB)} MiB of shared memory: {getattr(error, 'strerror', error)}. Send a "
                "smaller one, or raise the limit of the container's memory or of the size of files."
            ) from error
        self.size = size

    def follow(self, size: int) -> None:
        """Note that the other process has changed the size to `size` bytes."""
        if size != self.size:
            self._view = None
            self.size = size

    def view(self, writable: bool = True) -> NDArray[np.uint8]:
        """Map all bytes as a uint8 array (size,). Later changes of the size leave arrays of before as they are.

        Raises MemoryError in a process that may not map so much.
        """
        if self._view is None:
            self._view = _mapped(self.descriptor, self.size, writable)
        return self._view

    def close(self) -> None:
        """Release the memory. What was mapped stays until its last array is gone. Idempotent."""
        self._view = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _mapped(descriptor: int, size: int, writable: bool) -> NDArray[np.uint8]:
    # The array keeps the mapping alive, and the mapping keeps the memory, also when the descriptor is closed.
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    try:
        return np.frombuffer(mmap.mmap(descriptor, size, mmap.MAP_SHARED, access), np.uint8)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise MemoryError(f"{size} bytes can not be mapped: {error.strerror}") from error


class SlotSize:
    """Decides how large a worker's slot should be, from the images that went through it. Pure.

    Thread safety: one thread at a time.
    """

    def __init__(self) -> None:
        self.size = SMALLEST
        self._seen = 0
        self._largest = 0

    def fit(self, needed: int) -> int:
        """Return the size in bytes for an image of `needed` bytes: a slot grows at once, and shrinks late."""
        rounded = max(-(-needed // STEP) * STEP, SMALLEST)
        self._seen += 1
        self._largest = max(self._largest, rounded)
        if rounded > self.size or self._seen >= MEMORY:
            if rounded > self.size or self._largest * 2 <= self.size:
                self.size = self._largest
            self._seen = self._largest = 0
        return self.size


with contextlib.suppress(ImportError, AttributeError):  # no memory can be sealed there: `create` gives None
    import fcntl

    _SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


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
        return fcntl.fcntl(self.descriptor, fcntl.F_GET_SEALS) & _SEALS == _SEALS

    def write(self, data: memoryview) -> None:
        """Write the network, over whatever an earlier leader has begun. Raises OSError, when there is no room."""
        os.ftruncate(self.descriptor, 0)
        written = 0
        while written < len(data):
            written += os.pwrite(self.descriptor, data[written:], written)

    def seal(self) -> None:
        """Let nobody change it from now on, this process included. Raises OSError."""
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)

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
