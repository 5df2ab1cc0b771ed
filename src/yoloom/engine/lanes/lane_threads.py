"""The threads of the lanes: each asks the scheduler for work, runs it, and asks again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from yoloom.engine.lanes.lane import LaneSlot
from yoloom.engine.request import Outcome, too_late
from yoloom.engine.scheduler import Scheduler, tell_admitted
from yoloom.engine.scheduling.policy import LaneOffer, Run
from yoloom.errors import RuntimeFailed
from yoloom.sync.clock import Clock, TimeLimit
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import explained

log = SafeLogger("yoloom.engine")


class LaneThreads:
    """Threads that serve the slots of all profiles of an engine.

    Any thread serves any slot: the policy says which one, and gives it to one run at a time.

    Thread safety: any number of threads.
    """

    def __init__(self, scheduler: Scheduler, clock: Clock) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._lock = threading.Lock()  # guards what follows
        self._slots: dict[str, Sequence[LaneSlot]] = {}
        self._threads: list[threading.Thread] = []

    def add_profile(self, name: str, slots: Sequence[LaneSlot], offer: LaneOffer) -> None:
        """Serve a profile. Raises RuntimeFailed when there are no threads to be had."""
        self.set_slots(name, slots)
        self._scheduler.add_profile(name, offer)
        self.start(len(slots))

    def set_slots(self, name: str, slots: Sequence[LaneSlot]) -> None:
        """Set the slots of a profile, of which the policy may use those that it knows."""
        with self._lock:
            self._slots[name] = slots

    def start(self, count: int) -> None:
        """Have at least `count` threads, unless the engine has closed. Raises RuntimeFailed."""
        with self._lock:
            # `close` may come right after this look, and miss the new thread in `join`. That one ends by itself: the
            # first thing it hears from the scheduler is that there is no work any more.
            if self._scheduler.is_closed:
                return
            for number in range(len(self._threads), count):
                self._threads.append(start_thread(self._serve, f"yoloom-lane-{number}"))

    def threads(self) -> list[threading.Thread]:
        """List the threads. Takes no lock: the list is copied at once."""
        return list(self._threads)

    def join(self, limit: TimeLimit) -> list[str]:
        """Wait until the threads have ended, after `Scheduler.stop`. Returns the names of those that hang."""
        others = [thread for thread in self.threads() if thread is not threading.current_thread()]
        for thread in others:
            thread.join(limit.left)
        hung = [thread.name for thread in others if thread.is_alive()]
        if not hung:
            with self._lock:
                self._slots.clear()  # and with them the runtime's memory
        return hung

    def _serve(self) -> None:
        while (work := self._scheduler.next_work()) is not None:
            if work.admitted:
                tell_admitted(work.admitted)
            if isinstance(work.action, Run):
                run = work.action
                # Without the lock: a profile is sent requests only after its slots are here.
                slot = self._slots[run.profile][run.lane]
                try:
                    outcomes = slot.serve(work.requests, self._clock)
                except BaseException as error:  # noqa: BLE001  a handler of `logging` that raises: the lane must go on
                    failure = RuntimeFailed(f"the lane failed: {type(error).__name__}: {error}")
                    outcomes = [Outcome(error=failure) for _ in work.requests]
                self._scheduler.finish(run, work.requests, outcomes, slot.broken)
                del outcomes, run, slot
            else:
                for request in work.requests:
                    request.fail(too_late())
                del request
            # An idle lane must not keep the last image and its outputs alive.
            del work


def start_thread(work: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread. Raises RuntimeFailed when the system gives no more."""
    # Daemon, so that a forgotten close can not keep the interpreter alive; the registry closes at exit.
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise RuntimeFailed(f"no thread could be started: {explained(error)}") from error
    return thread
