"""Flags, texts and values that are set once, by whichever thread comes first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar
from weakref import WeakValueDictionary


class Once:
    """A flag that exactly one caller wins.

    Safe in finalizers, because it never waits. Thread safety: any number of threads.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        # The lock is the flag: it is acquired once and never released.
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Return True to the first caller and False to all others."""
        return self._lock.acquire(blocking=False)

    @property
    def taken(self) -> bool:
        """Whether somebody has won already."""
        return self._lock.locked()


class SetOnce:
    """A text that keeps the first value put into it and ignores all later ones.

    Thread safety: any number of threads.

    Attributes:
        value: The text that was put first; empty before. Only `put` sets it.
    """

    __slots__ = ("_lock", "value")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the setting of the value
        self.value = ""

    def put(self, value: str) -> bool:
        """Set the value unless there is one. Return whether this call has set it.

        Args:
            value: Any text but the empty one, which means "not set".
        """
        with self._lock:
            first = not self.value
            if first:
                self.value = value
            return first


K = TypeVar("K")
V = TypeVar("V")


class _Abandoned(Exception):
    """The thread that computed the value was interrupted: another one has to compute it."""


class SingleFlight(Generic[K, V]):
    """A table of shared values: one computation for each key, kept for as long as somebody holds the value.

    Thread safety: any number of threads.
    """

    def __init__(self) -> None:
        # Guards what follows. Never held while a value is computed.
        self._lock = threading.Lock()
        self._pending: dict[K, Future[V]] = {}
        self._values: WeakValueDictionary[K, V] = WeakValueDictionary()

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """Return the value of `key`: the first caller computes it, the others wait. All get its error; none is kept."""
        while True:
            with self._lock:
                value, pending = self._values.get(key), self._pending.get(key)
                if value is not None:
                    return value
                if is_first := pending is None:
                    pending = self._pending[key] = Future()
            try:
                if is_first:
                    return self._compute(key, pending, compute)
                return pending.result()
            except _Abandoned:
                continue
            finally:
                del pending  # it may hold an error, and that error this frame

    def _compute(self, key: K, pending: Future[V], compute: Callable[[], V]) -> V:
        """Compute the value in this thread and hand the outcome to all that wait for `pending`."""
        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            # Ctrl-C is for this thread alone: the next of those that wait computes.
            pending.set_exception(error if isinstance(error, Exception) else _Abandoned())
            raise
        with self._lock:
            # Both in one step: a caller in between would find neither, and compute the value a second time.
            self._values[key] = value
            del self._pending[key]
        pending.set_result(value)
        return value
