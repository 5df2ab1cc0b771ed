"""What an engine measures of its requests."""

from __future__ import annotations

import contextlib
from collections import deque

from yoloom.engine.timeline import Timeline
from yoloom.telemetry.histogram import Histogram

_AT_ONCE = 256
"""Timelines that are kept until they are counted, all at once: a request pays for one append."""


class Meters:
    """How long requests waited, and were worked on. Shared freely."""

    def __init__(self) -> None:
        self.wait = Histogram()
        self.prepare = Histogram()
        self.execute = Histogram()
        self.postprocess = Histogram()
        # Deques, for any thread may append to one, or take from it, without a lock.
        self._ran: deque[Timeline] = deque()
        self._finished: deque[Timeline] = deque()

    def ran(self, timeline: Timeline) -> None:
        """A lane is done with this one."""
        self._ran.append(timeline)
        if len(self._ran) >= _AT_ONCE:
            self.count()

    def finished(self, timeline: Timeline) -> None:
        """Its result is there."""
        self._finished.append(timeline)
        if len(self._finished) >= _AT_ONCE:
            self.count()

    def count(self) -> None:
        """Bring the histograms up to date."""
        ran = _taken(self._ran)
        self.wait.record([timeline.wait_ms for timeline in ran])
        self.prepare.record([timeline.prepare_ms for timeline in ran])
        self.execute.record([timeline.execute_ms for timeline in ran])
        self.postprocess.record([timeline.postprocess_ms for timeline in _taken(self._finished)])


def _taken(timelines: deque[Timeline]) -> list[Timeline]:
    """All that are there; each is taken by one thread only."""
    taken = []
    with contextlib.suppress(IndexError):  # another thread may be faster than a look at the length
        while True:
            taken.append(timelines.popleft())
    return taken
