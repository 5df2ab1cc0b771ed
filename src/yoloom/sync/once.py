"""Flags and values that can be set once, by whichever thread comes first."""

from __future__ import annotations

import threading


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
    """

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the value
        self._value = ""

    def put(self, value: str) -> bool:
        """Set the value unless there is one. Return whether this call has set it.

        Args:
            value: Any text but the empty one, which means "not set".
        """
        with self._lock:
            first = not self._value
            if first:
                self._value = value
            return first

    @property
    def value(self) -> str:
        """The text that was put first; empty before."""
        return self._value
