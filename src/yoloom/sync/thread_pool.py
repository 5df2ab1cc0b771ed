"""A few threads that do chores in the order in which they were handed in.

`concurrent.futures.ThreadPoolExecutor` is not used, because it refuses work as soon as the main thread has ended, while
other threads of the program may go on predicting; and because `later` must be callable from finalizers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping

from yoloom.errors import EngineClosed, RuntimeFailed
from yoloom.sync.clock import TimeLimit
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import explained

log = SafeLogger("yoloom.engine")

Chore = Callable[[], object]

NO_LIMIT = TimeLimit(None)


class ThreadPool:
    """Threads for chores. `later` takes no lock, so that anyone may call it at any moment, finalizers included.

    The garbage collector can run a finalizer in the middle of any line, under whatever lock that thread holds at the
    time; a finalizer that takes a lock can therefore wait for its own thread, for ever. `SimpleQueue.put` can not.

    Thread safety: any number of threads; `start` is for the one that has made it.
    """

    def __init__(self, threads: int, name: str) -> None:
        self._chores: queue.SimpleQueue[Chore | None] = queue.SimpleQueue()
        # Daemon threads, so that a forgotten close can not keep the interpreter alive.
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
            raise RuntimeFailed(f"no thread could be started: {explained(error)}") from error

    @property
    def is_alive(self) -> bool:
        """Whether at least one of the threads runs."""
        return any(thread.is_alive() for thread in self.threads)

    def later(self, chore: Chore) -> None:
        """Have one of the threads do the chore. Never waits."""
        self._chores.put(chore)

    def stop(self, limit: TimeLimit = NO_LIMIT) -> bool:
        """Do what was handed in until now, then end. Waits for that within `limit`; in a chore it does not wait.

        Returns False when the limit was too short. Idempotent; any thread.
        """
        for _ in self.threads:
            self._chores.put(None)
        # A chore can not wait for its own thread, nor for another one whose chore waits in the same way.
        if threading.current_thread() in self.threads:
            return True
        for thread in self.threads:
            if thread.ident is not None:  # else `start` was interrupted before it came to this one
                thread.join(limit.left)
        return not self.is_alive

    def _work(self) -> None:
        while (chore := self._chores.get()) is not None:
            try:
                chore()
            except BaseException:
                # Even SystemExit: it belongs to the chore, and the thread to all chores.
                log.exception("a chore failed")
            # While it waits for the next chore, a thread must not keep the last one's images alive.
            del chore


class ThreadPools:
    """The thread pools of an engine by name, each of them started when it is first needed.

    Thread safety: any number of threads.

    Args:
        sizes: How many threads each pool has.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self._sizes = sizes
        # Guards the two below. Held while threads are started, never while one works.
        self._lock = threading.Lock()
        self._pools: dict[str, ThreadPool] = {}
        self._stopped: set[str] = set()

    def later(self, name: str, chore: Chore) -> None:
        """Have a thread of that pool do the chore. Raises EngineClosed once the pool was stopped, or RuntimeFailed."""
        with self._lock:
            if name in self._stopped:
                raise EngineClosed("the model is closed; open it again with YOLO(path).")
            # Under the lock: a chore that is handed in after `stop` has put its end marks would never be done.
            self._started(name).later(chore)

    def start(self, name: str) -> None:
        """Have the threads of that pool ready for `later`, unless it was stopped. Raises RuntimeFailed."""
        with self._lock:
            if name not in self._stopped:
                self._started(name)

    def stop(self, name: str, limit: TimeLimit = NO_LIMIT) -> bool:
        """Have a pool do what was handed in until now, take nothing new, and end. Waits and returns as one pool's."""
        with self._lock:
            self._stopped.add(name)
            pool = self._pools.get(name)
        return pool is None or pool.stop(limit)

    def threads_alive(self) -> list[threading.Thread]:
        """Return the threads of all pools that run now."""
        with self._lock:
            return [thread for pool in self._pools.values() for thread in pool.threads if thread.is_alive()]

    def _started(self, name: str) -> ThreadPool:
        """Return a pool, started now if it was not. Called under the lock."""
        pool = self._pools.get(name)
        if pool is None:
            pool = ThreadPool(self._sizes[name], f"yoloom-{name}")
            pool.start()
            self._pools[name] = pool
        return pool
