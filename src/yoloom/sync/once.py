"""Something that may happen once, whoever comes first."""

from __future__ import annotations

import threading


class Once:
    """True for the first `take`, False for all others. Shared freely; safe in finalizers, for it never waits."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self) -> bool:
        return self._lock.acquire(blocking=False)

    @property
    def taken(self) -> bool:
        return self._lock.locked()


class SetOnce:
    """Keeps what the first to `put` has put, and nothing of the others. Shared freely."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the value
        self._value = ""

    def put(self, value: str) -> bool:
        """Whether this was the first. value: not empty."""
        with self._lock:
            first = not self._value
            if first:
                self._value = value
            return first

    @property
    def value(self) -> str:
        """Empty before the first `put`."""
        return self._value
