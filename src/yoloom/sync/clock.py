"""Time as something that is handed in, so that a test can turn the hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds on a scale that never runs backwards; the zero means nothing. Anybody may call it."""

monotonic: Clock = time.monotonic


class TimeLimit:
    """One limit for several waits in a row. Immutable: shared freely. seconds: None for no limit."""

    def __init__(self, seconds: float | None, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._until = None if seconds is None else clock() + min(seconds, threading.TIMEOUT_MAX)

    @property
    def left(self) -> float | None:
        """Seconds that are left, at least 0; None when there is no limit."""
        return None if self._until is None else max(0.0, self._until - self._clock())
