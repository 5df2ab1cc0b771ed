"""A few threads that do chores in the order in which they were left.

`concurrent.futures.ThreadPoolExecutor` is not used because it refuses work as soon as the main thread has ended, while
other threads of the program may go on predicting; and because `later` must be callable from finalizers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping

from yoloom.errors import EngineClosed, RuntimeFailed
from yoloom.sync.clock import TimeLimit
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")

Chore = Callable[[], object]

ENDLESS = TimeLimit(None)


class ThreadPool:
    """Threads for chores. `later` takes no lock, so that anybody may call it at any moment, finalizers included.

    The garbage collector can run a finalizer in the middle of any line, under whatever lock that thread holds at the
    time; a finalizer that takes a lock can therefore wait for its own thread, for ever. `SimpleQueue.put` can not.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._chores: queue.SimpleQueue[Chore | None] = queue.SimpleQueue()
        # Daemon, so that a forgotten close can not keep the interpreter alive.
        self.threads = [
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True) for number in range(threads)
        ]

    def start(self) -> None:
        """Start all threads, or none. Raises RuntimeFailed when the system gives no more."""
        try:
            for thread in self.threads:
                thread.start()
        except BaseException as error:  # even Ctrl-C
            self.threads = [thread for thread in self.threads if thread.ident is not None]
            self.stop()
            if not isinstance(error, RuntimeError):
                raise
            raise RuntimeFailed(f"no thread could be started: {error}; end some, or raise the limit.") from error

    @property
    def is_alive(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def later(self, chore: Chore) -> None:
        self._chores.put(chore)

    def stop(self, patience: TimeLimit = ENDLESS) -> bool:
        """Do what was left until now, then end. Waits for that while `patience` lasts, and in a chore not at all.

        False when that was too short. Idempotent; any thread.
        """
        for _ in self.threads:
            self._chores.put(None)
        if threading.current_thread() in self.threads:
            return True
        for thread in self.threads:
            if thread.ident is not None:  # else it was interrupted before it started them all
                thread.join(patience.left)
        return not self.is_alive

    def _work(self) -> None:
        while (chore := self._chores.get()) is not None:
            try:
                chore()
            except BaseException:
                # Even SystemExit: it is a chore's, and the thread is everybody's.
                log.exception("a chore failed")
            # While it waits for the next one, a thread must not keep the last one's images alive.
            del chore


class ThreadPools:
    """The crews of an engine by name, each started when it is first needed. Shared freely."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """sizes: how many threads each has."""
        self._sizes = sizes
        # Guards the two below. Held while threads are started, never while one works.
        self._lock = threading.Lock()
        self._crews: dict[str, ThreadPool] = {}
        self._stopped: set[str] = set()

    def later(self, name: str, chore: Chore) -> None:
        """Have a thread of that crew do the chore. Raises EngineClosed once it was stopped, or RuntimeFailed."""
        with self._lock:
            if name in self._stopped:
                raise EngineClosed("the model is closed; open it again with YOLO(path).")
            self._started(name).later(chore)  # under the lock: after `stop` nobody would do it

    def start(self, name: str) -> None:
        """Have the threads of that crew now, unless it was stopped: `later` then finds them. Raises RuntimeFailed."""
        with self._lock:
            if name not in self._stopped:
                self._started(name)

    def stop(self, name: str, patience: TimeLimit = ENDLESS) -> bool:
        """Have a crew do what was left until now, take nothing new, and end. Waits and answers as `ThreadPool.stop`."""
        with self._lock:
            self._stopped.add(name)
            crew = self._crews.get(name)
        return crew is None or crew.stop(patience)

    def _started(self, name: str) -> ThreadPool:
        """Called under the lock."""
        crew = self._crews.get(name)
        if crew is None:
            crew = ThreadPool(self._sizes[name], f"yoloom-{name}")
            crew.start()
            self._crews[name] = crew
        return crew

    def threads_alive(self) -> list[threading.Thread]:
        with self._lock:
            return [thread for crew in self._crews.values() for thread in crew.threads if thread.is_alive()]
