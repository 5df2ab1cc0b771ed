"""A thread that does what finalizers may not.

The garbage collector can run a finalizer in the middle of any line, under whatever lock that thread holds at the time.
A finalizer that takes a lock can therefore wait for its own thread, for ever. So it only leaves a chore here, which
`SimpleQueue.put` promises to take at any moment, and the keeper's thread does it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

log = logging.getLogger("yoloom.engine")

Chore = Callable[[], object]


class Keeper:
    """Runs chores, one after the other. `later` may be called by anybody, finalizers included."""

    def __init__(self) -> None:
        self._chores: queue.SimpleQueue[Chore | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="yoloom-keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def later(self, chore: Chore) -> None:
        self._chores.put(chore)

    def stop(self) -> None:
        """Do what was left until now, then end. Waits for it, except in a chore."""
        self._chores.put(None)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _work(self) -> None:
        while (chore := self._chores.get()) is not None:
            try:
                chore()
            except Exception:
                log.exception("a chore left by a finalizer failed")
            del chore
