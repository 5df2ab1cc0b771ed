"""Where lanes wait for something to do. The last that came is the first to be woken."""

from __future__ import annotations

import threading

from yoloom.sync.counted_lock import CountedLock


class LifoCondition:
    """Threads that wait under a lock, as in a `threading.Condition`, but in the other order. For whoever holds it.

    A runtime keeps things for each thread that calls it (OpenVINO: its share of a pool, which spins for a moment after
    each run). Were lanes woken in turn, a lone caller would have a cold one for each image: a tenth of its speed.
    """

    def __init__(self, lock: CountedLock) -> None:
        self._lock = lock
        self._waiting: list[threading.Lock] = []

    def wait(self, seconds: float | None) -> None:
        """Let go of the lock until `notify`, for so many seconds at the most, None for ever; then hold it again."""
        signal = threading.Lock()
        signal.acquire()
        self._waiting.append(signal)
        held = self._lock.let_go()
        try:
            signal.acquire(timeout=-1 if seconds is None else seconds)
        finally:
            self._lock.take_back(held)
            if signal in self._waiting:  # nobody has woken it
                self._waiting.remove(signal)

    def notify(self, count: int = 1) -> None:
        """Wake so many, if there are."""
        for _ in range(min(count, len(self._waiting))):
            self._waiting.pop().release()

    def notify_all(self) -> None:
        self.notify(len(self._waiting))
