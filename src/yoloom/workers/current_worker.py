"""One lane's place for a worker: where the lane finds the process that lives now, and waits for it while none does."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from yoloom.errors import EngineClosed, YoloomError
from yoloom.sync.clock import Clock
from yoloom.workers.process import WorkerProcess


class CurrentWorker:
    """Shared by one lane, which asks, and the supervisor, which puts processes in and takes them out."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.number = number
        self._clock = clock
        self._changed = threading.Condition()  # guards all that follows
        self._process: WorkerProcess | None = None
        self._busy: WorkerProcess | None = None  # asked now; not always the one above
        self._busy_since = math.inf
        self._why_none: Callable[[], YoloomError] | None = None  # there is none, and none is coming for now
        self._closed = False
        self._served = 0

    @property
    def served(self) -> int:
        """Requests that were answered, by all generations."""
        with self._changed:
            return self._served

    def busy_since(self, process: WorkerProcess) -> float:
        """Since when this process has its present image, infinity when it has none."""
        with self._changed:
            return self._busy_since if self._busy is process else math.inf

    # ---- The lane's side

    def begin(self, deadline: float, engine_clock: Clock) -> WorkerProcess | None:
        """The process to ask next, once there is one; None when the deadline came first. Then say `end`.

        Raises EngineClosed, or why there is none.
        """
        with self._changed:
            while self._process is None:
                self._check()
                left = deadline - engine_clock()
                if left <= 0:
                    return None
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            self._busy, self._busy_since = self._process, self._clock()
            self._busy.hold()
            return self._busy

    def _check(self) -> None:
        if self._closed:
            raise EngineClosed("the model was closed while the request waited for a worker; open it again.")
        if self._why_none is not None:
            raise self._why_none()

    def end(self, process: WorkerProcess, served: bool) -> None:
        """It has answered, or is lost. One that was replaced meanwhile is dismissed."""
        with self._changed:
            self._busy, self._busy_since = None, math.inf
            self._served += served
            replaced = self._process is not process
        if replaced:
            process.dismiss()
        process.let_go()

    # ---- The supervisor's side

    def install(self, process: WorkerProcess) -> None:
        """From the next request on, this one is asked. The one before it ends when it is idle."""
        with self._changed:
            before, self._process = self._process, process
            self._why_none = None
            idle = before is not None and before is not self._busy
            self._changed.notify_all()
        if before is not None and idle:
            before.dismiss()

    def vacate(self, process: WorkerProcess | None = None) -> None:
        """The process (None: whichever) is asked no more. It ends when it is idle."""
        with self._changed:
            before = self._process
            if before is None or process not in (None, before):
                return
            self._process = None
            idle = before is not self._busy
        if idle:
            before.dismiss()

    def refuse(self, why: Callable[[], YoloomError]) -> None:
        """No process is coming for now: who asks for one gets this error, until `install` or `expect`."""
        with self._changed:
            self._why_none = why
            self._changed.notify_all()

    def expect(self) -> None:
        """A process is coming: who asks for one waits."""
        with self._changed:
            self._why_none = None

    def close(self) -> None:
        """Nobody shall wait for a process any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
