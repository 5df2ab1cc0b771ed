"""Reports an engine that stands still: once for each stall, and once more when it moves again.

```
every tick:  snapshot ─▶ Stall.check ─▶ None | STALLED ─▶ report with stacks | MOVES
```
"""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from yoloom.engine.insight.counters import LaneActivity, OutcomeCounters, StageDurations
from yoloom.engine.insight.snapshot import EngineSnapshot
from yoloom.errors import EngineClosed, InvalidOption, RuntimeFailed
from yoloom.sync.stacks import thread_stacks
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import explained
from yoloom.validation import number, shown

if TYPE_CHECKING:
    from yoloom.engine.insight.snapshot import EngineSnapshot

PATIENCE_S = 10.0
"""How long nothing may move before it is reported, unless asked otherwise."""

_TICKS = 10  # looks in that time
_LONGEST_TICK_S = 1.0

log = SafeLogger("yoloom.watchdog")


def patience_of(debug: Any) -> float | None:
    """Read the option `debug`: seconds, True for the default, False for no watchdog. Raises InvalidOption."""
    if isinstance(debug, bool):
        return PATIENCE_S if debug else None
    seconds = number("debug", debug)
    if not 0 < seconds < threading.TIMEOUT_MAX:  # false for NaN too
        raise InvalidOption(f"debug must be True, False or a positive number of seconds, got {shown(debug)}.")
    return seconds


class StallEvent(enum.Enum):
    """News about an engine."""

    STALLED = "stalled"
    MOVES = "moves"


class Stall:
    """Decides from one snapshot after the other whether there is news. Without thread and clock.

    Thread safety: one thread at a time.
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._reported_since: float | None = None

    @property
    def since(self) -> float | None:
        """Moment since when the engine stands still that was reported; None when it moves."""
        return self._reported_since

    def check(self, snapshot: EngineSnapshot) -> StallEvent | None:
        """Return the news, None when it was reported before or all is well."""
        locked = snapshot.lock_held_by is not None
        if self._reported_since is not None:
            if locked or snapshot.still_since <= self._reported_since:
                return None
            self._reported_since = None
            return StallEvent.MOVES
        if not locked and snapshot.now - snapshot.still_since < self.patience_s:
            return None
        self._reported_since = snapshot.still_since
        return StallEvent.STALLED


class Watchdog:
    """A thread that looks at an engine now and then.

    Thread safety: any number of threads; its engine stops it.

    It waits for no lock of the engine's for longer than its patience, so it can report one that is never given back.
    """

    def __init__(
        self,
        look: Callable[[float], EngineSnapshot],
        threads: Callable[[], Iterable[threading.Thread]],
        patience_s: float,
    ) -> None:
        """Start nothing yet.

        Args:
            look: Takes a snapshot; gets how long it may wait for a lock.
            threads: Lists the threads of the engine, without a lock.
            patience_s: How long nothing may move.
        """
        self._look = look
        self._threads = threads
        self._stall = Stall(patience_s)
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="yoloom-watchdog", daemon=True)

    def start(self) -> None:
        """Start the thread. Raises RuntimeFailed when the system gives none."""
        try:
            self.thread.start()
        except RuntimeError as error:
            raise RuntimeFailed(f"no thread could be started: {explained(error)}") from error

    def hurry(self, patience_s: float) -> None:
        """Report after this time at the latest."""
        self._stall.patience_s = min(self._stall.patience_s, patience_s)

    def stop(self) -> None:
        """End the thread, and wait for that. Idempotent; any thread, its own too: a log handler may close."""
        self._stop.set()
        if self.thread is not threading.current_thread():
            self.thread.join()

    def check(self) -> None:
        """Look once, and log the news."""
        since = self._stall.since
        snapshot = self._look(self._stall.patience_s)
        event = self._stall.check(snapshot)
        if event is StallEvent.STALLED:
            holders = [thread for thread in threading.enumerate() if thread.name == snapshot.lock_held_by]
            log.warning("%s", snapshot.stall_report(thread_stacks((*self._threads(), *holders))))
        elif event is StallEvent.MOVES and since is not None:
            log.warning("%s: it moves again, after %.1f s", snapshot.name, snapshot.now - since)

    def _watch(self) -> None:
        while not self._stop.wait(min(self._stall.patience_s / _TICKS, _LONGEST_TICK_S)):
            try:
                self.check()
            except Exception:  # noqa: PERF203  it must not end while its engine lives
                log.exception("the watchdog could not look")


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
