"""The shell around the policy: one lock, the lanes' threads, and the compiled forms.

```
 caller's thread                  lane's thread                               caller's thread, or a helper
 admit ─▶ decode ─▶ prepared ─▶   next_action ─▶ letterbox ─▶ context.run ─▶  on_end ─▶ heads, NMS, Results
 └──────── Policy, under the engine's lock ────┘ └──────────────── no lock is held ─────────────────────┘
```

The engine holds at most two compiled forms: LATENCY from the start, THROUGHPUT from the first time that two requests
meet. It is compiled beside the traffic, so nobody waits for the switch.

Whoever takes a request out of `_requests` (it waits) or `_running`, under the lock, ends it; so it ends once.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterable, Sequence

from yoloom.engine.insight.counters import Books, reason_of
from yoloom.engine.insight.lane_activity import Activity
from yoloom.engine.insight.meters import Meters
from yoloom.engine.insight.situation import Situation
from yoloom.engine.insight.snapshot import Moment, situation_of, statistics_of
from yoloom.engine.insight.statistics import Statistics
from yoloom.engine.insight.watchdog import Watchdog
from yoloom.engine.lanes.compilation import Compilation
from yoloom.engine.lanes.cpu_gate import cpu_gate
from yoloom.engine.lanes.lane import LaneSlot, Outcome, Slot
from yoloom.engine.lanes.plan import DEFAULT_PLAN, Plan
from yoloom.engine.prediction import Prediction
from yoloom.engine.request import Image, Request, Signal
from yoloom.engine.request_trace import begin_trace
from yoloom.engine.scheduling.client import RequestTerms
from yoloom.engine.scheduling.policy import Expire, Lanes, Place, Policy, Run, Ticket
from yoloom.engine.scheduling.queue_policy import QUEUE_SIZE
from yoloom.errors import (
    Cancelled,
    DeadlineExceeded,
    Dropped,
    EngineClosed,
    ForkedEngine,
    QueueFull,
    RuntimeFailed,
    YoloomError,
)
from yoloom.formats.model import Model
from yoloom.results.results import Results
from yoloom.runtime.protocol import Backend, Form, Precision
from yoloom.sync.clock import Clock, TimeLimit, monotonic
from yoloom.sync.counted_lock import CountedLock
from yoloom.sync.deadline_timer import DeadlineTimer
from yoloom.sync.lifo_condition import LifoCondition
from yoloom.sync.once import Once
from yoloom.sync.stacks import thread_name
from yoloom.sync.thread_pool import ThreadPools
from yoloom.system.files import files_bytes
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


class Engine:
    """One model file, compiled for one device: the queue, the lanes and their contexts. Shared freely.

    The constructor stores; `start` compiles, warms up and starts the first lane; `close` ends everything.
    prediction_type: what one image is asked, as the lanes of this kind of engine take it.
    """

    prediction_type: type[Prediction] = Prediction

    def __init__(
        self,
        model: Model,
        backend: Backend,
        threads: int,
        capacity: int = QUEUE_SIZE,
        clock: Clock = monotonic,
        version: Callable[[], object] = lambda: None,
        precision: Precision = Precision.FP32,
        plan: Plan = DEFAULT_PLAN,
    ) -> None:
        """version: see `Compilation`. plan: checked."""
        self.model = model
        self.backend = backend
        self.threads = threads
        self.precision = precision
        self.plan = plan
        self.share = cpu_gate().share(threads)
        self._clock = clock
        self._compilation = Compilation(model, backend, plan, precision, self.share, version)
        self._pid = os.getpid()
        self._ids = itertools.count()
        self._crews = ThreadPools({"helper": threads, "callback": threads})
        self._meters = Meters()
        self.deadline_timer = DeadlineTimer(clock)
        self._weights_bytes = files_bytes(model.graph.files)
        # Guards all that follows. Held for a few lines at a time, never while a runtime or a caller's code runs.
        self._lock = CountedLock()
        self._work = LifoCondition(self._lock)  # lanes wait for something to do
        self._settled = self._lock.condition()  # who drains waits until nothing waits or runs
        self._policy = Policy(capacity, {}, self.share.in_company)
        self._requests: dict[int, Request] = {}  # those that wait, for a place or for their turn
        self._running: dict[int, Request] = {}
        self._undelivered: dict[int, Request] = {}  # of futures that have not ended, wherever they are
        self._slots: dict[Form, Sequence[LaneSlot]] = {}
        self._lanes: list[threading.Thread] = []
        self._compiler: threading.Thread | None = None
        self._no_compiler: RuntimeError | None = None
        self._no_compiler_said = Once()
        self._closing = False  # nothing new is taken
        self._closed = False  # and what waits is ended
        self._books = Books()
        self._activity = Activity()
        self._watchdog: Watchdog | None = None

    @property
    def capacity(self) -> int:
        """How many requests may wait."""
        return self._policy.capacity

    @property
    def is_closed(self) -> bool:
        """Whether it takes nothing any more, and runs nothing that waited."""
        return self._closed

    @property
    def window(self) -> int:
        """How many images a single consumer should have under way to keep all lanes busy."""
        return 2 * self.threads + 2

    def start(self) -> None:
        """Compile for one caller and run the network once. Raises what the backend raises."""
        self._add_form(Form.LATENCY, self._compilation.warm_slots(Form.LATENCY))

    @property
    def serves_many(self) -> bool:
        """Whether it is compiled for many callers, or will be in a moment."""
        return self._compiler is not None

    def expect_many(self) -> None:
        """Compile for many callers now, and wait for that, instead of beside the traffic. Raises EngineClosed."""
        self.check_process()
        with self._lock:
            self._check_open()
            self._start_compiler()
            compiler = self._compiler
        self._say_no_compiler()
        if compiler is not None:
            compiler.join()

    def admit(self, request: Request) -> bool:
        """Give the request a place in the queue, as its terms say when there is none.

        False when it has to wait for one: `request.on_place` is called then. Never blocks. Raises EngineClosed,
        ForkedEngine, DeadlineExceeded or QueueFull.
        """
        self.check_process()
        terms = request.terms
        ticket = Ticket(request.id, terms.deadline, terms.client, terms.priority)
        with self._lock:
            now = self._clock()
            self._check_admissible(request, now)
            if not (self._requests or self._running):
                self._activity.moved(now)
            self._requests[request.id] = request  # first: Ctrl-C may strike after any line, and `cancel` must find it
            if request.keeps_place:
                self._undelivered[request.id] = request
            admission = self._policy.admit(ticket, terms.on_full)
            if admission.place is Place.REFUSED:
                del self._requests[request.id]
                self._undelivered.pop(request.id, None)
                self._books.ended(request, "full")
                raise QueueFull(f"all {self.capacity} places of the queue are taken; come back later.")
            if admission.place is Place.TAKEN:
                self._books.placed(request, self._clock())
            dropped = self._taken_out(admission.dropped, "dropped")
            placed = self._newly_placed()
            if terms.deadline < math.inf:
                self._work.notify()  # an idle lane must know until when to sleep
            if self._policy.crowded:
                self._start_compiler()
        self._say_no_compiler()
        _tell(placed)
        for older in dropped:
            older.fail(Dropped("a newer request took this one's place in the queue, as on_full says."))
        return admission.place is Place.TAKEN

    def _check_admissible(self, request: Request, now: float) -> None:
        if self._closing:
            self._books.ended(request, "closed")
        self._check_open()
        if request.terms.deadline <= now:
            self._books.ended(request, "expired")
            raise too_late()

    def run_when_free(self, request: Request, image: Image) -> bool:
        """The image of a request is prepared: let it run in its turn, once it has a place.

        True when no other waits, so that it runs at once, or next.
        """
        with self._lock:
            if request.id not in self._requests:
                return False  # it has ended meanwhile, and must hold no image
            request.image = image
            request.timeline.prepared = self._clock()
            self._policy.prepared(request.id, image.canvas_hw)
            self._work.notify()
            return len(self._requests) == 1

    def cancel(self, request: Request, error: YoloomError) -> None:
        """End a waiting request with `error`. One that runs is let finish, and counted as what its caller heard.

        One that has succeeded, but is not delivered, is counted so as well; what ended otherwise stays as it is.
        """
        with self._lock:
            # Known here and not there: interrupted in the middle of `admit`.
            mine = self._policy.cancel(request.id) or request.id in self._requests
            if mine:
                self._taken_out([request.id], reason_of(error))
                self._tell_settled()
            else:
                self._books.heard(request, reason_of(error))
            placed = self._newly_placed()
        _tell(placed)
        if mine:
            request.fail(error)

    def wait(self, request: Request, signal: Signal) -> None:
        """Block until the request has ended, at the latest at its deadline. Raises its error."""
        if not self._signalled(request, signal):
            self.cancel(request, too_late())
            raise too_late()
        request.raise_error()

    def wait_for_place(self, request: Request, placed: Signal) -> None:
        """Block until the request has a place, at the latest at its deadline. Raises its error when it gets none."""
        if not self._signalled(request, placed):
            self.cancel(request, too_late())
            raise too_late()
        if not request.admitted:
            request.raise_error()

    def _signalled(self, request: Request, signal: Signal) -> bool:
        try:
            return signal.wait(request.terms.deadline - self._clock())
        except BaseException:  # Ctrl-C while waiting: nobody will fetch the result
            self.cancel(request, Cancelled("the caller was interrupted while it waited."))
            raise

    def check_in_time(self, request: Request) -> None:
        """Raise DeadlineExceeded for a request that has succeeded, but is delivered after its deadline."""
        if request.terms.deadline <= self._clock():
            error = too_late()
            self.cancel(request, error)
            raise error

    def seconds_left(self, request: Request) -> float:
        """Until its deadline, at least 0; infinity for none."""
        return max(0.0, request.terms.deadline - self._clock())

    def delivered(self, request: Request) -> None:
        """A request that keeps its place has reached its caller, or nobody waits for it: free the place. Idempotent."""
        with self._lock:
            self._undelivered.pop(request.id, None)
            held, request.holds, request.keeps_place = request.holds, False, False
            if held:
                self._policy.delivered()
            placed = self._newly_placed()
        _tell(placed)

    def new_request(
        self,
        terms: RequestTerms,
        on_end: Callable[[Request], None],
        on_place: Callable[[Request], None] | None = None,
        keeps_place: bool = False,
    ) -> Request:
        """A request that nobody knows yet, see `Request`."""
        request = Request(next(self._ids), terms, on_end, on_place, keeps_place, self._clock())
        request.trace = begin_trace(self.model, request.id, request.timeline, self._clock)
        return request

    def measured(self, request: Request, finish: Callable[[Request], Results]) -> Results:
        """The results of a request that has succeeded, made by `finish` in the calling thread, which is timed."""
        request.timeline.fetched = self._clock()
        results = finish(request)
        request.timeline.finished = self._clock()
        self._meters.finished(request.timeline)
        return results

    def heard(self, request: Request, error: BaseException) -> None:
        """A request that has run is counted as this error, which its caller hears instead of the results."""
        with self._lock:
            self._books.heard(request, reason_of(error))

    def on_helper(self, work: Callable[..., None], *args: object) -> None:
        """Have one of a few helper threads do `work`: decode or finish what no caller waits for. It must not block.

        Works until the lanes have ended, so that what ran during `close` is still delivered. Raises EngineClosed.
        """
        self.check_process()
        self._crews.later("helper", functools.partial(work, *args))

    def expect_callbacks(self) -> None:
        """Have threads for `on_caller_back`, unless the engine has closed. Raises RuntimeFailed or ForkedEngine."""
        self.check_process()
        self._crews.start("callback")

    def on_caller_back(self, work: Callable[..., None], *args: object) -> None:
        """Have a thread run a user's callback, which may block or predict: nothing of ours waits behind it.

        After `expect_callbacks`: raises EngineClosed, and nothing else.
        """
        self.check_process()
        self._crews.later("callback", functools.partial(work, *args))

    def statistics(self) -> Statistics:
        self.check_process()
        with self._lock:
            moment = self._moment()
        return statistics_of(moment, self.threads, self._meters, self._weights_bytes)

    def watch(self, patience_s: float) -> None:
        """Have a thread report to the log when nothing moves for so long. Asked twice, the shorter time counts.

        Raises EngineClosed, or RuntimeFailed when there is no thread to be had.
        """
        self.check_process()
        with self._lock:
            self._check_open()
            if self._watchdog is None:
                watchdog = Watchdog(self._situation, self._threads, patience_s)
                watchdog.start()
                self._watchdog = watchdog
            self._watchdog.hurry(patience_s)

    def _situation(self, lock_patience_s: float) -> Situation:
        name = str(self.model.graph.path)
        if not self._lock.acquire(timeout=lock_patience_s):
            holder = thread_name(self._lock.taken_by)
            now = self._clock()
            return Situation(name, now, now - lock_patience_s, lock_held_by=holder)
        try:
            moment = self._moment()
        finally:
            self._lock.release()
        return situation_of(moment, name, self.capacity)

    def _moment(self) -> Moment:
        requests, waits = self._requests.values(), self._lock.waits()
        return self._activity.moment(self._books.counts, self._books.refused, requests, waits, self._clock())

    def threads_alive(self) -> list[threading.Thread]:
        """The threads that belong to this engine now."""
        watchdog = self._watchdog
        threads = [*self._threads(), *([] if watchdog is None else [watchdog.thread])]
        return [thread for thread in threads if thread.is_alive()]

    def _threads(self) -> list[threading.Thread]:
        """Those that work. Also without the lock, for a look at them: each list is copied at once."""
        return [*self._runners(), *self._crews.threads_alive(), *self.deadline_timer.threads_alive()]

    def close(self, drain: bool = False, timeout: float | None = None) -> None:
        """Take nothing new, end what waits, let what runs finish, and end the threads. Idempotent; any thread.

        drain: first run what waits. timeout: seconds for all of this, None for as long as it takes. What has not ended
        then ends with EngineClosed, also what runs, is decoded or delivered; a thread that hangs in the runtime, in a
        decoder or in a caller's callback is left behind.
        """
        if os.getpid() != self._pid:
            return  # the threads are the parent's
        patience = TimeLimit(timeout)
        with self._lock:
            self._closing = True
            turned_away = self._taken_out(self._policy.turn_away(), "closed")
        self._fail_closed(turned_away)
        with self._lock:
            if drain:
                self._settled.wait_for(self._is_settled, patience.left)
            self._closed = True
            self._policy.drain()
            waiting = self._taken_out(list(self._requests), "failed")  # also what Ctrl-C has cut off from the policy
            threads = self._runners()
            self._work.notify_all()
            self._settled.notify_all()
        self._fail_closed(waiting)
        self._interrupt()
        self._join(threads, patience)
        if not self._crews.stop("helper", patience):
            self._end_undelivered()
        self.deadline_timer.stop()
        self._crews.stop("callback", patience)
        self._stop_watchdog()  # the last to go: it tells what the others wait for

    def _stop_watchdog(self) -> None:
        with self._lock:
            watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.stop()

    def _join(self, threads: Iterable[threading.Thread], patience: TimeLimit) -> None:
        others = [thread for thread in threads if thread is not threading.current_thread()]
        for thread in others:
            thread.join(patience.left)
        hung = [thread.name for thread in others if thread.is_alive()]
        with self._lock:
            running = list(self._running.values())  # none, unless a lane hangs
            self._running.clear()
            for request in running:
                self._books.ended(request, request.verdict or "failed")
            if not hung:
                self._slots.clear()
                self._compilation.forget()
                self._activity.clear()
        self.share.leave()  # what hangs holds no CPU of the other engines any more
        self._fail_closed(running)
        if hung:
            log.error("closed while the runtime still runs in %s: what it ran ends with an error", ", ".join(hung))

    def _fail_closed(self, requests: Iterable[Request]) -> None:
        for request in requests:
            request.fail(EngineClosed("the model was closed before the request was done; open it again."))

    def _end_undelivered(self) -> None:
        """A helper hangs: the futures that it keeps, or that wait for it, end here instead, once."""
        with self._lock:
            undelivered = list(self._undelivered.values())
        for request in undelivered:
            request.on_end(request)
        if undelivered:
            log.error("closed while a helper hangs: %d results end with an error, undelivered", len(undelivered))

    def _interrupt(self) -> None:
        """The engine has closed: lanes that wait for anything but a run must not."""

    def _is_settled(self) -> bool:
        return self._closed or not (self._policy.waiting or self._policy.running)

    def _runners(self) -> list[threading.Thread]:
        return [*self._lanes, *([self._compiler] if self._compiler is not None else [])]

    def check_process(self) -> None:
        """Raise ForkedEngine in a process that is not the one which opened the engine."""
        # Before the lock: in a forked child it may be held by a thread that does not exist there.
        if os.getpid() != self._pid:
            raise ForkedEngine(
                "this model was opened before the process forked: open it in the child, or start processes by spawn."
            )

    def _check_open(self) -> None:
        if self._closing:
            raise EngineClosed("the model is closed; open it again with YOLO(path).")

    # What follows, down to `_tell_settled`, is called under the lock.

    def _taken_out(self, ticket_ids: Iterable[int], reason: str) -> list[Request]:
        """The requests of tickets that the policy has forgotten, counted; whoever asked must end them."""
        taken = [self._requests.pop(ticket_id) for ticket_id in ticket_ids]
        for request in taken:
            self._books.ended(request, reason)
        return taken

    def _newly_placed(self) -> list[Request]:
        """Those that have got a place: whoever asked must tell them, without the lock."""
        placed = [self._requests[ticket_id] for ticket_id in self._policy.take_placed()]
        for request in placed:
            self._books.placed(request, self._clock())
        if placed:
            self._start_compiler()
            self._work.notify(len(placed))  # one may be prepared already
        return placed

    def _tell_settled(self) -> None:
        if self._closing and self._is_settled():
            self._settled.notify_all()

    # ---- Forms

    def _start_compiler(self) -> None:
        """Have a thread compile for many callers, once. Called under the lock."""
        if self._compiler is not None or self._no_compiler is not None:
            return
        compiler = threading.Thread(target=self._expand, name="yoloom-compile", daemon=True)
        try:
            compiler.start()
        except RuntimeError as error:  # the form for one caller serves them all
            self._no_compiler = error
        finally:  # even if Ctrl-C strikes
            self._compiler = compiler if compiler.ident is not None else None

    def _say_no_compiler(self) -> None:
        # Without the lock: a handler of the program's may ask the model something.
        if self._no_compiler is not None and self._no_compiler_said.take():
            log.error("the form for many callers can not be compiled: %s", self._no_compiler)

    def _add_form(self, form: Form, slots: list[Slot]) -> None:
        offer = Lanes(len(slots), self._compilation.batch(form))
        with self._lock:
            if self._closed:
                return
            self._slots[form] = slots
            self._policy.add_form(form, offer)
            self._activity.add_form(form, offer)
            self._start_lanes(len(slots))

    def _start_lanes(self, count: int) -> None:
        """Have at least `count` threads that serve. Called under the lock."""
        for number in range(len(self._lanes), count):
            self._lanes.append(_started(self._serve, f"yoloom-lane-{number}"))

    def _expand(self) -> None:
        """Compile the form for many callers, beside the traffic."""
        try:
            self._add_form(Form.THROUGHPUT, self._compilation.slots(Form.THROUGHPUT))
        except Exception:
            log.exception("the form for many callers could not be compiled; one caller's form serves them all")

    # ---- Lanes

    def _serve(self) -> None:
        """A lane: ask the policy, obey, until the engine closes."""
        while (work := self._next_work()) is not None:
            action, requests, placed = work
            _tell(placed)
            if isinstance(action, Run):
                self._execute(action, requests)
            else:
                for request in requests:
                    request.fail(too_late())
            # An idle lane must not keep the last image and its outputs alive.
            del work, action, requests, placed

    def _next_work(self) -> tuple[Run | Expire, list[Request], list[Request]] | None:
        """What to do, with which requests, and which others have got a place by it."""
        with self._lock:
            while not self._closed:
                now = self._clock()
                action = self._policy.next_action(now)
                if isinstance(action, Run):
                    work = action, self._set_running(action, now), self._newly_placed()
                    if self._requests and self._policy.next_deadline < math.inf:
                        self._work.notify()  # this lane may have been the one that knew until when to sleep
                    return work
                if isinstance(action, Expire):
                    self._activity.moved(now)
                    expired = self._taken_out(action.tickets, "expired")
                    self._tell_settled()
                    return action, expired, self._newly_placed()
                self._work.wait(_bounded(action.until - now))
        return None

    def _set_running(self, run: Run, now: float) -> list[Request]:
        requests = [self._requests.pop(ticket_id) for ticket_id in run.tickets]
        self._running.update((request.id, request) for request in requests)
        self._activity.started(run, requests, now)
        return requests

    def _execute(self, run: Run, requests: list[Request]) -> None:
        slot = self._slots[run.form][run.lane]
        outcomes = self._outcomes(slot, requests)
        now = self._clock()
        for request in requests:
            request.timeline.ran = now
            self._meters.ran(request.timeline)
        with self._lock:
            self._activity.finished(run, slot.broken, now)
            mine = [
                (request, outcome)
                for request, outcome in zip(requests, outcomes, strict=True)
                if self._running.pop(request.id, None) is not None  # else `close` has lost its patience with it
            ]
            for request, outcome in mine:
                self._books.ended(request, request.verdict or outcome.ended)
                self._books.retried(outcome.retried)
                request.holds = request.keeps_place
            self._policy.finished(run, sum(request.holds for request, _ in mine))
            self._tell_settled()
        for request, outcome in mine:
            _end_safely(request, outcome)

    def _outcomes(self, slot: LaneSlot, requests: list[Request]) -> list[Outcome]:
        try:
            return slot.serve(requests, self._clock)
        except BaseException as error:  # noqa: BLE001  a handler of `logging` that raises: the lane must go on
            failure = RuntimeFailed(f"the lane failed: {type(error).__name__}: {error}")
            return [Outcome(error=failure) for _ in requests]


def _end_safely(request: Request, outcome: Outcome) -> None:
    """End it; what its callbacks raise ends neither the lane, nor keeps it from the next one."""
    try:
        _end(request, outcome)
    except Exception:
        log.exception("a request could not be ended")


def _end(request: Request, outcome: Outcome) -> None:
    if outcome.late:
        request.fail(too_late())
    elif outcome.error is not None:
        request.fail(outcome.error)
    else:
        request.succeed(outcome.outputs, outcome.run_ms)


def _tell(placed: Iterable[Request]) -> None:
    for request in placed:
        request.has_place()


def _started(work: Callable[[], None], name: str) -> threading.Thread:
    # Daemon, so that a forgotten close can not keep the interpreter alive; the registry closes at exit.
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise RuntimeFailed(f"no thread could be started: {error}; end some, or raise the limit.") from error
    return thread


def _bounded(seconds: float) -> float | None:
    """How long to wait on a condition, which takes no infinity and nothing beyond TIMEOUT_MAX."""
    return None if seconds == math.inf else min(max(0.0, seconds), threading.TIMEOUT_MAX)


def too_late() -> DeadlineExceeded:
    """What a caller hears whose time is over."""
    return DeadlineExceeded("the request's time ran out before its result was there; allow more, or send less at once.")
