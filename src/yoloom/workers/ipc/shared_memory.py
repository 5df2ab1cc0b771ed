"""Memory without a name, which a parent shares with one worker and which goes with the last of both."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import SharedMemoryFull

MIB = 2**20


class SharedMemory:
    """Bytes behind a file descriptor. One thread at a time in each process.

    It has no name in any folder, so nothing is left of it when both processes end, however they end. No resource
    tracker has to know it.
    """

    def __init__(self, descriptor: int) -> None:
        """descriptor: of memory that exists, which then belongs to this object."""
        self.descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._view: NDArray[np.uint8] | None = None

    @classmethod
    def create(cls, size: int) -> SharedMemory:
        """New memory of `size` bytes. Raises SharedMemoryFull."""
        made = cls(_file_without_a_name())
        try:
            made.resize(size)
        except BaseException:
            made.close()
            raise
        return made

    @property
    def size(self) -> int:
        return self._size

    def resize(self, size: int) -> None:
        """Change to `size` bytes, all of which are there: touching them can not fail later. Raises SharedMemoryFull."""
        self._view = None
        try:
            os.ftruncate(self.descriptor, size)
            _reserve(self.descriptor, size)
            self._view = _mapped(self.descriptor, size, writable=True)
        except (OSError, MemoryError) as error:
            os.ftruncate(self.descriptor, min(size, self._size))
            raise SharedMemoryFull(
                f"an image needs {-(-size // MIB)} MiB of shared memory: {getattr(error, 'strerror', error)}. Send a "
                "smaller one, or raise the limit of the container's memory or of the size of files."
            ) from error
        self._size = size

    def follow(self, size: int) -> None:
        """The other process has changed it to `size` bytes."""
        if size != self._size:
            self._view = None
            self._size = size

    def view(self, writable: bool = True) -> NDArray[np.uint8]:
        """All bytes (size,), mapped. Later changes of the size leave an array that was handed out as it is.

        Raises MemoryError in a process that may not map so much.
        """
        if self._view is None:
            self._view = _mapped(self.descriptor, self._size, writable)
        return self._view

    def close(self) -> None:
        """Let go. What was mapped stays until its last array is gone. Idempotent."""
        self._view = None
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def _file_without_a_name() -> int:
    try:
        return os.memfd_create("yoloom", os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # another system than Linux, or a sandbox that forbids it
        with tempfile.TemporaryFile(prefix="yoloom-") as file:
            return os.dup(file.fileno())


def _mapped(descriptor: int, size: int, writable: bool) -> NDArray[np.uint8]:
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    try:
        return np.frombuffer(mmap.mmap(descriptor, size, mmap.MAP_SHARED, access), np.uint8)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        raise MemoryError(f"{size} bytes can not be mapped: {error.strerror}") from error


def _reserve(descriptor: int, size: int) -> None:
    # Without it a system that is short of memory kills whoever touches the page that is missing.
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
