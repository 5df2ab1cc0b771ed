"""A condition that wakes the thread that came last, where idle lanes wait for work."""

from __future__ import annotations

import threading

from yoloom.sync.counted_lock import CountedLock


class LifoCondition:
    """Threads that wait under a lock, as in a `threading.Condition`, but the last to come is the first to be woken.

    A runtime keeps things for each thread that calls it (OpenVINO: its share of a pool, which spins for a moment after
    each run). Were lanes woken in turn, a lone caller would have a cold one for each image: a tenth of its speed.

    Thread safety: any number of threads, each of which holds the lock when it calls a method.
    """

    def __init__(self, lock: CountedLock) -> None:
        self._lock = lock
        # One locked lock for each waiting thread, in the order of their coming; guarded by `lock`. A thread is woken by
        # releasing its own: no other thread can take that signal, and it is not lost if it comes before the `acquire`.
        self._waiting: list[threading.Lock] = []

    def wait(self, seconds: float | None) -> None:
        """Release the lock until `notify`, for at most so many seconds (None: for ever), and hold it again."""
        signal = threading.Lock()
        signal.acquire()
        self._waiting.append(signal)
        saved = self._lock.release_for_wait()
        try:
            signal.acquire(timeout=-1 if seconds is None else seconds)
        finally:
            self._lock.reacquire(saved)
            # After a timeout, or Ctrl-C, the signal is still listed: a later `notify` would be spent on nobody.
            if signal in self._waiting:
                self._waiting.remove(signal)

    def notify(self, count: int = 1) -> None:
        """Wake up to `count` of the waiting threads, those that came last."""
        for _ in range(min(count, len(self._waiting))):
            self._waiting.pop().release()

    def notify_all(self) -> None:
        """Wake all waiting threads."""
        self.notify(len(self._waiting))
