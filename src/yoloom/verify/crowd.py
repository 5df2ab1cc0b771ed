"""Runs many callers at once, and watches them.

```
calling thread: watches ── stop after its time ── a request overdue? ─▶ stacks of all threads, Hang
                   │
 thread 0 ─┐       │
 thread 1 ─┼─ barrier ─▶ steps of their own ─▶ target            (or tasks in one event loop, in a thread)
 thread n ─┘
```

All threads are daemons: a target that hangs keeps its callers, but neither the check nor the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from yoloom.errors import InvalidOption
from yoloom.sync.stacks import all_thread_stacks, task_stacks
from yoloom.sync.thread_group import ThreadGroup, switch_interval
from yoloom.telemetry.histogram import Histogram
from yoloom.verify.caller import Caller, StopSignal
from yoloom.verify.in_flight import InFlight
from yoloom.verify.pace import Late, late_limit_s
from yoloom.verify.schedule import CallerStep

TICK_S = 0.02
END_WAIT_S = 2.0  # for the callers to end once they were told to
SHAKEN_S = 1e-6  # between two thread switches; the interpreter's own interval is 5e-3

Watch = Callable[[], None]
CallerPlan = tuple[Caller, Iterable[CallerStep]]


@dataclass(frozen=True)
class Hang:
    """A request that did not come back. Immutable: shared freely.

    Attributes:
        where: crowd and caller.
        asked: the case.
        seconds: for how long it had been under way.
        others: how many more requests were overdue.
        stacks: of all threads, and tasks, as text.
    """

    where: str
    asked: str
    seconds: float
    others: int
    stacks: str


@dataclass
class Crowd:
    """Callers that run at once. Thread safety: owned by one thread, which runs it once.

    Attributes:
        place: name of the crowd in reports.
        plans: callers, in the order of their numbers, with their steps.
        in_flight: requests of the crowd.
        hang_after_s: seconds after which a request counts as a hang.
        seconds: None until all steps are taken.
        shaken: whether threads are switched far more often than usual, so that races show.
        as_tasks: whether callers are tasks of one event loop instead of threads.
        elapsed_s: from the first request to the end of the last caller; 0 after a hang.
        stall_s: the longest time by which the watching thread was kept from looking.
    """

    place: str
    plans: Sequence[CallerPlan]
    in_flight: InFlight
    hang_after_s: float
    seconds: float | None = None
    shaken: bool = False
    as_tasks: bool = False
    elapsed_s: float = field(default=0.0, init=False)
    stall_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._stop = StopSignal()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, watch: Watch) -> Hang | None:
        """Let all callers run until their time or their steps are up.

        Args:
            watch: called again and again meanwhile.

        Raises:
            InvalidOption: the system gives no more threads.
        """

        def run_caller(number: int) -> None:
            caller, steps = self.plans[number]
            caller.run(steps, self._stop)

        if self.as_tasks:
            group = ThreadGroup(1, self._run_loop, f"verify {self.place} loop ")
        else:
            group = ThreadGroup(len(self.plans), run_caller, f"verify {self.place} #")
        with switch_interval(SHAKEN_S) if self.shaken else contextlib.nullcontext():
            try:
                try:
                    group.start()
                except RuntimeError as error:
                    callers = len(self.plans)
                    raise InvalidOption(f"this system can not start threads={callers}: ask for fewer.") from error
                hang = self._watch_until_ended(group, watch)
            except BaseException:
                self._stop.ended.set()
                group.wait(END_WAIT_S)
                raise
        if hang is not None:
            self._abandon(group)
        group.join(0 if hang else None)
        if group.errors and hang is None:
            raise group.errors[0]
        if not self.as_tasks:
            self.elapsed_s = group.elapsed_s
        return hang

    def latencies(self) -> Histogram:
        """Merge those of all callers."""
        merged = Histogram()
        for caller, _ in self.plans:
            merged.merge(caller.latencies)
        return merged

    def late_answers(self, alone_s: float) -> list[Late]:
        """Return the requests that were far slower than others, and than anything else was kept.

        alone_s: of the slowest case when nobody else asks.
        """
        callers = [caller for caller, _ in self.plans]
        usual_s = self.latencies().distribution().p50_ms / 1e3
        limit_s = late_limit_s(usual_s, alone_s, len(callers), [self.stall_s, *(one.pace.stall_s for one in callers)])
        return [
            Late(f"{self.place}, caller {caller.number}", str(caller.cases[case]), seconds, limit_s)
            for caller in callers
            for case, seconds in caller.pace.waits
            if seconds > limit_s
        ]

    def _run_loop(self, _number: int) -> None:
        async def run_tasks() -> None:
            self._loop = asyncio.get_running_loop()
            started = time.perf_counter()
            tasks = [
                asyncio.create_task(caller.run_as_task(steps, self._stop), name=f"verify {self.place} #{caller.number}")
                for caller, steps in self.plans
            ]
            await asyncio.gather(*tasks, return_exceptions=True)
            self.elapsed_s = time.perf_counter() - started
            self._loop = None

        asyncio.run(run_tasks())

    def _watch_until_ended(self, group: ThreadGroup[None], watch: Watch) -> Hang | None:
        until = None if self.seconds is None else time.perf_counter() + self.seconds
        looked = time.perf_counter()
        while not group.wait(TICK_S):
            self.stall_s = max(self.stall_s, time.perf_counter() - looked - TICK_S)
            watch()
            looked = time.perf_counter()
            if until is not None and time.perf_counter() >= until:
                self._stop.ended.set()
            late = self.in_flight.overdue(self.hang_after_s)
            if late:
                case = self.plans[0][0].cases[late[0].case]
                where = f"{self.place}, caller {late[0].caller}"
                return Hang(where, str(case), self.hang_after_s, len(late) - 1, self._stacks())
        return None

    def _abandon(self, group: ThreadGroup[None]) -> None:
        """End all callers that can end: the tasks of a loop that is not blocked, threads that are not stuck."""

        def cancel_tasks() -> None:
            for task in asyncio.all_tasks():
                if task.get_name().startswith("verify"):
                    task.cancel()

        # In this order, and before the cancellations, which would count as errors of the target.
        self._stop.abandoned.set()
        self._stop.ended.set()
        loop = self._loop  # the loop's thread may set it to None meanwhile
        if loop is not None:
            loop.call_soon_threadsafe(cancel_tasks)
        group.wait(END_WAIT_S)

    def _stacks(self) -> str:
        stacks = [all_thread_stacks()]
        loop = self._loop
        if loop is not None:
            done = threading.Event()

            def describe_tasks() -> None:
                stacks.append(task_stacks(asyncio.all_tasks(loop)))
                done.set()

            loop.call_soon_threadsafe(describe_tasks)
            done.wait(END_WAIT_S)  # a loop that is blocked shows in the stack of its thread
        return "\n".join(stacks)
