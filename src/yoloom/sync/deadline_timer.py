"""Ends futures at their deadline while nobody waits in `result`, and all lanes are at work.

```
schedule ─▶ Deadlines ─▶ the thread sleeps until the first of them ─▶ end, without a lock
forget ──▲
```
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable

from yoloom.sync.clock import Clock
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")

SLACK = 64
"""Entries that the heap may have more than twice those that count: less would be tidied up all the time."""

End = Callable[[], object]


class Deadlines:
    """What is to be ended when. No thread, no clock. One thread at a time."""

    def __init__(self) -> None:
        self._ends: dict[int, End] = {}
        self._order: list[tuple[float, int]] = []  # heap; numbers that were removed are skipped on sight

    def add(self, number: int, deadline: float, end: End) -> None:
        """number: no other's, ever."""
        # Most are removed long before their deadline, and their places would stay until then.
        if len(self._order) > 2 * len(self._ends) + SLACK:
            self._order = [entry for entry in self._order if entry[1] in self._ends]
            heapq.heapify(self._order)
        self._ends[number] = end
        heapq.heappush(self._order, (deadline, number))

    def remove(self, number: int) -> None:
        self._ends.pop(number, None)

    def take_due(self, now: float) -> list[End]:
        """Those whose time is over, the earliest first; they are removed."""
        due = []
        while self.next <= now:
            end = self._ends.pop(self._order[0][1], None)
            if end is not None:  # else it was removed a moment ago
                due.append(end)
        return due

    @property
    def next(self) -> float:
        """The earliest deadline, infinity for none."""
        while self._order and self._order[0][1] not in self._ends:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else math.inf


class DeadlineTimer:
    """Ends what is due, in a thread that is there while something may become due. Shared freely."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Guards what follows. Nothing is ended under it. An RLock: the garbage collector may strike under it, and a
        # finalizer cancel a future, which is forgotten here.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._deadlines = Deadlines()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def schedule(self, number: int, deadline: float, end: End) -> None:
        """Call `end` at `deadline`, unless `number` is forgotten before.

        number: no other's, ever. end: neither blocks nor runs a caller's code.
        """
        try:
            self._schedule(number, deadline, end)
        except RuntimeError as error:  # it is tried again; until then a lane ends what is late when it is free
            log.warning("no thread could be started for deadlines: %s", error)

    def _schedule(self, number: int, deadline: float, end: End) -> None:
        with self._lock:
            if self._stopped:
                return
            sleeps_too_long = deadline < self._deadlines.next
            self._deadlines.add(number, deadline, end)
            if self._thread is None:
                self._thread = self._started()
            elif sleeps_too_long:
                self._changed.notify()

    def forget(self, number: int) -> None:
        with self._lock:
            self._deadlines.remove(number)

    def poll(self) -> None:
        """End what is due now. Any thread."""
        with self._lock:
            due = self._deadlines.take_due(self._clock())
        for end in due:
            _end_safely(end)

    def threads_alive(self) -> list[threading.Thread]:
        with self._lock:
            return [self._thread] if self._thread is not None else []

    def stop(self) -> None:
        """End the thread, and keep nothing any more. Idempotent; any thread."""
        with self._lock:
            self._stopped, self._deadlines, thread = True, Deadlines(), self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._watch, name="yoloom-deadlines", daemon=True)
        thread.start()
        return thread

    def _watch(self) -> None:
        while self._slept():
            self.poll()

    def _slept(self) -> bool:
        """Until something may be due. False when there is nothing to wait for: then the thread is over."""
        with self._lock:
            until = self._deadlines.next
            if until == math.inf:
                self._thread = None
                return False
            self._changed.wait(min(max(0.0, until - self._clock()), threading.TIMEOUT_MAX))
            return True


def _end_safely(end: End) -> None:
    try:
        end()
    except Exception:  # the others' time is over too
        log.exception("a request could not be ended at its deadline")
