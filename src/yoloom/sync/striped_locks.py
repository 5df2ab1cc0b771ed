"""A fixed number of locks for any number of objects."""

from __future__ import annotations

import threading

from yoloom.sync.fork import after_fork_in_child

COUNT = 64


class StripedLocks:
    """Locks that are assigned to objects by their address; two objects may share one, and then wait for each other.

    In a forked child all of them are free. Meant for module level: an instance stays for the life of the process.

    Thread safety: any number of threads.
    """

    def __init__(self) -> None:
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def of(self, thing: object) -> threading.Lock:
        """Return the lock of an object, the same one for as long as the object lives."""
        return self._locks[(id(thing) >> 6) % COUNT]  # the lowest bits of all addresses are the same

    def _reset_after_fork(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(COUNT))
