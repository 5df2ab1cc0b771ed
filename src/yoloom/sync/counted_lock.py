"""A lock that counts how often, and for how long, threads had to wait for it, and a condition on it."""

from __future__ import annotations

import _thread
import threading
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the part of it that typeshed leaves out

    class _OwnedLock:
        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
        def release(self) -> None: ...
        def __exit__(self, *raised: object) -> None: ...
        def _is_owned(self) -> bool: ...
        def _acquire_restore(self, state: Any) -> None: ...
        def _release_save(self) -> Any: ...
else:
    _OwnedLock = _thread.RLock


@dataclass(frozen=True)
class LockWaits:
    """How contended a lock was. Immutable. Thread safety: any number of threads.

    Attributes:
        taken: How often it was taken by `with`.
        waited: How many of those had to wait.
        total_ms: How long they waited together, in milliseconds.
        max_ms: The longest wait, in milliseconds.
    """

    taken: int = 0
    waited: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0


class CountedLock(_OwnedLock):
    """A lock for `with` and `threading.Condition` that keeps count. Not reentrant: a second `with` raises RuntimeError.

    It is tried first without waiting, and the clock is read only when that fails. The return from a condition's wait is
    not counted.

    It is an RLock, because that knows its owner: Ctrl-C may strike right after the lock was taken, before a line of
    ours could note it. And `__exit__` is inherited, because Ctrl-C may strike before the first line of one in Python,
    and the lock would stay taken for ever.

    Thread safety: any number of threads.

    Attributes:
        taken_by: The ident of the thread that took it last, which may have released it since. Any thread reads it,
            without the lock.
    """

    def __init__(self) -> None:
        self.taken_by = 0
        # Written by the thread that holds the lock.
        self._taken = 0
        self._waited = 0
        self._total_s = 0.0
        self._max_s = 0.0

    def waits(self) -> LockWaits:
        """Return the numbers until now. Only for the thread that holds the lock."""
        return LockWaits(self._taken, self._waited, self._total_s * 1e3, self._max_s * 1e3)

    def condition(self) -> threading.Condition:
        """Return a new condition on this lock."""
        return threading.Condition(self)  # type: ignore[arg-type]

    def __enter__(self) -> bool:
        if self._is_owned():
            raise RuntimeError("this thread has the lock already")
        try:
            if not self.acquire(False):
                started = perf_counter()
                self.acquire()
                waited_s = perf_counter() - started
                self._waited += 1
                self._total_s += waited_s
                self._max_s = max(self._max_s, waited_s)
            self._taken += 1
            self.taken_by = threading.get_ident()
        except BaseException:
            # Ctrl-C, before or after the lock was taken: `with` calls no `__exit__` for an `__enter__` that raises.
            if self._is_owned():
                self.release()
            raise
        return True

    release_for_wait = _OwnedLock._release_save
    """Releases the lock to wait for something without it, and returns the state that `reacquire` needs."""

    def reacquire(self, state: Any) -> None:
        """Take the lock again after `release_for_wait`. Not counted, as the return from a condition's wait is not."""
        super()._acquire_restore(state)
        self.taken_by = threading.get_ident()

    _acquire_restore = reacquire  # the name that `threading.Condition` calls


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
