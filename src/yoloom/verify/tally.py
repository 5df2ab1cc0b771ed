"""What one level of concurrency did, added up over the laps."""

from __future__ import annotations

from dataclasses import dataclass

from yoloom.verify.latencies import Latencies, merged
from yoloom.verify.report import Level


@dataclass(frozen=True)
class Run:
    """One crowd. requests: all that ended. answers: those with an answer."""

    requests: int
    answers: int
    seconds: float
    latencies: Latencies


class Tally:
    """One thread."""

    def __init__(self) -> None:
        self._runs: dict[bool, list[Run]] = {True: [], False: []}

    @property
    def requests(self) -> int:
        return sum(run.requests for runs in self._runs.values() for run in runs)

    def add(self, run: Run, shaken: bool) -> None:
        self._runs[shaken].append(run)

    def level(self, mode: str, callers: int) -> Level:
        """Figures of the laps in which threads were switched as usual, where there are any."""
        timed = self._runs[False] or self._runs[True]
        seconds = sum(run.seconds for run in timed)
        rate = sum(run.answers for run in timed) / seconds if seconds else None
        latencies = merged([run.latencies for run in timed])
        p50, p95, p99 = (1e3 * latencies.percentile_s(percent) if len(latencies) else None for percent in (50, 95, 99))
        return Level(mode, callers, self.requests, rate, p50, p95, p99)
