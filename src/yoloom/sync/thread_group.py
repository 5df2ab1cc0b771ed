"""Threads that begin their work at the same moment: races in tests, callers of a benchmark, crowds of a check.

```
start() ─▶ thread 0 ── prepare ─┐
           thread 1 ── prepare ─┼─ barrier ─▶ work ─▶ its result or error is kept ─▶ ended
           start() itself ──────┘
```

Only the standard library: `benchmarks/` runs this file in environments without yoloom.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

EXIT_WAIT_S = 2.0

T = TypeVar("T")


class ThreadGroup(Generic[T]):
    """Daemon threads that wait for each other before they work, once.

    Thread safety: owned by the thread that starts it; `errors` may be read by any thread.

    Attributes:
        results: by thread; None until it has returned.
        errors: raised by `prepare` or `work`, in the order in which that happened.
        elapsed_s: from the common start to the end of the last thread; 0 until then.
    """

    def __init__(
        self, count: int, work: Callable[[int], T], name: str, prepare: Callable[[int], object] | None = None
    ) -> None:
        """Create the threads without starting them.

        Args:
            count: threads.
            work: called in each thread with its number, from 0.
            name: prefix of the threads' names; their numbers follow.
            prepare: called in each thread before it waits for the others.
        """
        self.results: list[T | None] = [None] * count
        self.errors: list[BaseException] = []
        self.elapsed_s = 0.0
        self._work = work
        self._prepare = prepare
        self._threads = [
            threading.Thread(target=self._run, args=(number,), name=f"{name}{number}", daemon=True)
            for number in range(count)
        ]
        self._barrier = threading.Barrier(count + 1, self._note_start)
        self._started_s = 0.0
        self._lock = threading.Lock()  # guards _running
        self._running = count
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the threads, and return when all of them have begun to work.

        Raises:
            RuntimeError: the system gives no more threads; those that were started end without working.
        """
        try:
            for thread in self._threads:
                thread.start()
            self._barrier.wait()
        except BaseException:
            # Threads at the barrier would wait for ever for those that were never started, or for this one.
            self._barrier.abort()
            raise

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the work of all threads has ended, and return whether it has."""
        return self._ended.wait(timeout_s)

    def join(self, timeout_s: float | None = None) -> list[str]:
        """Join the threads, waiting for each at most `timeout_s`, and return the names of those still running.

        Python has done with a thread before the system has: where `/proc` tells, the end of the system's is waited for
        too, or whoever counts the threads of the process would count these. That is a moment, however long `timeout_s`.
        """
        for thread in self._threads:
            thread.join(timeout_s)
        ended = [Path(f"/proc/self/task/{thread.native_id}") for thread in self._threads if not thread.is_alive()]
        until = time.perf_counter() + EXIT_WAIT_S
        while any(task.exists() for task in ended) and time.perf_counter() < until:
            time.sleep(0.001)
        return [thread.name for thread in self._threads if thread.is_alive()]

    def _note_start(self) -> None:
        self._started_s = time.perf_counter()

    def _run(self, number: int) -> None:
        try:
            if self._prepare is not None:
                with self._kept():
                    self._prepare(number)
            self._barrier.wait()
            with self._kept():
                self.results[number] = self._work(number)
        except threading.BrokenBarrierError:  # not all threads could be started
            return
        finally:
            with self._lock:
                self._running -= 1
                if self._running == 0:
                    self.elapsed_s = time.perf_counter() - self._started_s
                    self._ended.set()

    @contextlib.contextmanager
    def _kept(self) -> Iterator[None]:
        """Keep an error for the thread that waits for this one."""
        try:
            yield
        except BaseException as error:  # noqa: BLE001
            self.errors.append(error)


@contextlib.contextmanager
def switch_interval(seconds: float) -> Iterator[None]:
    """Let the interpreter switch threads this often meanwhile. Process-wide."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
