"""Starts the workers, watches them, and replaces those that end or fall silent. `life.py` decides, this obeys.

```
place 0 ── Life ── process of generation 7 ── Post ◀─ lane 0    One thread starts all processes, because the kernel
place 1 ── Life ── process of generation 2 ── Post ◀─ lane 1    ends a worker with the thread that started it. It
 heir 1 ── Life ── process of generation 3 ───┘ when ready      waits for exits, READY and orders of other threads.
```
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import select
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.errors import EngineClosed, RuntimeFailed, WorkersUnavailable, YoloomError
from yoloom.sync.clock import Clock, monotonic
from yoloom.system.memory import memory_of
from yoloom.system.safe_log import SafeLogger
from yoloom.workers.compile_sharing import CompileSharing
from yoloom.workers.current_worker import CurrentWorker
from yoloom.workers.exit_report import WorkerExit
from yoloom.workers.ipc.channel import ChannelClosed
from yoloom.workers.ipc.messages import Message
from yoloom.workers.ipc.remote_errors import rebuilt
from yoloom.workers.ipc.shared_weights import SharedNetwork
from yoloom.workers.lifecycle import Budget, Kill, Phase, Start, WorkerLifecycle
from yoloom.workers.process import WorkerProcess
from yoloom.workers.recipe import Recipe
from yoloom.workers.settings import Workers

log = SafeLogger("yoloom.workers")

LOOK_S = 0.25
"""Seconds after which the supervisor looks at its workers when nothing calls for it."""

Order = Callable[[], object]


class Place:
    """One lane's worker over its generations. Owned by the supervisor's thread, but for `post`, which is shared."""

    def __init__(self, post: CurrentWorker, life: WorkerLifecycle, threads: int) -> None:
        self.post = post
        self.life = life
        self.threads = threads
        self.process: WorkerProcess | None = None
        self.error: YoloomError | None = None  # what the last one said that could not start
        self.death: WorkerExit | None = None
        self.settled: Future[Message] = Future()  # the first READY, or why there is none
        self.is_wanted = True
        self.has_left = threading.Event()

    def settle(self, outcome: Message | YoloomError) -> None:
        if self.settled.done():
            return
        if isinstance(outcome, Message):
            self.settled.set_result(outcome)
        else:
            self.settled.set_exception(outcome)


class Supervisor:
    """The workers of one engine. Shared freely; what changes is done by its own thread.

    The constructor stores; `start` returns when all workers are ready; `close` ends them all.
    """

    def __init__(
        self,
        recipe: Recipe,
        workers: Workers,
        threads: int,
        on_lanes: Callable[[frozenset[int]], frozenset[int]],
        clock: Clock = monotonic,
    ) -> None:
        """threads: the budget, of which each worker gets an equal share.

        on_lanes: told which lanes can be used; returns those that have a request now.
        """
        self._recipe = recipe
        self._workers = workers
        self._budget_threads = threads
        self._on_lanes = on_lanes
        self._clock = clock
        self._budget = Budget(workers.restarts, workers.within_s)
        self._lock = threading.Lock()  # guards the three that follow
        self._orders: list[Order] = []
        self._posts: dict[int, CurrentWorker] = {}
        self._is_closed = False
        self._wake, self._woken = -1, -1
        self._resizing = threading.Lock()  # held by the one thread that resizes
        self._thread = threading.Thread(target=self._run, name="yoloom-supervisor", daemon=True)
        # Owned by the thread.
        self._places: dict[int, Place] = {}
        self._replacements: dict[int, Place] = {}  # started beside those, to take their places
        self._leaving: list[Place] = []
        self._ending = False
        self._generation = 0
        self._network: SharedNetwork | None = None
        self._handover = CompileSharing(is_wanted=False)

    @property
    def thread(self) -> threading.Thread:
        return self._thread

    def post(self, number: int) -> CurrentWorker:
        """The place of a lane, whether it has a worker or not."""
        with self._lock:
            return self._posts.setdefault(number, CurrentWorker(number, self._clock))

    def start(self) -> Message:
        """Start all workers and wait until they are ready. Raises what keeps one from it; then none is left.

        Returns what the first one said when it was.
        """
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        self._network = SharedNetwork.create() if self._recipe.is_shared else None
        self._handover = CompileSharing(is_wanted=self._network is not None)
        try:
            self._thread.start()
        except RuntimeError as error:
            self._is_closed = True
            self._close_descriptors()
            raise RuntimeFailed(f"no thread could be started: {error}; end some, or raise the limit.") from error
        try:
            return self._grow(range(self._workers.count), share_of(self._budget_threads, self._workers.count))[0]
        except BaseException:
            self.close()
            raise

    def resize(self, count: int) -> None:
        """Have `count` workers. Requests go on meanwhile; returns when all workers have their new share of the CPUs.

        Raises what keeps a new worker from being ready; then there are as many as before.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeFailed("resize waits for workers: call it in another thread than a handler of yoloom's log.")
        with self._resizing:
            before: dict[int, Place] = self._call(lambda: dict(self._places))
            share = share_of(self._budget_threads, count)
            added = [number for number in range(count) if number not in before]
            self._grow(added, share)
            try:
                for number, place in before.items():
                    if number < count and place.threads != share:
                        self._renew(place, share)
            except BaseException:
                self._take_back(added)
                raise
            surplus = [number for number in before if number >= count]
            self._call(lambda: self._dispense_with(surplus))
            for number in surplus:
                before[number].has_left.wait()

    def statistics(self) -> tuple[WorkerStatistics, ...]:
        try:
            found: tuple[WorkerStatistics, ...] = self._call(lambda: tuple(map(_statistics, self._places.values())))
        except EngineClosed:
            return ()
        return found

    def interrupt(self) -> None:
        """Nobody shall wait for a worker any more."""
        with self._lock:
            posts = list(self._posts.values())
        for post in posts:
            post.close()

    def close(self) -> None:
        """End all workers, and wait until they have ended. Idempotent; any thread."""
        self.interrupt()
        self._give_order(self._end)
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    # ---- Orders of other threads

    def _give_order(self, order: Order) -> bool:
        with self._lock:
            if self._is_closed or self._wake < 0:
                return False
            self._orders.append(order)
            self._wake_up()
            return True

    def _call(self, work: Callable[[], Any]) -> Any:
        """What `work` returns when the supervisor's thread does it. Raises what it raises, or EngineClosed."""
        if threading.current_thread() is self._thread:  # in a handler of `logging`
            return work()
        future: Future[Any] = Future()
        if not self._give_order(functools.partial(_settle, future, work)):
            raise EngineClosed("the model is closed; open it again with YOLO(path).")
        return future.result()

    def _wake_up(self) -> None:
        try:
            os.write(self._wake, b".")
        except BlockingIOError:  # it has more than enough reasons to wake up
            return

    def _grow(self, numbers: Sequence[int], threads: int) -> list[Message]:
        """Start workers and wait for them. Raises what keeps one of them from being ready; then none is left."""
        places = [Place(self.post(number), self._new_life(), threads) for number in numbers]
        self._call(lambda: self._places.update({place.post.number: place for place in places}))
        try:
            return [place.settled.result() for place in places]
        except BaseException:
            self._take_back(numbers)
            raise

    def _take_back(self, numbers: Sequence[int]) -> None:
        """Places that were added in vain: there are as many as before once this returns, unless one hangs."""
        with contextlib.suppress(EngineClosed):  # then there are none at all
            for place in self._call(lambda: self._dispense_with(numbers)):
                place.has_left.wait(self._workers.silence_s)

    def _renew(self, place: Place, threads: int) -> None:
        """Start a worker beside the present one, which takes its place when it is ready. Raises what keeps it."""
        heir = Place(place.post, self._new_life(), threads)
        self._call(lambda: self._replacements.update({place.post.number: heir}))
        heir.settled.result()

    def _new_life(self) -> WorkerLifecycle:
        return WorkerLifecycle(self._budget, self._workers.silence_s, self._workers.run_limit_s)

    # ---- The thread

    def _run(self) -> None:
        try:
            self._watch()
        except Exception:  # a fault of ours: nobody may wait for it
            log.exception("the supervisor failed, and its workers end with it")
            self.interrupt()
        with self._lock:
            self._is_closed = True
            orders, self._orders = self._orders, []
        for order in orders:
            order()
        self._end()
        for place in self._leaving:
            if place.process is not None:
                place.process.kill()
        self._close_descriptors()

    def _watch(self) -> None:
        while not self._ending or self._leaving:
            now = self._clock()
            until = min((self._step(place, now) for place in self._all()), default=math.inf)
            self._give_parts()
            self._promote_ready()
            busy = self._tell_lanes()
            unwanted = [number for number, place in self._places.items() if not place.is_wanted]
            # A lane that has a request may still need a worker to do it once more.
            self._remove([number for number in unwanted if number not in busy])
            self._leaving = [place for place in self._leaving if place.life.phase is not Phase.ENDED]
            if not self._ending or self._leaving:
                self._wait(min(until - now, LOOK_S))

    def _all(self) -> list[Place]:
        return [*self._places.values(), *self._replacements.values(), *self._leaving]

    def _close_descriptors(self) -> None:
        for descriptor in (self._wake, self._woken):
            if descriptor >= 0:
                os.close(descriptor)
        self._wake = self._woken = -1
        if self._network is not None:
            self._network.close()

    def _wait(self, seconds: float) -> None:
        """Until something happens, and take notice of it."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        watched = [(place.process, place.life.phase) for place in self._all() if place.process is not None]
        for process, phase in watched:
            for descriptor in process.descriptors(is_starting=phase is Phase.STARTING):
                poll.register(descriptor, select.POLLIN)
        poll.poll(math.ceil(max(0.0, seconds) * 1e3))
        for process, _ in watched:
            process.listen_to_last_words()
        with self._lock:
            orders, self._orders = self._orders, []
            if orders:
                os.read(self._woken, 2**16)
        for order in orders:
            order()

    def _step(self, place: Place, now: float) -> float:
        """Take notice of what a worker has done, and do what its life asks for. Returns when to look again."""
        if place.process is not None:
            self._observe(place, place.process, now)
        step = place.life.next_step(now)
        if isinstance(step, Start):
            self._begin(place, now)
            return now
        if isinstance(step, Kill):
            if place.process is not None:
                place.process.kill(step.why)
            return now
        if place.life.phase is Phase.BACKOFF:
            self._give_up(place, step.until, now)
        return step.until

    def _begin(self, place: Place, now: float) -> None:
        place.post.expect()
        place.life.started(now)
        process = WorkerProcess(self._next_generation())
        order = {"opener": self._recipe.opener, "arguments": self._recipe.arguments, "threads": place.threads}
        try:
            process.start(order, self._network)
        except YoloomError as error:
            place.error = error
            place.settle(error)
            place.life.died()
        else:
            place.process = process

    def _give_parts(self) -> None:
        """While one worker compiles for all, the others that start wait for that."""
        for place in self._all():
            if place.process is not None and place.life.phase is Phase.STARTING:
                part = self._handover.part(place.process.generation)
                if part is not None:
                    place.process.compile(part)

    def _take_over(self, process: WorkerProcess, why_not: str) -> None:
        """What a worker that is ready says of the network that all share."""
        is_shared = not why_not and self._network is not None and self._network.is_sealed
        if self._handover.ready(process.generation, is_shared):
            log.info("workers have no network in common: %s", why_not)

    def _next_generation(self) -> int:
        self._generation += 1
        return self._generation

    def _observe(self, place: Place, process: WorkerProcess, now: float) -> None:
        """Whether it has become ready, lives, or has ended."""
        if place.life.phase is Phase.STARTING:
            first = _first_word(process)
            if isinstance(first, YoloomError):
                log.warning("a worker could not open the model: %s", first)
                place.error = first
                place.settle(first)
            elif first is not None:
                place.life.ready(now)
                self._take_over(process, first.notes["unshared"])
                place.post.install(process)
                place.error = None
                place.settle(first)
        place.life.seen(process.beats, place.post.busy_since(process), now)
        if process.has_ended:
            self._died(place, process)

    def _died(self, place: Place, process: WorkerProcess) -> None:
        self._handover.ended(process.generation, is_loss=place.life.phase is not Phase.LEAVING)
        place.post.vacate(process)
        place.process = None
        if place.life.phase is not Phase.LEAVING:
            place.death = process.death()
            log.warning("a worker ended: %s.%s", place.death, place.death.quoted)
        place.life.died()
        process.dismiss()
        process.let_go()

    def _give_up(self, place: Place, until: float, now: float) -> None:
        """There are no restarts left for now."""
        why = functools.partial(self._unavailable, place, until)
        place.post.refuse(why)
        place.settle(why())

    def _unavailable(self, place: Place, until: float) -> WorkersUnavailable:
        left = max(0.0, until - self._clock())
        when = f"The next is started in {left:.0f} seconds." if left < math.inf else "No other is started."
        last = "" if place.death is None else f", the last was {place.death}"
        words = "" if place.death is None else place.death.quoted
        error = WorkersUnavailable(
            f"no worker process is left: more than {self._budget.restarts} ended within {self._budget.within_s:g} "
            f"seconds{last}. {when}{words}"
        )
        error.__cause__ = place.error
        return error

    def _promote_ready(self) -> None:
        """Heirs that are ready, or never will be."""
        for number, heir in list(self._replacements.items()):
            if not heir.settled.done():
                continue
            del self._replacements[number]
            if heir.settled.exception() is not None:
                self._leave(heir)
            else:
                heir.life.restarts = self._places[number].life.restarts
                self._leave(self._places[number])
                self._places[number] = heir

    def _dispense_with(self, numbers: Sequence[int]) -> list[Place]:
        """These places are wanted no longer: their lanes get no more requests, and they go when none is left."""
        places = [self._places[number] for number in numbers if number in self._places]
        for place in places:
            place.is_wanted = False
        return places

    def _remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            place = self._places.pop(number, None)
            if place is not None:
                place.post.vacate()
                self._leave(place)

    def _leave(self, place: Place) -> None:
        """It ends by itself when it has nothing to do, or is made to."""
        place.life.leave(self._clock())
        place.has_left.set()
        place.settle(EngineClosed("the model was closed, or its workers became fewer, while a worker was started."))
        if place.process is not None:
            if place.post.busy_since(place.process) == math.inf:
                place.process.dismiss()
            self._leaving.append(place)

    def _end(self) -> None:
        """The engine has closed: a worker that is still asked something hangs, or its parent has lost patience."""
        self._ending = True
        for place in self._all():
            if place.process is not None and place.post.busy_since(place.process) < math.inf:
                place.process.kill("the model was closed")
        self._remove(list(self._places))
        for heir in self._replacements.values():
            self._leave(heir)
        self._replacements.clear()

    def _tell_lanes(self) -> frozenset[int]:
        """Lanes with a worker can be used. When there is none, and none is coming, all can: to say so.

        Returns the lanes that have a request; any other one that can not be used will get none.
        """
        lives = {number: place.life.phase for number, place in self._places.items() if place.is_wanted}
        lanes = frozenset(number for number, phase in lives.items() if phase is Phase.READY)
        if not lanes and all(phase is Phase.BACKOFF for phase in lives.values()):
            lanes = frozenset(lives)
        return self._on_lanes(lanes)


def share_of(threads: int, workers: int) -> int:
    """The threads of each worker."""
    return max(1, threads // workers)


def _settle(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  it is for whoever asked
        future.set_exception(error)


def _first_word(process: WorkerProcess) -> Message | YoloomError | None:
    """READY, or what kept the worker from it, if it has said so."""
    try:
        message = process.channel.receive_now()
    except ChannelClosed:  # it has ended, or is no worker of ours
        process.kill()
        return None
    if message is None or message.kind == "ready":
        return message
    return rebuilt(message.notes)


def _statistics(place: Place) -> WorkerStatistics:
    pid = None if place.process is None else place.process.pid
    memory = memory_of(pid)
    return WorkerStatistics(
        lane=place.post.number,
        pid=pid,
        generation=0 if place.process is None else place.process.generation,
        state=place.life.phase.value,
        restarts=place.life.restarts,
        served=place.post.served,
        threads=place.threads,
        unique_bytes=memory.unique,
        proportional_bytes=memory.proportional,
    )
