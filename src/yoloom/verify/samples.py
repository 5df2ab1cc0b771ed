"""Memory over time, in a bounded number of samples."""

from __future__ import annotations

from yoloom.sync.clock import Clock, monotonic
from yoloom.system.memory import resident_bytes

MOST = 400
FIRST_INTERVAL_S = 0.1


class Samples:
    """Call it often: it takes a sample when one is due, and rarer ones once there are many. One thread."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._started = self._next = clock()
        self._interval = FIRST_INTERVAL_S
        self._taken: list[tuple[float, int]] = []

    def __call__(self) -> None:
        now = self._clock()
        if now < self._next:
            return
        self._next = now + self._interval
        self._taken.append((round(now - self._started, 3), resident_bytes()))
        if len(self._taken) >= MOST:
            self._taken = self._taken[::2]
            self._interval *= 2

    def read(self) -> tuple[tuple[float, int], ...]:
        return tuple(self._taken)
