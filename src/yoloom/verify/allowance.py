"""The time for the concurrent runs, dealt out while they run."""

from __future__ import annotations

from yoloom.sync.clock import Clock, monotonic


class Allowance:
    """So many seconds for so many levels, in turn; each gets an even part of what those before it have left.

    One thread. seconds: None for as long as it takes.
    """

    def __init__(self, seconds: float | None, levels: int, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._until = None if seconds is None else clock() + seconds
        self._levels = levels

    def next_s(self) -> float | None:
        """For the level that begins now: 0 when others have used up its part, None for no limit."""
        left = self._left()
        part = None if left is None else left / self._levels
        self._levels = max(1, self._levels - 1)
        return part

    @property
    def is_used_up(self) -> bool:
        return self._left() == 0

    def _left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - self._clock())
