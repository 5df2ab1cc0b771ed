"""A few locks for any number of objects."""

from __future__ import annotations

import threading

from yoloom.sync.fork import after_fork_in_child

COUNT = 64


class StripedLocks:
    """Each object has one of them: two objects may share one, and then wait for each other. Shared freely.

    In a forked child all are free. For modules: one that is made stays for the life of the process.
    """

    def __init__(self) -> None:
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def of(self, thing: object) -> threading.Lock:
        return self._locks[(id(thing) >> 6) % COUNT]  # the lowest bits of all addresses are the same

    def _reset_after_fork(self) -> None:
        self._locks = tuple(threading.Lock() for _ in range(COUNT))
