"""Says so when an engine stands still: once for each stall, and once more when it moves again.

```
every tick:  situation ─▶ Stall.judge ─▶ nothing to say | STALLED ─▶ report with stacks | MOVES
```
"""

from __future__ import annotations

import enum
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from yoloom.engine.insight.situation import Situation, stall_report
from yoloom.errors import InvalidOption, RuntimeFailed
from yoloom.system.safe_log import SafeLogger
from yoloom.validation import number, shown

PATIENCE_S = 10.0
"""How long nothing may move before it is reported, unless asked otherwise."""

_TICKS = 10  # looks in that time
_LONGEST_TICK_S = 1.0

log = SafeLogger("yoloom.watchdog")


def patience_of(debug: Any) -> float | None:
    """The patience that was asked for: seconds, True for the usual, False for no watchdog. Raises InvalidOption."""
    if isinstance(debug, bool):
        return PATIENCE_S if debug else None
    seconds = number("debug", debug)
    if not 0 < seconds < threading.TIMEOUT_MAX:  # false for NaN too
        raise InvalidOption(f"debug must be True, False or a positive number of seconds, got {shown(debug)}.")
    return seconds


class Verdict(enum.Enum):
    """What there is to say about an engine."""

    STALLED = "stalled"
    MOVES = "moves"


class Stall:
    """Judges one situation after the other. No thread, no clock. One thread at a time."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._reported_since: float | None = None

    @property
    def since(self) -> float | None:
        """Since when the engine stands still that was reported; None when it moves."""
        return self._reported_since

    def judge(self, situation: Situation) -> Verdict | None:
        """What there is to say now, None when it was said or all is well."""
        locked = situation.lock_held_by is not None
        if self._reported_since is not None:
            if locked or situation.still_since <= self._reported_since:
                return None
            self._reported_since = None
            return Verdict.MOVES
        if not locked and situation.now - situation.still_since < self.patience_s:
            return None
        self._reported_since = situation.still_since
        return Verdict.STALLED


class Watchdog:
    """A thread that looks at an engine now and then. Owned by its engine, which stops it.

    It waits for no lock of the engine's for longer than its patience, so it can report one that is never given back.
    """

    def __init__(
        self,
        look: Callable[[float], Situation],
        threads: Callable[[], Iterable[threading.Thread]],
        patience_s: float,
    ) -> None:
        """look: how the engine stands; gets how long it may wait for a lock. threads: those of the engine; no lock."""
        self._look = look
        self._threads = threads
        self._stall = Stall(patience_s)
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._watch, name="yoloom-watchdog", daemon=True)

    def start(self) -> None:
        """Raises RuntimeFailed when the system gives no thread."""
        try:
            self.thread.start()
        except RuntimeError as error:
            raise RuntimeFailed(f"no thread could be started: {error}; end some, or raise the limit.") from error

    def hurry(self, patience_s: float) -> None:
        """Have no more patience than this. Any thread."""
        self._stall.patience_s = min(self._stall.patience_s, patience_s)

    def stop(self) -> None:
        """End the thread, and wait for that. Idempotent; any thread, its own too: a log handler may close."""
        self._stop.set()
        if self.thread is not threading.current_thread():
            self.thread.join()

    def check(self) -> None:
        """Look once, and say what there is to say. One thread at a time."""
        since = self._stall.since
        situation = self._look(self._stall.patience_s)
        verdict = self._stall.judge(situation)
        if verdict is Verdict.STALLED:
            log.warning("%s", stall_report(situation, _stacks(self._threads(), situation.lock_held_by)))
        elif verdict is Verdict.MOVES and since is not None:
            log.warning("%s: it moves again, after %.1f s", situation.name, situation.now - since)

    def _watch(self) -> None:
        while not self._stop.wait(min(self._stall.patience_s / _TICKS, _LONGEST_TICK_S)):
            self._check_safely()

    def _check_safely(self) -> None:
        try:
            self.check()
        except Exception:  # it must not end while its engine lives
            log.exception("the watchdog could not look")


def _stacks(threads: Iterable[threading.Thread], besides: str | None) -> dict[str, str]:
    """What each thread is in the middle of. besides: the name of one more."""
    others = [thread for thread in threading.enumerate() if thread.name == besides]
    frames = sys._current_frames()
    return {
        thread.name: "".join(traceback.format_stack(frames[thread.ident]))
        for thread in dict.fromkeys((*threads, *others))
        if thread.ident in frames
    }
