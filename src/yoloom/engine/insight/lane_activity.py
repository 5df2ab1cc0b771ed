"""What the lanes do now, what they did so far, and when one of them last moved."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from yoloom.engine.insight.statistics import LaneState, ProfilePlan
from yoloom.engine.request import Request
from yoloom.engine.scheduling.policy import LaneOffer, Run
from yoloom.values import FrozenDict


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
        self._moved_at = -math.inf
        self._batches = Counter[int]()

    def add_profile(self, name: str, offer: LaneOffer) -> None:
        """Show the lanes of a profile from now on."""
        self._offers[name] = offer

    def moved(self, now: float) -> None:
        """Note that a lane did something, or that there is something to do again."""
        self._moved_at = now

    def started(self, run: Run, requests: Sequence[Request], now: float) -> None:
        """Note that the calling thread begins a run."""
        batch = len(requests)
        for request in requests:
            request.timeline.taken = now
            request.timeline.batch = batch
        self._batches[batch] += 1
        self._active[run.profile, run.lane] = _ActiveRun(run, now, threading.current_thread(), requests)
        self._moved_at = now

    def finished(self, run: Run, broken: bool, now: float) -> None:
        """Note the end of a run. broken: the lane has no context any more."""
        key = run.profile, run.lane
        del self._active[key]
        if broken:
            self._broken.add(key)
        elif self._broken:
            self._broken.discard(key)
        self._moved_at = now

    def clear(self) -> None:
        """Forget the profiles: the lanes have ended."""
        self._offers.clear()

    # ---- For a snapshot

    def still_since(self, has_requests: bool, now: float) -> float:
        """Find since when nothing has moved, or the oldest run has gone on; `now` when neither is so."""
        oldest = min((active.since for active in self._active.values()), default=now)
        return min(oldest, self._moved_at) if has_requests or self._active else oldest

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
