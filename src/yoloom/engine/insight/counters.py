"""Everything that an engine counts: outcomes by reason, durations of the stages, and the runs of its lanes."""

from __future__ import annotations

import contextlib
import math
import threading
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from yoloom.engine.insight.statistics import LaneState, ProfilePlan
from yoloom.errors import Cancelled, DeadlineExceeded, Dropped, QueueFull
from yoloom.telemetry.histogram import Histogram
from yoloom.values import FrozenDict

if TYPE_CHECKING:
    from yoloom.engine.request import Request
    from yoloom.engine.request_trace import Timeline
    from yoloom.engine.scheduling.policy import LaneOffer, Run

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
        # A request that runs is counted when its run ends, as its verdict says; one that has been counted is moved. So
        # the sum of all outcomes is the number of requests that were admitted, at any moment.
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
        # Two threads may flush at once: each timeline comes off its deque once, so none is counted twice.
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


class _ActiveRun(NamedTuple):
    run: Run
    since: float
    thread: threading.Thread
    requests: Sequence[Request]


class LaneActivity:
    """Record of the runs of all lanes.

    Thread safety: owned by the scheduler, under its lock.
    """

    def __init__(self) -> None:
        self._offers: dict[str, LaneOffer] = {}
        self._active: dict[tuple[str, int], _ActiveRun] = {}
        self._broken: set[tuple[str, int]] = set()
        self.moved_at = -math.inf
        self._batches = Counter[int]()

    def add_profile(self, name: str, offer: LaneOffer) -> None:
        """Show the lanes of a profile from now on."""
        self._offers[name] = offer

    def started(self, run: Run, requests: Sequence[Request], now: float) -> None:
        """Note that the calling thread begins a run."""
        batch = len(requests)
        for request in requests:
            request.timeline.taken = now
            request.timeline.batch = batch
        self._batches[batch] += 1
        self._active[run.profile, run.lane] = _ActiveRun(run, now, threading.current_thread(), requests)
        self.moved_at = now

    def finished(self, run: Run, broken: bool, now: float) -> None:
        """Note the end of a run. broken: the lane has no context any more."""
        key = run.profile, run.lane
        del self._active[key]
        if broken:
            self._broken.add(key)
        elif self._broken:
            self._broken.discard(key)
        self.moved_at = now

    def clear(self) -> None:
        """Forget the profiles: the lanes have ended."""
        self._offers.clear()

    # ---- For a snapshot

    def still_since(self, has_requests: bool, now: float) -> float:
        """Find since when nothing has moved, or the oldest run has gone on; `now` when neither is so."""
        oldest = min((active.since for active in self._active.values()), default=now)
        return min(oldest, self.moved_at) if has_requests or self._active else oldest

    def running(self) -> tuple[Request, ...]:
        """List the requests of all runs."""
        return tuple(request for active in self._active.values() for request in active.requests)

    def plan(self) -> tuple[ProfilePlan, ...]:
        """Describe the profiles."""
        return tuple(ProfilePlan(name, offer.count, offer.batch) for name, offer in self._offers.items())

    def batch_sizes(self) -> FrozenDict[int, int]:
        """Count the runs by their number of images."""
        return FrozenDict(sorted(self._batches.items()))

    def lane_states(self, now: float) -> Iterator[LaneState]:
        """Describe each lane."""
        for name, offer in self._offers.items():
            for number in range(offer.count):
                active = self._active.get((name, number))
                if active is None:
                    yield LaneState(name, number, "broken" if (name, number) in self._broken else "idle")
                else:
                    ids = tuple(request.id for request in active.requests)
                    running_ms = (now - active.since) * 1e3
                    yield LaneState(name, number, "running", running_ms, ids, active.thread.name)
