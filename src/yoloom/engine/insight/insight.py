"""Everything that is measured of an engine, and the watchdog that looks at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from yoloom.engine.insight.counters import LaneActivity, OutcomeCounters, StageDurations
from yoloom.engine.insight.snapshot import EngineSnapshot
from yoloom.engine.insight.watchdog import Watchdog
from yoloom.errors import EngineClosed


class Insight:
    """Counters, durations, lanes and the watchdog of one engine.

    Thread safety: any number of threads, but for `counters` and `lanes`, which the scheduler keeps under its lock.
    """

    def __init__(self) -> None:
        self.counters = OutcomeCounters()
        self.lanes = LaneActivity()
        self.durations = StageDurations()
        self._lock = threading.Lock()  # guards the watchdog
        self._watchdog: Watchdog | None = None
        self._is_over = False

    def watch(
        self,
        look: Callable[[float], EngineSnapshot],
        threads: Callable[[], Iterable[threading.Thread]],
        patience_s: float,
    ) -> None:
        """Have a thread report to the log when nothing moves for so long. Asked twice, the shorter time counts.

        Raises RuntimeFailed when there is no thread to be had, EngineClosed after `stop_watchdog`.
        """
        with self._lock:
            if self._is_over:
                raise EngineClosed("the model is closed; open it again with YOLO(path).")
            if self._watchdog is None:
                watchdog = Watchdog(look, threads, patience_s)
                watchdog.start()
                self._watchdog = watchdog
            self._watchdog.hurry(patience_s)

    def stop_watchdog(self) -> None:
        """End the watchdog's thread, for good."""
        with self._lock:
            watchdog, self._watchdog, self._is_over = self._watchdog, None, True
        if watchdog is not None:
            watchdog.stop()

    def threads(self) -> list[threading.Thread]:
        """List the watchdog's thread, while there is one."""
        watchdog = self._watchdog
        return [] if watchdog is None else [watchdog.thread]
