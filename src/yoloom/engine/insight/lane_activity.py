"""What an engine's lanes do at this moment, what they did so far, and when one of them last moved."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from yoloom.engine.insight.snapshot import Moment
from yoloom.engine.insight.statistics import FormPlan, LaneState, Refused
from yoloom.engine.request import Request
from yoloom.engine.scheduling.policy import Lanes, Run
from yoloom.runtime.protocol import Form
from yoloom.sync.counted_lock import LockWaits
from yoloom.values import FrozenDict

_Key = tuple[Form, int]


class _Running(NamedTuple):
    run: Run
    since: float
    thread: threading.Thread
    requests: Sequence[Request]


class Activity:
    """Kept by the engine as it goes. Owned by it: under its lock."""

    def __init__(self) -> None:
        self._offers: dict[Form, Lanes] = {}
        # By the id of the Run, which is in it: a Form is slow to hash, and this is on every request's way.
        self._running: dict[int, _Running] = {}
        self._broken: set[_Key] = set()
        self._moved_at = -math.inf
        self._batches = Counter[int]()

    @property
    def runs(self) -> bool:
        """Whether a lane is at a run."""
        return bool(self._running)

    def add_form(self, form: Form, offer: Lanes) -> None:
        """From now on its lanes may run."""
        self._offers[form] = offer

    def moved(self, now: float) -> None:
        """A lane did something, or there is something to do again."""
        self._moved_at = now

    def started(self, run: Run, requests: Sequence[Request], now: float) -> None:
        """The calling thread begins a run. requests: left as they are."""
        for request in requests:
            request.timeline.taken = now
            request.timeline.batch = len(requests)
        self._batches[len(requests)] += 1
        self._running[id(run)] = _Running(run, now, threading.current_thread(), requests)
        self._moved_at = now

    def finished(self, run: Run, broken: bool, now: float) -> None:
        """run: the same object as in `started`. broken: the lane has no context any more."""
        del self._running[id(run)]
        if broken:
            self._broken.add((run.form, run.lane))
        elif self._broken:
            self._broken.discard((run.form, run.lane))
        self._moved_at = now

    def moment(
        self,
        counts: Mapping[str, int],
        refusals: Mapping[str, int],
        requests: Iterable[Request],
        lock: LockWaits,
        now: float,
    ) -> Moment:
        """All that is known now. counts, refusals, lock: what the engine counted. requests: those that do not run."""
        requests = tuple(requests)
        waiting = tuple(request for request in requests if request.admitted)
        return Moment(
            now=now,
            still_since=self._still_since(bool(requests or self._running), now),
            counts=dict(counts),
            refusals=Refused(**refusals),
            waiting=waiting,
            running=tuple(request for running in self._running.values() for request in running.requests),
            applicants=tuple(request.terms.client for request in requests if not request.admitted),
            plan=tuple(FormPlan(form.value, offer.count, offer.batch) for form, offer in self._offers.items()),
            lane_states=tuple(self._lane_states(now)),
            batch_sizes=FrozenDict(sorted(self._batches.items())),
            lock=lock,
        )

    def clear(self) -> None:
        """The lanes have ended, and their forms are gone."""
        self._offers.clear()

    def _still_since(self, busy: bool, now: float) -> float:
        """Since when nothing has moved, or the oldest run has gone on; `now` when neither is so."""
        oldest = min((running.since for running in self._running.values()), default=now)
        return min(oldest, self._moved_at) if busy else oldest

    def _lane_states(self, now: float) -> Iterator[LaneState]:
        running = {(running.run.form, running.run.lane): running for running in self._running.values()}
        for form, offer in self._offers.items():
            for number in range(offer.count):
                yield self._lane_state((form, number), running.get((form, number)), now)

    def _lane_state(self, key: _Key, running: _Running | None, now: float) -> LaneState:
        form, number = key
        if running is None:
            return LaneState(form.value, number, "broken" if key in self._broken else "idle")
        ids = tuple(request.id for request in running.requests)
        return LaneState(form.value, number, "running", (now - running.since) * 1e3, ids, running.thread.name)
