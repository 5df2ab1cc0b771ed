"""Starts the workers of an engine, watches them, and replaces those that end or fall silent.

```
              ┌ slot 0 ── WorkerLifecycle ── process of generation 7 ── CurrentWorker ◀─ lane 0
Supervisor ───┤ slot 1 ── WorkerLifecycle ── process of generation 2 ── CurrentWorker ◀─ lane 1
(one thread)  └ its replacement ──────────── process of generation 3 ───┘ once it is ready
     ▲
     └ Mailbox ◀── resize, statistics, close: any thread
```

`WorkerLifecycle` decides, `WorkerSlot` obeys, and this keeps the table of slots. One thread starts all processes,
because the kernel ends a worker with the thread that started it. It waits for exits, for "ready", and for the mailbox.

Who waits for whom: a lane waits for its worker's answer, or in `CurrentWorker` for the next worker; callers of `start`
and `resize` wait for outcomes of slots. The supervisor's thread waits for nobody but the kernel. It takes the engine's
lock for a moment (`on_lanes`), so no thread may wait for the supervisor's thread while it holds that lock.
"""

from __future__ import annotations

import contextlib
import functools
import math
import select
import threading
from collections.abc import Callable, Sequence
from typing import Any

from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.errors import EngineClosed, RuntimeFailed
from yoloom.sync.clock import Clock, monotonic
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import explained
from yoloom.workers.current_worker import CurrentWorker
from yoloom.workers.ipc.messages import Message
from yoloom.workers.launcher import Launcher
from yoloom.workers.lifecycle import Budget, Phase, WorkerLifecycle
from yoloom.workers.mailbox import Mailbox
from yoloom.workers.recipe import Recipe
from yoloom.workers.settings import Workers
from yoloom.workers.worker_slot import WorkerSlot

log = SafeLogger("yoloom.workers")

LOOK_S = 0.25
"""Seconds after which the supervisor looks at its workers when no event calls for it: as often as they beat."""


class Supervisor:
    """The workers of one engine.

    The constructor stores; `start` returns when all workers are ready; `close` ends them all.

    Thread safety: any number of threads. The slots change in the supervisor's own thread only.

    Args:
        recipe: How a worker comes to its model.
        workers: How many there are, and how patient to be with them.
        threads: The CPU budget, of which each worker gets an equal share.
        on_lanes: Called with the lanes that can be used now; returns those that have a request now.
        clock: The clock of lifecycles and limits.

    Attributes:
        thread: The supervisor's thread.
    """

    def __init__(
        self,
        recipe: Recipe,
        workers: Workers,
        threads: int,
        on_lanes: Callable[[frozenset[int]], frozenset[int]],
        clock: Clock = monotonic,
    ) -> None:
        self._workers = workers
        self._budget_threads = threads
        self._on_lanes = on_lanes
        self._clock = clock
        self._restarts = Budget(workers.restarts, workers.within_s)
        self._mailbox = Mailbox()
        self._lock = threading.Lock()  # guards the table that follows, which only grows
        self._current: dict[int, CurrentWorker] = {}
        self._resizing = threading.Lock()  # held by the one thread that resizes, for as long as that takes
        self.thread = threading.Thread(target=self._run, name="yoloom-supervisor", daemon=True)
        # Owned by the thread. A slot is in one of the three: it serves a lane, is to replace one that does, or leaves.
        self._launcher = Launcher(recipe, workers.devices or ())
        self._slots: dict[int, WorkerSlot] = {}
        self._replacements: dict[int, WorkerSlot] = {}
        self._leaving: list[WorkerSlot] = []
        self._ending = False

    def current_worker(self, number: int) -> CurrentWorker:
        """Return where a lane finds its worker, whether it has one or not. The same object for the engine's life."""
        with self._lock:
            return self._current.setdefault(number, CurrentWorker(number, self._clock))

    def start(self) -> Message:
        """Start all workers and wait until they are ready. Return the message of the first one.

        Raises what keeps one from being ready; then none is left.
        """
        # Both before the thread starts, which may then use them without a lock.
        self._mailbox.open()
        self._launcher.open()
        try:
            self.thread.start()
        except RuntimeError as error:
            self._mailbox.close()
            self._launcher.close()
            raise RuntimeFailed(f"no thread could be started: {explained(error)}") from error
        try:
            return self._grow(range(self._workers.count), share_of(self._budget_threads, self._workers.count))[0]
        except BaseException:
            self.close()
            raise

    def resize(self, count: int) -> None:
        """Have `count` workers. Requests go on meanwhile; returns when all workers have their new share of the CPUs.

        Raises what keeps a new worker from being ready; then there are as many as before.
        """
        if threading.current_thread() is self.thread:
            # It would wait for an outcome that only itself can bring about.
            raise RuntimeFailed("resize waits for workers: call it in another thread than a handler of yoloom's log.")
        with self._resizing:
            before: dict[int, WorkerSlot] = self._call(lambda: dict(self._slots))
            share = share_of(self._budget_threads, count)
            # 1. Lanes that have no worker get one, with the new share. The others still have the old one: for a moment
            #    the shares are more than the budget, and requests go on.
            added = [number for number in range(count) if number not in before]
            self._grow(added, share)
            # 2. Those that stay and have another share are replaced one after the other: one worker more at a time.
            try:
                for number, slot in before.items():
                    if number < count and slot.threads != share:
                        # A worker can not change its share: another one starts beside it and replaces it when ready.
                        replacement = self._new_slot(number, share)
                        self._call(functools.partial(self._replacements.__setitem__, number, replacement))
                        replacement.outcome.result()
            except BaseException:
                self._undo_growth(added)
                raise
            # 3. Only now, when nothing can fail any more, those that are too many leave, each when it is idle.
            surplus = [number for number in before if number >= count]
            self._call(lambda: self._mark_unwanted(surplus))
            for number in surplus:
                before[number].has_left.wait()

    def statistics(self) -> tuple[WorkerStatistics, ...]:
        """Return the numbers of the workers; none once they have ended."""
        try:
            numbers: tuple[WorkerStatistics, ...] = self._call(
                lambda: tuple(slot.statistics() for slot in self._slots.values())
            )
        except EngineClosed:
            return ()
        return numbers

    def interrupt(self) -> None:
        """End all waiting for workers, now and later: lanes that wait for one get EngineClosed."""
        # Not under the lock: each of them has a lock of its own, and one is held at a time.
        with self._lock:
            current = list(self._current.values())
        for worker in current:
            worker.close()

    def close(self) -> None:
        """End all workers, and wait until they have ended. Idempotent; any thread."""
        # First the lanes: one that waits for a worker gets its error now, and not after the workers have ended.
        self.interrupt()
        self._mailbox.post(self._end)
        if self.thread.ident is not None and self.thread is not threading.current_thread():
            self.thread.join()

    def _call(self, work: Callable[[], Any]) -> Any:
        """Do the work in the supervisor's thread and return its result. Raises what it raises, or EngineClosed."""
        # A log handler of the user's may come here from that very thread, which would wait for itself.
        if threading.current_thread() is self.thread:
            return work()
        return self._mailbox.call(work)

    def _new_slot(self, number: int, threads: int) -> WorkerSlot:
        lifecycle = WorkerLifecycle(self._restarts, self._workers.silence_s, self._workers.run_limit_s)
        return WorkerSlot(self.current_worker(number), lifecycle, threads, self._launcher, self._clock)

    def _grow(self, numbers: Sequence[int], threads: int) -> list[Message]:
        """Start workers and wait for them. Raises what keeps one of them from being ready; then none is left."""
        slots = {number: self._new_slot(number, threads) for number in numbers}
        self._call(lambda: self._slots.update(slots))
        try:
            return [slot.outcome.result() for slot in slots.values()]
        except BaseException:
            self._undo_growth(numbers)
            raise

    def _undo_growth(self, numbers: Sequence[int]) -> None:
        """Remove slots that were added in vain, and wait until they have left, unless a worker hangs."""
        with contextlib.suppress(EngineClosed):  # then there are none at all
            for slot in self._call(lambda: self._mark_unwanted(numbers)):
                slot.has_left.wait(self._workers.silence_s)

    # ---- In the supervisor's thread

    def _run(self) -> None:
        try:
            self._watch()
        except Exception:  # a fault of ours: no thread may wait for it for ever
            log.exception("the supervisor failed, and its workers end with it")
            self.interrupt()
        # Orders that came too late are carried out here, as each has a caller that waits; after `close` none comes.
        for order in self._mailbox.close():
            order()
        # Nothing is left to do after a regular end. After a failure, nobody watches the workers any more: they are
        # killed, as the kernel would do it (Linux) when this thread has ended.
        self._end()
        for slot in self._leaving:
            if slot.process is not None:
                slot.process.kill()
        self._launcher.close()

    def _watch(self) -> None:
        """Step all slots, move them between the tables, tell the engine its lanes, and wait for the next event."""
        while not self._ending or self._leaving:
            now = self._clock()
            # Steps come first, so that roles, lanes and tables below are those of this moment.
            until = min((slot.step(now) for slot in self._all_slots()), default=math.inf)
            self._launcher.assign_roles(
                slot.process
                for slot in self._all_slots()
                if slot.process is not None and slot.lifecycle.phase is Phase.STARTING
            )
            self._promote_ready()
            # The engine hears which lanes have a worker. If there is none and none is coming, all: to raise the error.
            phases = {number: slot.lifecycle.phase for number, slot in self._slots.items() if slot.is_wanted}
            lanes = frozenset(number for number, phase in phases.items() if phase is Phase.READY)
            if not lanes and all(phase is Phase.BACKOFF for phase in phases.values()):
                lanes = frozenset(phases)
            busy = self._on_lanes(lanes)
            # An unwanted slot stays while its lane has a request: that may still need a worker for its second try.
            # The lane gets no other one, because the report above was made under the engine's lock.
            self._remove([number for number, slot in self._slots.items() if not slot.is_wanted and number not in busy])
            self._leaving = [slot for slot in self._leaving if slot.lifecycle.phase is not Phase.ENDED]
            if not self._ending or self._leaving:
                self._wait(min(until - now, LOOK_S))

    def _all_slots(self) -> list[WorkerSlot]:
        return [*self._slots.values(), *self._replacements.values(), *self._leaving]

    def _wait(self, seconds: float) -> None:
        """Wait until a worker or an order needs attention, drain the workers' stderr, and carry the orders out."""
        poll = select.poll()
        poll.register(self._mailbox.fileno(), select.POLLIN)
        watched = [(slot.process, slot.lifecycle.phase) for slot in self._all_slots() if slot.process is not None]
        for process, phase in watched:
            for descriptor in process.descriptors(is_starting=phase is Phase.STARTING):
                poll.register(descriptor, select.POLLIN)
        # A channel is polled only until its worker is ready. Later it is readable when an answer has come, which is for
        # the lane, and the poll would return at once until the lane has read it.
        poll.poll(math.ceil(max(0.0, seconds) * 1e3))
        for process, _ in watched:
            process.read_stderr()
        for order in self._mailbox.take():
            order()

    def _promote_ready(self) -> None:
        """Let each replacement that is ready take over its lane, and those that never will be leave."""
        for number, replacement in list(self._replacements.items()):
            if not replacement.outcome.done():
                continue
            del self._replacements[number]
            if replacement.outcome.exception() is not None:
                self._let_leave(replacement)
            else:
                replacement.lifecycle.restarts = self._slots[number].lifecycle.restarts
                # The lane has the new process already: `step` has installed it in the same CurrentWorker.
                self._let_leave(self._slots[number])
                self._slots[number] = replacement

    def _mark_unwanted(self, numbers: Sequence[int]) -> list[WorkerSlot]:
        """Give these lanes no more requests; their slots leave when they have none. Returns those slots."""
        slots = [self._slots[number] for number in numbers if number in self._slots]
        for slot in slots:
            slot.is_wanted = False
        return slots

    def _remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            slot = self._slots.pop(number, None)
            if slot is not None:
                # In this order: once vacated, its process gets no new request, so idle stays idle.
                slot.current.vacate()
                self._let_leave(slot)

    def _let_leave(self, slot: WorkerSlot) -> None:
        slot.leave()
        if slot.process is not None:  # it is watched until its process has ended
            self._leaving.append(slot)

    def _end(self) -> None:
        """Let all workers leave. A worker that still has a request hangs, or its engine's patience has ended."""
        # A second call finds empty tables: the mailbox may hold one `_end` for each thread that closes.
        self._ending = True
        for slot in self._all_slots():
            if slot.is_busy and slot.process is not None:
                slot.process.kill("the model was closed")
        self._remove(list(self._slots))
        for replacement in self._replacements.values():
            self._let_leave(replacement)
        self._replacements.clear()


def share_of(threads: int, workers: int) -> int:
    """Return the threads of each worker."""
    return max(1, threads // workers)
