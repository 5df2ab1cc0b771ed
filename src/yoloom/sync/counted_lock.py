"""A lock that counts how often, and for how long, somebody had to wait for it."""

from __future__ import annotations

import _thread
import threading
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what typeshed does not say of it

    class _Owned:
        def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...
        def release(self) -> None: ...
        def __exit__(self, *raised: object) -> None: ...
        def _is_owned(self) -> bool: ...
        def _acquire_restore(self, state: Any) -> None: ...
        def _release_save(self) -> Any: ...
else:
    _Owned = _thread.RLock


@dataclass(frozen=True)
class LockWaits:
    """How often a lock was not to be had at once, and for how long it was waited for. Immutable: shared freely.

    taken: how often it was taken by `with`. waited: how many of those had to wait. total_ms, max_ms: for how long.
    """

    taken: int = 0
    waited: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0


class CountedLock(_Owned):
    """A lock for `with` and `threading.Condition` that keeps count. Shared freely; not reentrant: RuntimeError.

    It is tried first without waiting, and the time is taken only when that fails. What a condition does to come back
    from a wait is not counted.

    An RLock, because that knows its owner: Ctrl-C may strike right after it was taken, before a line of ours could
    note that. And `__exit__` is inherited, because Ctrl-C may strike before the first line of one in Python, and the
    lock would stay taken for ever.
    """

    def __init__(self) -> None:
        self._taken_by = 0
        # Written by whoever holds the lock.
        self._taken = 0
        self._waited = 0
        self._total_s = 0.0
        self._max_s = 0.0

    @property
    def taken_by(self) -> int:
        """The ident of the thread that took it last, and may have given it back since. Any thread, without the lock."""
        return self._taken_by

    def waits(self) -> LockWaits:
        """The numbers until now. For whoever holds it."""
        return LockWaits(self._taken, self._waited, self._total_s * 1e3, self._max_s * 1e3)

    def condition(self) -> threading.Condition:
        """A new condition on this lock."""
        return threading.Condition(self)  # type: ignore[arg-type]

    def __enter__(self) -> bool:
        if self._is_owned():
            raise RuntimeError("this thread has the lock already")
        try:
            if not self.acquire(False):
                self._wait()
            self._taken += 1
            self._taken_by = threading.get_ident()
        except BaseException:  # Ctrl-C
            if self._is_owned():
                self.release()
            raise
        return True

    def let_go(self) -> Any:
        """Whoever holds it waits for something without it, and then takes it back with what this returns."""
        return self._release_save()

    def take_back(self, held: Any) -> None:
        """Not counted, as it is not for a condition."""
        self._acquire_restore(held)

    def _acquire_restore(self, state: Any) -> None:
        """For `threading.Condition`."""
        super()._acquire_restore(state)
        self._taken_by = threading.get_ident()

    def _wait(self) -> None:
        started = perf_counter()
        self.acquire()
        waited_s = perf_counter() - started
        self._waited += 1
        self._total_s += waited_s
        self._max_s = max(self._max_s, waited_s)
