"""What one level of concurrency did, added up over the laps."""

from __future__ import annotations

from dataclasses import dataclass

from yoloom.telemetry.latencies import Latencies, merged
from yoloom.verify.report import Level


@dataclass(frozen=True)
class Run:
    """One crowd. requests: all that ended. answers: those with an answer, right or wrong."""

    requests: int
    answers: int
    mismatches: int
    exceptions: int
    seconds: float
    latencies: Latencies


class LevelTally:
    """One thread."""

    def __init__(self) -> None:
        self._runs: dict[bool, list[Run]] = {True: [], False: []}

    @property
    def requests(self) -> int:
        return sum(run.requests for run in self._all())

    def add(self, run: Run, shaken: bool) -> None:
        self._runs[shaken].append(run)

    def level(self, mode: str, callers: int) -> Level:
        """Counts of all laps; speed in those in which threads were switched as usual, where there are any."""
        timed = self._runs[False] or self._runs[True]
        seconds = sum(run.seconds for run in timed)
        rate = sum(run.answers for run in timed) / seconds if seconds else None
        latencies = merged([run.latencies for run in timed])
        p50, p95, p99 = (1e3 * latencies.percentile_s(percent) if len(latencies) else None for percent in (50, 95, 99))
        mismatches = sum(run.mismatches for run in self._all())
        exceptions = sum(run.exceptions for run in self._all())
        return Level(mode, callers, self.requests, mismatches, exceptions, rate, p50, p95, p99)

    def _all(self) -> list[Run]:
        return [*self._runs[True], *self._runs[False]]
