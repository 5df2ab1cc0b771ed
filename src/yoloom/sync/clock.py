"""Clocks and time limits. The clock is an argument everywhere, so that a test can move its hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns seconds on a scale that never runs backwards; only differences mean something. Any thread may call it."""

monotonic: Clock = time.monotonic


def clamped(seconds: float) -> float:
    """Limit a waiting time to what locks and conditions accept: 0 to `threading.TIMEOUT_MAX` seconds.

    Without it an infinite or very distant deadline raises OverflowError, and one that has passed raises ValueError.
    """
    return min(max(0.0, seconds), threading.TIMEOUT_MAX)


class TimeLimit:
    """One limit for several waits in a row: what the first one uses up, the next one no longer has.

    Thread safety: any number of threads.

    Args:
        seconds: How long all waits together may take; None for no limit.
        clock: The clock that counts.
    """

    def __init__(self, seconds: float | None, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._until = None if seconds is None else clock() + min(seconds, threading.TIMEOUT_MAX)

    @property
    def left(self) -> float | None:
        """The seconds that are left, at least 0; None when there is no limit."""
        return None if self._until is None else max(0.0, self._until - self._clock())
