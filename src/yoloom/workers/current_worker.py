"""The meeting point of one lane and its worker: the lane finds the present process here, or waits for the next one."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from yoloom.errors import EngineClosed, YoloomError
from yoloom.sync.clock import Clock, clamped
from yoloom.workers.process import WorkerProcess


class CurrentWorker:
    """The process that serves a lane now.

    A process can be replaced while the lane uses it. It then stays the lane's until `release`, and is dismissed by
    whichever side is the last to need it: `release` if the lane is busy with it, `install` or `vacate` if not. Both
    sides decide that under the lock, so that it is done exactly once.

    Thread safety: any number of threads; one lane calls `acquire` and `release`, the supervisor everything else.
    """

    def __init__(self, number: int, clock: Clock) -> None:
        self.number = number
        self._clock = clock
        self._changed = threading.Condition()  # guards all that follows
        self._process: WorkerProcess | None = None
        self._busy: WorkerProcess | None = None  # has a request now; not always the one above
        self._busy_since = math.inf
        self._why_none: Callable[[], YoloomError] | None = None  # there is none, and none is coming for now
        self._closed = False
        self._served = 0

    @property
    def served(self) -> int:
        """How many requests were answered, by all generations."""
        with self._changed:
            return self._served

    def busy_since(self, process: WorkerProcess) -> float:
        """Return since when this process has its present image; infinity when it has none."""
        with self._changed:
            return self._busy_since if self._busy is process else math.inf

    # ---- The lane's side

    def acquire(self, deadline: float, engine_clock: Clock) -> WorkerProcess | None:
        """Wait for a process and return it; None when the deadline came first. `release` has to follow.

        Raises EngineClosed, or the error that says why there is no process.
        """
        with self._changed:
            while self._process is None:
                if self._closed:
                    raise EngineClosed("the model was closed while the request waited for a worker; open it again.")
                if self._why_none is not None:
                    raise self._why_none()
                left = deadline - engine_clock()
                if left <= 0:
                    return None
                self._changed.wait(clamped(left))
            self._busy, self._busy_since = self._process, self._clock()
            # Its descriptors must stay open until `release`, even if the supervisor buries it meanwhile: their numbers
            # could otherwise belong to other files while this lane still reads and writes.
            self._busy.retain()
            return self._busy

    def release(self, process: WorkerProcess, served: bool) -> None:
        """Give a process back that has answered, or is lost. One that was replaced meanwhile is dismissed."""
        with self._changed:
            self._busy, self._busy_since = None, math.inf
            self._served += served
            replaced = self._process is not process
        if replaced:
            process.dismiss()
        process.release()

    # ---- The supervisor's side

    def install(self, process: WorkerProcess) -> None:
        """Give the lane this process from its next request on. The one before it ends when it is idle."""
        with self._changed:
            before, self._process = self._process, process
            self._why_none = None
            idle = before is not None and before is not self._busy
            self._changed.notify_all()
        if before is not None and idle:
            before.dismiss()

    def vacate(self, process: WorkerProcess | None = None) -> None:
        """Give the lane this process (None: whichever it has) no more. It ends when it is idle. Any thread."""
        with self._changed:
            before = self._process
            if before is None or process not in (None, before):
                return  # lane and supervisor both notice a death: the slower one must not take out the successor
            self._process = None
            idle = before is not self._busy
        if idle:
            before.dismiss()

    def refuse(self, why: Callable[[], YoloomError] | None) -> None:
        """Raise this error in `acquire`: no process is coming for now. None: one is, so that `acquire` waits again."""
        with self._changed:
            self._why_none = why
            self._changed.notify_all()

    def close(self) -> None:
        """Wake the lane if it waits for a process, and let it never wait again. Any thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
