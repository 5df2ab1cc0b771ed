"""A timer that ends requests at their deadline while nobody waits for their result and all lanes are busy.

```
schedule ─▶ Deadlines ─▶ the thread sleeps until the first of them ─▶ end, called without a lock
forget ──▲
```
"""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Callable

from yoloom.sync.clock import Clock, clamped
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")

SLACK = 64
"""Stale entries that the heap may hold beyond twice the live ones: with less it would be rebuilt all the time."""

End = Callable[[], object]


class Deadlines:
    """The callbacks that are to be called, by number, and when. No thread, no clock.

    Thread safety: one thread at a time.
    """

    def __init__(self) -> None:
        self._ends: dict[int, End] = {}
        self._order: list[tuple[float, int]] = []  # heap; numbers that were removed are skipped on sight

    def add(self, number: int, deadline: float, end: End) -> None:
        """Add a callback. The number must never have been used before."""
        # Most requests end long before their deadline, and their heap entries would stay until then.
        if len(self._order) > 2 * len(self._ends) + SLACK:
            self._order = [entry for entry in self._order if entry[1] in self._ends]
            heapq.heapify(self._order)
        self._ends[number] = end
        heapq.heappush(self._order, (deadline, number))

    def remove(self, number: int) -> None:
        """Remove a callback, if it is still there."""
        self._ends.pop(number, None)

    def take_due(self, now: float) -> list[End]:
        """Remove and return the callbacks whose deadline has passed, the earliest first."""
        due = []
        while self.next <= now:
            # A finalizer may have removed it since `next` looked: the garbage collector can strike in any line.
            end = self._ends.pop(self._order[0][1], None)
            if end is not None:
                due.append(end)
        return due

    @property
    def next(self) -> float:
        """The earliest deadline; infinity for none."""
        while self._order and self._order[0][1] not in self._ends:
            heapq.heappop(self._order)
        return self._order[0][0] if self._order else math.inf


class DeadlineTimer:
    """Calls what is due, in a thread that exists only while something may become due.

    Thread safety: any number of threads.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Guards what follows. No callback is called under it. An RLock, because the garbage collector may strike while
        # this thread holds it, and run the finalizer of a future, which is forgotten here.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._deadlines = Deadlines()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def schedule(self, number: int, deadline: float, end: End) -> None:
        """Call `end` at `deadline`, unless `number` is forgotten before.

        Args:
            number: The key for `forget`, never used before.
            deadline: A time of the timer's clock.
            end: A callback that neither blocks nor runs a caller's code.
        """
        try:
            with self._lock:
                if self._stopped:
                    return
                sleeps_too_long = deadline < self._deadlines.next
                self._deadlines.add(number, deadline, end)
                if self._thread is None:
                    thread = threading.Thread(target=self._watch, name="yoloom-deadlines", daemon=True)
                    thread.start()
                    self._thread = thread
                elif sleeps_too_long:
                    self._changed.notify()
        except RuntimeError as error:
            # The next `schedule` tries again; until then a lane that becomes free ends what is late.
            log.warning("no thread could be started for deadlines: %s", error)

    def forget(self, number: int) -> None:
        """Never call the callback with this number, unless it is being called already."""
        with self._lock:
            self._deadlines.remove(number)

    def poll(self) -> None:
        """Call what is due now. Any thread."""
        with self._lock:
            due = self._deadlines.take_due(self._clock())
        for end in due:
            try:
                end()
            except Exception:  # noqa: PERF203  the others' time is over too
                log.exception("a request could not be ended at its deadline")

    def threads_alive(self) -> list[threading.Thread]:
        """Return the timer's thread, if it has one now."""
        with self._lock:
            return [self._thread] if self._thread is not None else []

    def stop(self) -> None:
        """Forget everything, end the thread and wait for that. Idempotent; any thread."""
        with self._lock:
            self._stopped, self._deadlines, thread = True, Deadlines(), self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _watch(self) -> None:
        while True:
            with self._lock:
                until = self._deadlines.next
                if until == math.inf:
                    # Decided under the lock: a `schedule` right after this starts a new thread, and none is missed.
                    self._thread = None
                    return
                self._changed.wait(clamped(until - self._clock()))
            self.poll()
