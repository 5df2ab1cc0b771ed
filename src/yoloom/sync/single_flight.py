"""Values that are computed once for each key, however many threads ask at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K")
V = TypeVar("V")


class _Abandoned(Exception):
    """Whoever computed the value was interrupted: somebody else has to."""


class SingleFlight(Generic[K, V]):
    """Keeps a value for as long as somebody holds it. Threads: anybody."""

    def __init__(self) -> None:
        # Guards what follows. Never held while a value is computed.
        self._lock = threading.Lock()
        self._pending: dict[K, Future[V]] = {}
        self._values: WeakValueDictionary[K, V] = WeakValueDictionary()

    def get(self, key: K, compute: Callable[[], V]) -> V:
        """The value of `key`. The first to ask computes it, the others wait; all get its error, and none keeps it."""
        while True:
            with self._lock:
                value, pending = self._values.get(key), self._pending.get(key)
                if value is not None:
                    return value
                if mine := pending is None:
                    pending = self._pending[key] = Future()
            try:
                if mine:
                    return self._computed(key, pending, compute)
                return pending.result()
            except _Abandoned:
                continue
            finally:
                del pending  # it may hold an error, and that error this frame

    def _computed(self, key: K, pending: Future[V], compute: Callable[[], V]) -> V:
        try:
            value = compute()
        except BaseException as error:
            with self._lock:
                del self._pending[key]
            # Ctrl-C is for this thread alone: the next of those that wait computes.
            pending.set_exception(error if isinstance(error, Exception) else _Abandoned())
            raise
        with self._lock:
            # Both at once: whoever asks in between would find neither, and compute it a second time.
            self._values[key] = value
            del self._pending[key]
        pending.set_result(value)
        return value
