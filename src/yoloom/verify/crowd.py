"""Many callers at once, and somebody who watches them.

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
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from yoloom.errors import InvalidOption
from yoloom.sync.stacks import all_thread_stacks, task_stacks
from yoloom.verify.caller import Caller, Stop
from yoloom.verify.in_flight import InFlight
from yoloom.verify.schedule import Step

TICK_S = 0.02
PARTING_S = 2.0  # for the callers to end once they were told to
SHAKEN_S = 1e-6  # between two thread switches; the interpreter's own interval is 5e-3

Watch = Callable[[], None]
Plan = tuple[Caller, Iterable[Step]]


@dataclass(frozen=True)
class Hang:
    """A request that did not come back. Immutable: shared freely.

    where, asked: whose it was, and for what. seconds: for how long it had been under way. others: how many more were
    overdue too. stacks: where all threads, and tasks, stood.
    """

    where: str
    asked: str
    seconds: float
    others: int
    stacks: str


@dataclass
class Crowd:
    """Callers that run at once. place: what it is called in reports. One thread uses it, once.

    seconds: None until all steps are taken. patience_s: a request that is under way for longer hangs.
    """

    place: str
    plans: Sequence[Plan]
    board: InFlight
    patience_s: float
    seconds: float | None = None
    shaken: bool = False
    as_tasks: bool = False
    elapsed_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._stop = Stop()
        self._ended = threading.Event()
        self._running = len(self.plans)
        self._lock = threading.Lock()  # guards _running
        self._barrier = threading.Barrier(1 if self.as_tasks else len(self.plans), self._note_start)
        self._started = time.perf_counter()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, watch: Watch) -> Hang | None:
        """Let all run until their time or their steps are up. `watch` is called again and again."""
        threads = self._threads()
        with _shaken() if self.shaken else _calm():
            try:
                _start(threads)
                hang = self._watch_until_ended(watch)
            except BaseException:
                self._barrier.abort()
                self._stop.end()
                self._ended.wait(PARTING_S)
                raise
        if hang is not None:
            self._abandon()
        for thread in threads:
            thread.join(0 if hang else None)
        return hang

    def _threads(self) -> list[threading.Thread]:
        if self.as_tasks:
            return [threading.Thread(target=self._run_loop, name=f"verify {self.place}", daemon=True)]
        return [
            threading.Thread(
                target=self._run_thread, args=plan, name=f"verify {self.place} #{plan[0].number}", daemon=True
            )
            for plan in self.plans
        ]

    def _note_start(self) -> None:
        self._started = time.perf_counter()

    def _run_thread(self, caller: Caller, steps: Iterable[Step]) -> None:
        try:
            self._barrier.wait()
            caller.run(steps, self._stop)
        except threading.BrokenBarrierError:  # not all threads could be started
            return
        finally:
            self._one_ended()

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._run_tasks())
        finally:
            self._ended.set()

    async def _run_tasks(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._note_start()
        tasks = [
            asyncio.create_task(caller.run_as_task(steps, self._stop), name=f"verify {self.place} #{caller.number}")
            for caller, steps in self.plans
        ]
        await asyncio.gather(*tasks, return_exceptions=True)
        self.elapsed_s = time.perf_counter() - self._started
        self._loop = None

    def _one_ended(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self.elapsed_s = time.perf_counter() - self._started
                self._ended.set()

    def _watch_until_ended(self, watch: Watch) -> Hang | None:
        until = None if self.seconds is None else time.perf_counter() + self.seconds
        while not self._ended.wait(TICK_S):
            watch()
            if until is not None and time.perf_counter() >= until:
                self._stop.end()
            late = self.board.overdue(self.patience_s)
            if late:
                case = self.plans[0][0].cases[late[0].case]
                where = f"{self.place}, caller {late[0].caller}"
                return Hang(where, str(case), self.patience_s, len(late) - 1, self._stacks())
        return None

    def _abandon(self) -> None:
        """Let everybody end who can: the tasks of a loop that is not blocked, threads that are not stuck."""
        self._stop.abandon()
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(_cancel_tasks)
        self._ended.wait(PARTING_S)

    def _stacks(self) -> str:
        stacks = [all_thread_stacks()]
        loop = self._loop
        if loop is not None:
            told = threading.Event()

            def tell() -> None:
                stacks.append(task_stacks(asyncio.all_tasks(loop)))
                told.set()

            loop.call_soon_threadsafe(tell)
            told.wait(PARTING_S)  # a loop that is blocked says so by the stack of its thread
        return "\n".join(stacks)


def _start(threads: Sequence[threading.Thread]) -> None:
    try:
        for thread in threads:
            thread.start()
    except RuntimeError as error:
        raise InvalidOption(f"threads={len(threads)} are more than this system gives: ask for fewer.") from error


def _cancel_tasks() -> None:
    for task in asyncio.all_tasks():
        if task.get_name().startswith("verify"):
            task.cancel()


@contextmanager
def _shaken() -> Iterator[None]:
    """Let the interpreter switch threads far more often than usual, so that races show. Process-wide."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SHAKEN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@contextmanager
def _calm() -> Iterator[None]:
    yield
