"""Counts of outcomes by reason, and durations of the stages, of all requests of an engine."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping

from yoloom.engine.request import Request
from yoloom.engine.timeline import Timeline
from yoloom.errors import Cancelled, DeadlineExceeded, Dropped, QueueFull
from yoloom.telemetry.histogram import Histogram

_OUTCOMES = ("succeeded", "failed", "expired", "cancelled", "dropped")
_REASONS: Mapping[type[BaseException], str] = {
    DeadlineExceeded: "expired",
    Cancelled: "cancelled",
    Dropped: "dropped",
    QueueFull: "full",
    KeyboardInterrupt: "cancelled",
}

_FLUSH_AT = 256
"""Timelines kept until they are counted all at once: a request pays for one append."""


def reason_of(error: BaseException) -> str:
    """Name the outcome that a request with this error counts as."""
    return _REASONS.get(type(error), "failed")


class OutcomeCounters:
    """Number of requests that were admitted, and that ended in each way.

    Thread safety: owned by the scheduler, under its lock.

    Attributes:
        counts: Of requests that had a place.
        refused: Of those that never got one, by reason.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("admitted", "retried", *_OUTCOMES), 0)
        self.refused: dict[str, int] = {}

    def admitted(self, request: Request, now: float) -> None:
        """Count a request that has got a place."""
        request.admitted = True
        request.timeline.admitted = now
        self.counts["admitted"] += 1

    def ended(self, request: Request, reason: str) -> None:
        """Count an outcome. Once for each request, but for `reclassify`."""
        request.counted = reason
        counts = self.counts if request.admitted else self.refused
        counts[reason] = counts.get(reason, 0) + 1

    def reclassify(self, request: Request, reason: str) -> None:
        """Count a request that runs, or has succeeded, as what its caller hears. Other outcomes stay as they are."""
        if not request.counted:
            request.verdict = reason
        elif request.counted == "succeeded":
            self.counts["succeeded"] -= 1
            self.ended(request, reason)


class StageDurations:
    """Histograms of how long requests waited and were worked on.

    Thread safety: any number of threads.
    """

    def __init__(self) -> None:
        self.wait = Histogram()
        self.prepare = Histogram()
        self.execute = Histogram()
        self.postprocess = Histogram()
        # Deques: any thread may append to one, or take from it, without a lock.
        self._ran: deque[Timeline] = deque()
        self._finished: deque[Timeline] = deque()

    def ran(self, timeline: Timeline) -> None:
        """Note a request that a lane is done with."""
        self._ran.append(timeline)
        if len(self._ran) >= _FLUSH_AT:
            self.flush()

    def finished(self, timeline: Timeline) -> None:
        """Note a request whose result is there."""
        self._finished.append(timeline)
        if len(self._finished) >= _FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Bring the histograms up to date."""
        ran, finished = _take_all(self._ran), _take_all(self._finished)
        self.wait.record([timeline.wait_ms for timeline in ran])
        self.prepare.record([timeline.prepare_ms for timeline in ran])
        self.execute.record([timeline.execute_ms for timeline in ran])
        self.postprocess.record([timeline.postprocess_ms for timeline in finished])


def _take_all(timelines: deque[Timeline]) -> list[Timeline]:
    """Take all that are there; each is taken by one thread only."""
    taken = []
    with contextlib.suppress(IndexError):  # another thread may be faster than a look at the length
        while True:
            taken.append(timelines.popleft())
    return taken
