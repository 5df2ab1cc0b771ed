"""An account of the device memory that this process's models hold, so that several can share a card."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Hashable

from yoloom.sync.fork import after_fork_in_child


class MemoryLedger:
    """Bytes by device and owner. Thread safety: any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _bytes
        self._bytes: dict[str, dict[Hashable, int]] = defaultdict(dict)

    def charge(self, device: str, owner: Hashable, nbytes: int, limit: int | None = None) -> None:
        """Note that an owner now holds so many bytes, instead of what was noted for it before.

        Args:
            device: Name of the device, as "cuda:0".
            owner: Whoever holds the memory; 0 bytes strike it off.
            nbytes: All that it holds.
            limit: Most bytes that all owners on the device may hold together, as this owner wants it.

        Raises:
            MemoryError: The limit is passed. The old entry stays.
        """
        with self._lock:
            others = sum(held for other, held in self._bytes[device].items() if other != owner)
            if limit is not None and nbytes and others + nbytes > limit:
                raise MemoryError(f"{nbytes:,} bytes and {others:,} of other models are more than max_memory={limit:,}")
            self._bytes[device][owner] = nbytes
            if not nbytes:
                del self._bytes[device][owner]

    def total(self, device: str) -> int:
        """Bytes that all owners hold on a device."""
        with self._lock:
            return sum(self._bytes[device].values())

    def reset_after_fork(self) -> None:
        """Forget all: what the parent holds is not here, and a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._bytes = defaultdict(dict)


ledger = MemoryLedger()
"""The account of this process."""

after_fork_in_child(ledger.reset_after_fork)
