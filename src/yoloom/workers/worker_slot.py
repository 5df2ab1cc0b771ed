"""One lane's worker over its generations: carries out what its lifecycle decides."""

from __future__ import annotations

import functools
import math
import threading
from concurrent.futures import Future

from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.errors import EngineClosed, WorkersUnavailable, YoloomError
from yoloom.sync.clock import Clock
from yoloom.system.memory import memory_of
from yoloom.system.safe_log import SafeLogger
from yoloom.workers.current_worker import CurrentWorker
from yoloom.workers.exit_report import WorkerExit
from yoloom.workers.ipc.messages import Message
from yoloom.workers.launcher import Launcher
from yoloom.workers.lifecycle import Kill, Phase, Start, WorkerLifecycle
from yoloom.workers.process import WorkerProcess

log = SafeLogger("yoloom.workers")


class WorkerSlot:
    """A lifecycle with its process.

    Thread safety: owned by the supervisor's thread; any may use `current`, and wait for `outcome` and `has_left`.

    Attributes:
        current: Where the lane finds the process.
        outcome: The message of the first process that becomes ready, or the error that keeps it from that.
        is_wanted: Whether the lane is to have a worker; if not, the slot leaves when the lane has no request.
        has_left: Set when the slot no longer serves its lane.
    """

    def __init__(
        self, current: CurrentWorker, lifecycle: WorkerLifecycle, threads: int, launcher: Launcher, clock: Clock
    ) -> None:
        self.current = current
        self.lifecycle = lifecycle
        self.threads = threads
        self.process: WorkerProcess | None = None
        self.outcome: Future[Message] = Future()
        self.is_wanted = True
        self.has_left = threading.Event()
        self._launcher = launcher
        self._clock = clock
        self._start_error: YoloomError | None = None  # of the last process, if it could not start
        self._last_exit: WorkerExit | None = None

    @property
    def is_busy(self) -> bool:
        """Whether its process has a request now."""
        return self.process is not None and self.current.busy_since(self.process) < math.inf

    def step(self, now: float) -> float:
        """Take note of what the worker has done, and do what its lifecycle asks for. Return when to look again."""
        if self.process is not None:
            self._observe(self.process, now)
        step = self.lifecycle.next_step(now)
        if isinstance(step, Start):
            # First the lane waits again, then the process starts: were it told of the start later, a request in between
            # would still get the error of the restarts that had run out.
            self.current.refuse(None)
            self.lifecycle.started(now)
            try:
                self.process = self._launcher.launch(self.current.number, self.threads)
            except YoloomError as error:
                # Counts as a process that died: the next try is charged to the same budget, so this can not spin.
                self._start_error = error
                self._settle(error)
                self.lifecycle.died()
            return now
        if isinstance(step, Kill):
            if self.process is not None:
                self.process.kill(step.why)
            return now
        if self.lifecycle.phase is Phase.BACKOFF:  # no restarts are left for now
            unavailable = functools.partial(self._unavailable, step.until)
            self.current.refuse(unavailable)
            self._settle(unavailable())
        return step.until

    def _observe(self, process: WorkerProcess, now: float) -> None:
        """See whether it has become ready, lives, or has ended."""
        if self.lifecycle.phase is Phase.STARTING:
            outcome = process.start_outcome()
            if isinstance(outcome, YoloomError):
                # The process ends by itself now, and `_bury` follows: the lifecycle hears of it only then.
                log.warning("a worker could not open the model: %s", outcome)
                self._start_error = outcome
                self._settle(outcome)
            elif outcome is not None:
                # Installed before the outcome is settled: who waits for that may send a request at once. From here on
                # the channel belongs to the lane, and the supervisor reads nothing from it any more.
                self.lifecycle.ready(now)
                self._launcher.ready(process, outcome.notes["unshared"])
                self.current.install(process)
                self._start_error = None
                self._settle(outcome)
        self.lifecycle.seen(process.heartbeat.beats, self.current.busy_since(process), now)
        # The exit is looked for last: a process that reports ready and ends at once is first installed, then vacated.
        if process.has_ended:
            self._bury(process)

    def _bury(self, process: WorkerProcess) -> None:
        # The lane may have noticed first, and have vacated it, killed it and made a report of its own: all of that may
        # be done twice.
        was_told_to_go = self.lifecycle.phase is Phase.LEAVING
        self._launcher.ended(process, is_loss=not was_told_to_go)
        self.current.vacate(process)
        self.process = None
        if not was_told_to_go:
            self._last_exit = process.exit_report()
            log.warning("a worker ended: %s.%s", self._last_exit, self._last_exit.quote)
        self.lifecycle.died()
        # A lane may still wait for its answer: wake it. It then finds the channel closed, and releases the process too.
        process.dismiss()
        process.release()

    def _settle(self, outcome: Message | YoloomError) -> None:
        """Tell those that wait for the first process how it went. Only the first outcome counts."""
        if self.outcome.done():
            return
        if isinstance(outcome, Message):
            self.outcome.set_result(outcome)
        else:
            self.outcome.set_exception(outcome)

    def _unavailable(self, until: float) -> WorkersUnavailable:
        """Make the error for requests that find no worker before `until`. Any thread: it is raised in the lane's."""
        # It reads what the supervisor's thread writes, without a lock: each is one reference to something immutable,
        # and at worst the message tells of the exit before the last.
        left = max(0.0, until - self._clock())
        budget, last_exit = self.lifecycle.budget, self._last_exit
        when = f"The next is started in {left:.0f} seconds." if left < math.inf else "No other is started."
        last, quote = ("", "") if last_exit is None else (f", the last was {last_exit}", last_exit.quote)
        error = WorkersUnavailable(
            f"no worker process is left: more than {budget.restarts} ended within {budget.within_s:g} seconds{last}. "
            f"{when}{quote}"
        )
        error.__cause__ = self._start_error
        return error

    def leave(self) -> None:
        """Serve the lane no more. The process ends when it has nothing to do, or is made to."""
        # A busy process is left alone: its lane gets the answer, and `CurrentWorker.release` dismisses it then, because
        # it is the lane's process no longer. It can not become busy after this look, for the same reason.
        is_busy = self.is_busy
        self.lifecycle.leave(self._clock())
        self.has_left.set()
        self._settle(EngineClosed("the model was closed, or its workers became fewer, while a worker was started."))
        if self.process is not None and not is_busy:
            self.process.dismiss()

    def statistics(self) -> WorkerStatistics:
        """Return the numbers of the slot and its present process."""
        process = self.process
        memory = memory_of(None if process is None else process.pid)
        return WorkerStatistics(
            lane=self.current.number,
            pid=None if process is None else process.pid,
            generation=0 if process is None else process.generation,
            state=self.lifecycle.phase.value,
            restarts=self.lifecycle.restarts,
            served=self.current.served,
            threads=self.threads,
            unique_bytes=memory.unique,
            proportional_bytes=memory.proportional,
        )
