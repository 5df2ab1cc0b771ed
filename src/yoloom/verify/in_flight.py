"""Who asks for what at this moment, and since when."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from yoloom.sync.clock import Clock, monotonic


@dataclass(frozen=True)
class Flight:
    """A request under way. Immutable."""

    caller: int
    case: int
    since: float


class InFlight:
    """Shared freely."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards both tables
        self._flights: dict[int, Flight] = {}
        self._last: dict[int, int] = {}  # caller -> the case that it asked for before

    def begin(self, caller: int, case: int) -> None:
        with self._lock:
            self._flights[caller] = Flight(caller, case, self._clock())

    def end(self, caller: int) -> None:
        with self._lock:
            self._last[caller] = self._flights.pop(caller).case

    def asked_by_others(self, caller: int) -> dict[int, int]:
        """Case -> a caller that asks for it, or did so just before: what `caller` may have been mixed up with."""
        with self._lock:
            last = {case: other for other, case in self._last.items() if other != caller}
            now = {flight.case: other for other, flight in self._flights.items() if other != caller}
            return {**last, **now}

    def overdue(self, seconds: float) -> list[Flight]:
        """The requests that have been under way for longer, the oldest first."""
        with self._lock:
            now = self._clock()
            late = [flight for flight in self._flights.values() if now - flight.since > seconds]
        return sorted(late, key=lambda flight: flight.since)
