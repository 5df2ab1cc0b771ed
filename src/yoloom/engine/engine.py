"""One model file, compiled for one device: the queue, the lanes, and the helpers that deliver.

```
Engine ─┬─ Scheduler   the lock, the policy, the tables of requests
        ├─ Lanes       threads with contexts, or worker processes; they ask the scheduler for work
        ├─ Insight     counters, durations, the watchdog
        └─ pools       helpers that decode and finish what no caller waits for; threads for users' callbacks
```
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace

from yoloom.engine.image_job import ImageJob
from yoloom.engine.insight.statistics import Statistics
from yoloom.engine.insight.watchdog import Insight
from yoloom.engine.lanes.compilation import Compilation
from yoloom.engine.lanes.lanes import Lanes
from yoloom.engine.lanes.thread_lanes import ThreadLanes, gate_of
from yoloom.engine.request import Image, Request, Signal, too_late
from yoloom.engine.request_trace import begin_trace
from yoloom.engine.scheduler import Scheduler
from yoloom.engine.scheduling.policy import Policy
from yoloom.engine.scheduling.queue_policy import QUEUE_SIZE
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import Cancelled, EngineClosed, ForkedEngine, YoloomError
from yoloom.formats.model import Model
from yoloom.results.results import Results
from yoloom.runtime.plan import DEFAULT_PLAN, Plan
from yoloom.runtime.protocol import Backend, Guarantee, Precision
from yoloom.sync.clock import Clock, TimeLimit, monotonic
from yoloom.sync.deadline_timer import DeadlineTimer
from yoloom.sync.thread_pool import ThreadPools
from yoloom.system.files import files_bytes
from yoloom.system.safe_log import SafeLogger
from yoloom.telemetry.tracing import TRACING

log = SafeLogger("yoloom.engine")

MakeLanes = Callable[[Scheduler], Lanes]
"""Builds the lanes of an engine around its scheduler; nothing is started yet."""


class Engine:
    """One model file on one device, behind a queue.

    The constructor stores; `start` compiles, warms up and starts the first lane; `close` ends everything.

    Thread safety: any number of threads.
    """

    def __init__(
        self,
        model: Model,
        threads: int,
        make_lanes: MakeLanes,
        policy: Policy,
        clock: Clock = monotonic,
    ) -> None:
        """Build the parts around each other, see `thread_engine` and `worker_engine`."""
        self.model = model
        self.threads = threads
        self._clock = clock
        self._pid = os.getpid()
        self._ids = itertools.count()
        self._pools = ThreadPools({"helper": threads, "callback": threads})
        self.deadline_timer = DeadlineTimer(clock)
        self._weights_bytes = files_bytes(model.graph.files)
        self.insight = Insight()
        self.scheduler = Scheduler(str(model.graph.path), policy, self.insight, clock)
        self.lanes = make_lanes(self.scheduler)

    # ---- Facts

    @property
    def capacity(self) -> int:
        """Number of requests that may wait."""
        return self.scheduler.capacity

    @property
    def is_closed(self) -> bool:
        """Whether it takes nothing any more, and runs nothing that waited."""
        return self.scheduler.is_closed

    @property
    def precision(self) -> Precision:
        """Number format of the computation."""
        return self.lanes.precision

    def guarantee(self) -> Guarantee:
        """Say what holds for the bits of results."""
        return self.lanes.guarantee()

    def check_process(self) -> None:
        """Raise ForkedEngine in a process that is not the one which opened the engine."""
        # Before the lock: in a forked child it may be held by a thread that does not exist there.
        if os.getpid() != self._pid:
            raise ForkedEngine(
                "this model was opened before the process forked: open it in the child, or start processes by spawn "
                "(with gunicorn: without --preload)."
            )

    def start(self) -> None:
        """Make what a lone caller needs and run the network once. Raises what the backend raises."""
        self.lanes.start()

    def expect_many(self) -> None:
        """Compile for many callers now, and wait for that, instead of beside the traffic. Raises EngineClosed."""
        self.check_process()
        self.scheduler.check_open()
        self.lanes.expect_many()

    # ---- Requests

    def new_request(
        self,
        terms: RequestTerms,
        on_end: Callable[[Request], None],
        on_admitted: Callable[[Request], None] | None = None,
        keeps_place: bool = False,
        nbytes: int = 0,
    ) -> Request:
        """Make a request that nobody knows yet, see `Request`."""
        request = Request(next(self._ids), terms, on_end, on_admitted, keeps_place, self._clock(), nbytes)
        if TRACING in sys.modules:  # else this program does not trace
            request.trace = begin_trace(self.model, request.id, request.timeline, self._clock)
        return request

    def admit(self, request: Request) -> bool:
        """Give the request a place in the queue, see `Scheduler.admit`. Raises ForkedEngine as well."""
        if os.getpid() != self._pid:
            self.check_process()
        admitted = self.scheduler.admit(request)
        # Once it has its place: the first of many callers waits for no thread to start, and for no compiler.
        if self.scheduler.policy.contended and not self.lanes.serves_many:
            self.lanes.prepare_for_many()
        return admitted

    def mark_ready(self, request: Request, image: Image) -> bool:
        """Let a request whose image is prepared run in its turn, see `Scheduler.mark_ready`."""
        return self.scheduler.mark_ready(request, image)

    def cancel(self, request: Request, error: YoloomError) -> None:
        """End a waiting request with `error`, see `Scheduler.cancel`."""
        self.scheduler.cancel(request, error)

    def wait(self, request: Request, signal: Signal, for_place: bool = False) -> None:
        """Block until the request has ended, or has a place, at the latest at its deadline. Raises its error.

        for_place: the signal is that of its place. It comes also when the request has ended without one, or its caller
        would wait for ever.
        """
        deadline = request.terms.deadline
        try:
            came = signal.wait(math.inf if deadline == math.inf else deadline - self._clock())
        except BaseException:  # Ctrl-C while waiting: nobody will fetch the result
            self.cancel(request, Cancelled("the caller was interrupted while it waited."))
            raise
        if not came:
            # It may succeed between these two lines. Then there is nothing to cancel, but it is counted as what its
            # caller hears all the same: expired.
            self.cancel(request, too_late())
            raise too_late()
        # One that has a place may have ended meanwhile: its error is for the one who waits for its end.
        if request.error is not None and not (for_place and request.admitted):
            request.raise_error()

    def seconds_left(self, request: Request) -> float:
        """Return the seconds until its deadline, at least 0; infinity for none."""
        return max(0.0, request.terms.deadline - self._clock())

    def finish_timed(self, request: Request, job: ImageJob) -> Results:
        """Make the results of a request that has succeeded, in the calling thread. Raises DeadlineExceeded."""
        timeline = request.timeline
        timeline.fetched = self._clock()
        results = job.finish(request)
        now = timeline.finished = self._clock()
        self.insight.durations.finished(timeline)
        if request.terms.deadline <= now:  # it has succeeded, but would be delivered too late
            error = too_late()
            self.cancel(request, error)
            raise error
        return results

    # ---- Pools

    def on_helper(self, work: Callable[..., None], *args: object) -> None:
        """Have one of a few helper threads do `work`: decode or finish what no caller waits for. It must not block.

        Works until the lanes have ended, so that what ran during `close` is still delivered. Raises EngineClosed.
        """
        self.check_process()
        self._pools.later("helper", functools.partial(work, *args))

    def expect_callbacks(self) -> None:
        """Have threads for `run_callback`, unless the engine has closed. Raises RuntimeFailed or ForkedEngine."""
        self.check_process()
        self._pools.start("callback")

    def run_callback(self, work: Callable[..., None], *args: object) -> None:
        """Have a thread run a user's callback, which may block or predict: nothing of ours waits behind it.

        After `expect_callbacks`: raises EngineClosed, and nothing else.
        """
        self.check_process()
        self._pools.later("callback", functools.partial(work, *args))

    # ---- Insight

    def statistics(self) -> Statistics:
        """Take a snapshot of all counts."""
        self.check_process()
        statistics = self.scheduler.snapshot().statistics(self.threads, self.insight.durations, self._weights_bytes)
        workers = self.lanes.workers()
        return replace(statistics, workers=workers) if workers else statistics

    def watch(self, patience_s: float) -> None:
        """Have a thread report to the log when nothing moves for so long. Asked twice, the shorter time counts.

        Raises EngineClosed, or RuntimeFailed when there is no thread to be had.
        """
        self.check_process()
        self.scheduler.check_open()
        self.insight.watch(self.scheduler.snapshot, self.threads_of_work, patience_s)

    def threads_alive(self) -> list[threading.Thread]:
        """List the threads that belong to this engine now."""
        return [thread for thread in (*self.threads_of_work(), *self.insight.threads()) if thread.is_alive()]

    def threads_of_work(self) -> list[threading.Thread]:
        """List the threads that work. Takes no lock of the scheduler's, for a look at threads that wait for it."""
        return [*self.lanes.threads(), *self._pools.threads_alive(), *self.deadline_timer.threads_alive()]

    # ---- The end

    def close(self, drain: bool = False, timeout: float | None = None) -> None:
        """Take nothing new, end what waits, let what runs finish, and end the threads. Idempotent; any thread.

        Args:
            drain: Run first what waits.
            timeout: Seconds for all of this, None for as long as it takes. Requests that have not ended then end with
                EngineClosed, also those that run, are decoded or delivered; a thread that hangs in the runtime, in a
                decoder or in a caller's callback is left behind.
        """
        if os.getpid() != self._pid:
            return  # the threads are the parent's
        # In this order each step finds no more than the one before has left: no place for new requests, then the queue,
        # then the lanes. Futures end on helpers, so these go on until no lane gives them anything; a deadline may
        # strike as long as there is a future, so its timer stops after them; and the end of a future calls callbacks.
        limit = TimeLimit(timeout)
        _fail_closed(self.scheduler.turn_away())
        if drain:
            self.scheduler.drain(limit)
        _fail_closed(self.scheduler.stop())
        self.lanes.interrupt()
        hung = self.lanes.join(limit)
        # Before the gate is left: what hangs in the runtime is nobody's request from here on.
        running = self.scheduler.abandon_running(lanes_ended=not hung)  # none, unless a lane hangs
        self.lanes.close()
        _fail_closed(running)
        if hung:
            log.error("closed while the runtime still runs in %s: what it ran ends with an error", ", ".join(hung))
        if not self._pools.stop("helper", limit):
            # A helper hangs: the futures that it keeps, or that wait for it, end here instead, once.
            undelivered = self.scheduler.undelivered()
            for request in undelivered:
                request.on_end(request)
            if undelivered:
                log.error("closed while a helper hangs: %d results end with an error, undelivered", len(undelivered))
        self.deadline_timer.stop()
        self._pools.stop("callback", limit)
        self.insight.stop_watchdog()  # the last to go: it reports what the others wait for


def _fail_closed(requests: Iterable[Request]) -> None:
    for request in requests:
        request.fail(EngineClosed("the model was closed before the request was done; open it again."))


def thread_engine(
    model: Model,
    backend: Backend,
    threads: int,
    capacity: int = QUEUE_SIZE,
    clock: Clock = monotonic,
    version: Callable[[], object] = lambda: None,
    precision: Precision = Precision.FP32,
    plan: Plan = DEFAULT_PLAN,
    max_bytes: float = math.inf,
) -> Engine:
    """Make an engine whose lanes are threads of this process. Raises InvalidOption for a plan that does not fit.

    Args:
        model: The network.
        backend: Its runtime.
        threads: CPU budget.
        capacity: Requests that may wait.
        clock: Clock of deadlines.
        version: Tells one state of the model's files from another.
        precision: Number format of the computation.
        plan: Wishes for the profile that serves many callers.
        max_bytes: Bytes of decoded pictures that may wait, run, or be on their way to their callers.
    """
    gate = gate_of(backend, threads)
    compilation = Compilation(model, backend, precision, gate, version)

    def lanes(scheduler: Scheduler) -> ThreadLanes:
        return ThreadLanes(model, backend, plan, threads, gate, scheduler, compilation, precision, clock)

    return Engine(model, threads, lanes, Policy(capacity, {}, gate.is_contended, max_bytes), clock)
