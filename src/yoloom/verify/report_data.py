"""Holds everything that a check has found, as plain values: the renderers read it, and `Report` adds them to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from yoloom.telemetry.histogram import Histogram
from yoloom.verify.crowd import Hang
from yoloom.verify.journal import Failure, Mismatch
from yoloom.verify.leaks import Leak, Resources
from yoloom.verify.pace import Late
from yoloom.verify.verdict import Finding, Verdict


@dataclass(frozen=True)
class Level:
    """Counts and speed of one number of callers. Immutable: shared freely.

    Counts are of all laps; speed is of the laps in which the interpreter switched threads as usual, None where no
    request of these was waited for.

    Attributes:
        mode: "threads" or "asyncio".
        callers: at once.
        requests: that ended, in any way.
        mismatches: answers with other bits than alone.
        exceptions: that are not raised alone.
        images_per_second: answers of all callers together.
        p50_ms: latency in milliseconds, median.
        p95_ms: latency that 5 % exceed.
        p99_ms: latency that 1 % exceeds.
    """

    mode: str
    callers: int
    requests: int
    mismatches: int
    exceptions: int
    images_per_second: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True)
class CrowdRun:
    """Counts and latencies of one crowd. Immutable once made.

    Attributes:
        requests: that ended, in any way.
        answers: requests with an answer, right or wrong.
        mismatches: wrong answers.
        exceptions: that are not raised alone.
        seconds: from the first request to the end of the last caller.
        latencies: of the requests that were waited for.
    """

    requests: int
    answers: int
    mismatches: int
    exceptions: int
    seconds: float
    latencies: Histogram


class LevelTally:
    """Adds up the runs of one level over the laps. Thread safety: one thread at a time."""

    def __init__(self) -> None:
        self._shaken: list[CrowdRun] = []
        self._usual: list[CrowdRun] = []

    @property
    def requests(self) -> int:
        """Number of requests of all runs."""
        return sum(run.requests for run in (*self._shaken, *self._usual))

    def add(self, run: CrowdRun, shaken: bool) -> None:
        """Add a run. shaken: whether threads were switched far more often than usual."""
        (self._shaken if shaken else self._usual).append(run)

    def level(self, mode: str, callers: int) -> Level:
        """Sum up counts over all runs, and speed over those with the usual thread switches, where there are any."""
        timed = self._usual or self._shaken
        seconds = sum(run.seconds for run in timed)
        latencies = Histogram()
        for run in timed:
            latencies.merge(run.latencies)
        spread = latencies.distribution()
        return Level(
            mode,
            callers,
            requests=self.requests,
            mismatches=sum(run.mismatches for run in (*self._shaken, *self._usual)),
            exceptions=sum(run.exceptions for run in (*self._shaken, *self._usual)),
            images_per_second=sum(run.answers for run in timed) / seconds if seconds else None,
            p50_ms=spread.p50_ms if spread.count else None,
            p95_ms=spread.p95_ms if spread.count else None,
            p99_ms=spread.p99_ms if spread.count else None,
        )


@dataclass(frozen=True)
class Memory:
    """Resources over time. Immutable: shared freely.

    Attributes:
        laps: counted at rest, before the first lap and after each.
        samples: (seconds, bytes of physical memory) while the check ran.
        leaks: that were confirmed.
        judged: whether there were laps enough to tell a leak.
    """

    laps: tuple[Resources, ...]
    samples: tuple[tuple[float, int], ...]
    leaks: tuple[Leak, ...]
    judged: bool

    @property
    def growth_bytes(self) -> int:
        """Growth at rest, from the first lap's end to the last's."""
        return self.laps[-1].memory_bytes - self.laps[1].memory_bytes if len(self.laps) > 1 else 0


@dataclass(frozen=True)
class ReportData:
    """The outcome of a check. Immutable: shared freely.

    Attributes:
        target: its name.
        verdict: of the first finding, or `Verdict.PASS`.
        findings: everything that is wrong, in the order of `Verdict`.
        requests: of all kinds, the sequential ones included.
        concurrent: requests of the concurrent runs.
        cancelled: requests that their caller cancelled.
        expired: requests that ran past their deadline.
        mismatches: answers with other bits than alone, or beyond the tolerance.
        faults: how many mismatches of each kind, by its description.
        shown: the first mismatches of each kind, side by side with the right answer.
        exceptions: by class, each with the first traceback.
        hang: a request that did not come back, with the stacks of all threads.
        late: answers that came late, if there were several.
        levels: by mode and number of callers.
        memory: over time and at rest.
        pictures: how many different ones, as they were given.
        crops: parts of them, in other sizes.
        cases: how many different ones.
        distinct: different answers to these cases.
        tolerance: 0 for bit for bit, see `check`.
        instances: that were asked for the first time by many callers at once.
        new_sizes: about which many callers asked at once, for the first time.
        laps: that were run.
        seed: with which the same requests are made again.
        seconds: in all.
        seconds_at_once: of the concurrent runs.
        machine: Python, system and versions.
        facts: about the target.
        notes: for the reader, beside the verdict.
        untried: what a pass says nothing about.
    """

    target: str
    verdict: Verdict
    findings: tuple[Finding, ...]
    requests: int
    concurrent: int
    cancelled: int
    expired: int
    mismatches: int
    faults: Mapping[str, int]
    shown: tuple[Mismatch, ...]
    exceptions: tuple[Failure, ...]
    hang: Hang | None
    late: tuple[Late, ...]
    levels: tuple[Level, ...]
    memory: Memory
    pictures: int
    crops: int
    cases: int
    distinct: int
    tolerance: float
    instances: int
    new_sizes: int
    laps: int
    seed: int
    seconds: float
    seconds_at_once: float
    machine: Mapping[str, str]
    facts: Mapping[str, str]
    notes: tuple[str, ...]
    untried: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.verdict is Verdict.PASS
