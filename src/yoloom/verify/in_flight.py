"""Keeps the requests under way: who asks for which case, and since when."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from yoloom.sync.clock import Clock, monotonic


@dataclass(frozen=True)
class Flight:
    """A request under way. Immutable.

    Attributes:
        caller: its number.
        case: number of the case that it asks for.
        since: on the table's clock.
    """

    caller: int
    case: int
    since: float


class InFlight:
    """A table of the requests of one crowd. Thread safety: any number of threads."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards both tables
        self._flights: dict[int, Flight] = {}
        self._last: dict[int, int] = {}  # caller → the case that it asked for before

    def begin(self, caller: int, case: int) -> None:
        """Enter a caller's request; it has one at a time."""
        with self._lock:
            self._flights[caller] = Flight(caller, case, self._clock())

    def end(self, caller: int) -> None:
        """Strike out a caller's request."""
        with self._lock:
            self._last[caller] = self._flights.pop(caller).case

    def asked_by_others(self, caller: int) -> dict[int, int]:
        """Return case → a caller that asks for it, or did so just before: all that `caller` may be mixed up with."""
        with self._lock:
            last = {case: other for other, case in self._last.items() if other != caller}
            now = {flight.case: other for other, flight in self._flights.items() if other != caller}
            return {**last, **now}

    def overdue(self, seconds: float) -> list[Flight]:
        """Return the requests that have been under way for longer, the oldest first."""
        with self._lock:
            now = self._clock()
            late = [flight for flight in self._flights.values() if now - flight.since > seconds]
        return sorted(late, key=lambda flight: flight.since)
