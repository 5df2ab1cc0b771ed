"""The shell around the policy: one lock, the lanes' threads, and the compiled forms.

```
 caller's thread                  lane's thread                               caller's thread, or a helper
 admit ─▶ decode ─▶ prepared ─▶   next_action ─▶ letterbox ─▶ context.run ─▶  on_end ─▶ heads, NMS, Results
 └──────── Policy, under the engine's lock ────┘ └──────────────── no lock is held ─────────────────────┘
```

The engine holds at most two compiled forms: LATENCY from the start, THROUGHPUT from the first time that two requests
meet. It is compiled beside the traffic, so nobody waits for the switch.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import os
import threading
from collections.abc import Callable, Mapping

import numpy as np

from yoloom.clock import Clock, monotonic
from yoloom.engine.crew import Crew
from yoloom.engine.lane import Outcome, Slot, run_requests
from yoloom.engine.policy import Expire, Lanes, Policy, Run, Ticket
from yoloom.engine.queue_policy import QUEUE_SIZE, OnFull
from yoloom.engine.request import Image, Request, Signal
from yoloom.engine.statistics import Statistics
from yoloom.engine.terms import Terms
from yoloom.errors import (
    Cancelled,
    DeadlineExceeded,
    Dropped,
    EngineClosed,
    ForkedEngine,
    InvalidModel,
    QueueFull,
    RuntimeFailed,
    YoloomError,
)
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Backend, Form, Setup

log = logging.getLogger("yoloom.engine")

WARM_UP_SIZE = 160
"""Pixels in either direction, at least, that warm up a network of any size: its weights are laid out, or it fails."""

_ENDS = ("succeeded", "failed", "expired", "cancelled", "dropped")
_REASONS: Mapping[type[YoloomError], str] = {DeadlineExceeded: "expired", Cancelled: "cancelled"}


class Engine:
    """One model file, compiled for one device: the queue, the lanes and their contexts. Shared freely.

    The constructor stores; `start` compiles, warms up and starts the first lane; `close` ends everything.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend,
        threads: int,
        capacity: int = QUEUE_SIZE,
        clock: Clock = monotonic,
        version: Callable[[], object] = lambda: None,
    ) -> None:
        """version: tells one state of the model's files from another; it must stay what it is now."""
        self.model = model
        self.backend = backend
        self.threads = threads
        self._clock = clock
        self._version = version
        self._opened_version = version()
        self._pid = os.getpid()
        self._ids = itertools.count()
        # Guards all that follows. Held for a few lines at a time, never while a runtime or a caller's code runs.
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)  # lanes wait for something to do
        self._space = threading.Condition(self._lock)  # callers wait for a place in the queue
        self._policy = Policy(capacity, {})
        self._requests: dict[int, Request] = {}  # those that wait
        self._slots: dict[Form, list[Slot]] = {}
        self._lanes: list[threading.Thread] = []
        self._compiler: threading.Thread | None = None
        self._crews: dict[str, Crew] = {}
        self._settled = threading.Condition(self._lock)  # who drains waits until nothing waits or runs
        self._closing = False  # nothing new is taken
        self._closed = False  # and what waits is ended
        self._ended = False  # and nothing runs any more
        self._counts = dict.fromkeys(("admitted", "refused", "retried", *_ENDS), 0)

    @property
    def capacity(self) -> int:
        """How many requests may wait."""
        return self._policy.capacity

    @property
    def window(self) -> int:
        """How many images a single consumer should have under way to keep all lanes busy."""
        return 2 * self.threads + 2

    def start(self) -> None:
        """Compile for one caller and run the network once. Raises what the backend raises."""
        slots = self._compile(Form.LATENCY)
        slots[0].run(np.zeros((1, *(self.model.input.hw or self._warm_up_hw()), 3), np.uint8))
        self._add_form(Form.LATENCY, slots)

    def _warm_up_hw(self) -> tuple[int, int]:
        size = -(-WARM_UP_SIZE // self.model.stride) * self.model.stride
        return size, size

    def admit(self, request: Request, wait: bool = True) -> None:
        """Give the request a place in the queue, as its terms say when there is none.

        wait: False never blocks. Raises EngineClosed, ForkedEngine, DeadlineExceeded or QueueFull.
        """
        self.check_process()
        terms = request.terms
        with self._lock:
            dropped = self._placed(request, wait)
            self._counts["admitted"] += 1
            self._counts["dropped"] += len(dropped)
            self._space.notify(max(len(dropped) - 1, 0))  # more may have left than the one whose place it took
            if terms.deadline < math.inf:
                self._work.notify()  # an idle lane must know until when to sleep
            if self._policy.crowded and self._compiler is None:
                self._compiler = self._started_compiler()
        for older in dropped:
            older.fail(Dropped("a newer request took this one's place in the queue, as on_full says."))

    def _placed(self, request: Request, wait: bool) -> list[Request]:
        """Put the request into the queue; returns those that made room."""
        terms = request.terms
        ticket = Ticket(request.id, terms.deadline, terms.client, terms.priority)
        self._check_open()
        while not (admission := self._policy.admit(ticket, terms.on_full)).admitted:
            self._wait_for_space(terms, wait)
        self._requests[request.id] = request
        return [self._requests.pop(ticket_id) for ticket_id in admission.dropped]

    def run_when_free(self, request: Request, image: Image) -> None:
        """The image of an admitted request is prepared: let it run in its turn."""
        with self._lock:
            if request.id not in self._requests:
                return  # it has ended meanwhile, and must hold no image
            request.image = image
            self._policy.prepared(request.id, image.canvas_hw)
            self._work.notify()

    def cancel(self, request: Request, error: YoloomError) -> None:
        """End a waiting request with `error`. One that runs is let finish; one that has ended stays as it is."""
        with self._lock:
            mine = self._policy.cancel(request.id)
            if mine:
                self._forget(request, error)
        if mine:
            request.fail(error)

    def wait(self, request: Request, signal: Signal) -> None:
        """Block until the request has ended, at the latest at its deadline. Raises its error."""
        try:
            ended = signal.wait(request.terms.deadline - self._clock())
        except BaseException:  # Ctrl-C while waiting: nobody will fetch the result
            self.cancel(request, Cancelled("the caller was interrupted while it waited."))
            raise
        if not ended:
            self.cancel(request, _too_late())
            self._give_up(request)
            raise _too_late()
        request.raise_error()

    def check_in_time(self, request: Request) -> None:
        """Raise DeadlineExceeded for a request that has succeeded, but is delivered after its deadline."""
        if request.terms.deadline <= self._clock():
            self._give_up(request)
            raise _too_late()

    def _give_up(self, request: Request) -> None:
        """Its caller hears that it is too late: count it so, whether it still runs or has succeeded."""
        with self._lock:
            request.given_up = True
            if request.counted == "succeeded":
                self._counts["succeeded"] -= 1
                self._counts["expired"] += 1
                request.counted = "expired"

    def new_request(self, terms: Terms, on_end: Callable[[Request], None]) -> Request:
        """A request that nobody knows yet."""
        return Request(next(self._ids), terms, on_end)

    def on_helper(self, work: Callable[..., None], *args: object) -> None:
        """Have one of a few helper threads do `work`: decode or finish what no caller waits for. It must not block.

        Works until the lanes have ended, so that what ran during `close` is still delivered. Raises EngineClosed.
        """
        self._on_crew("helper", self.threads, work, *args)

    def on_admitter(self, work: Callable[..., None], *args: object) -> None:
        """Have a thread do `work` that may wait for a place in the queue. Raises EngineClosed."""
        self._on_crew("admitter", 1, work, *args)

    def on_caller_back(self, work: Callable[..., None], *args: object) -> None:
        """Have a thread run a user's callback, which may block or predict: nothing of ours waits behind it.

        Raises EngineClosed.
        """
        self._on_crew("callback", self.threads, work, *args)

    def _on_crew(self, name: str, threads: int, work: Callable[..., None], *args: object) -> None:
        self.check_process()
        with self._lock:
            if self._ended:
                self._check_open()
            if name not in self._crews:
                crew = Crew(threads, f"yoloom-{name}")
                crew.start()
                self._crews[name] = crew
            self._crews[name].later(functools.partial(work, *args))

    def statistics(self) -> Statistics:
        self.check_process()
        with self._lock:
            return Statistics(
                **self._counts,
                waiting=self._policy.waiting,
                running=self._policy.running,
                forms=tuple(form.value for form in self._slots),
                lanes=sum(len(slots) for slots in self._slots.values()),
                broken=sum(slot.broken for slots in self._slots.values() for slot in slots),
                threads=self.threads,
            )

    def threads_alive(self) -> list[threading.Thread]:
        """The threads that belong to this engine now."""
        with self._lock:
            crews = [thread for crew in self._crews.values() for thread in crew.threads]
            return [thread for thread in (*self._runners(), *crews) if thread.is_alive()]

    def close(self, drain: bool = False, timeout: float | None = None) -> None:
        """Take nothing new, end what waits, let what runs finish, and end the threads. Idempotent; any thread.

        drain: first run what waits, for `timeout` seconds at the most (None: as long as it takes). What has not ended
        then ends with EngineClosed.
        """
        if os.getpid() != self._pid:
            return  # the threads are the parent's
        with self._lock:
            self._closing = True
            self._space.notify_all()  # callers that wait for a place get none
            if drain:
                self._settled.wait_for(self._is_settled, timeout)
            self._closed = True
            waiting = [self._requests.pop(ticket_id) for ticket_id in self._policy.drain()]
            self._counts["failed"] += len(waiting)
            threads = self._runners()
            self._work.notify_all()
            self._settled.notify_all()
        for request in waiting:
            request.fail(EngineClosed("the model was closed while the request waited; open it again."))
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()
        with self._lock:
            self._ended = True
            crews, self._crews = list(self._crews.values()), {}
            self._slots.clear()
        for crew in crews:
            crew.stop()

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

    def _wait_for_space(self, terms: Terms, wait: bool) -> None:
        left = terms.deadline - self._clock()
        if left <= 0:
            self._counts["refused"] += 1
            raise _too_late()
        if terms.on_full is not OnFull.WAIT:
            self._counts["refused"] += 1
        if terms.on_full is not OnFull.WAIT or not wait:
            raise QueueFull(f"all {self._policy.capacity} places of the queue are taken; come back later.")
        self._space.wait(_bounded(left))
        self._check_open()

    def _forget(self, request: Request, error: YoloomError) -> None:
        del self._requests[request.id]
        self._counts[_REASONS.get(type(error), "failed")] += 1
        self._space.notify()
        self._tell_settled()

    def _tell_settled(self) -> None:
        if self._closing and self._is_settled():
            self._settled.notify_all()

    def _compile(self, form: Form) -> list[Slot]:
        compiled = self.backend.compile(self.model, Setup(form, self.threads))
        # A second form of another file would give other results under load, and nobody would know.
        if self._version() != self._opened_version:
            raise InvalidModel(f"{self.model.graph.path} was changed while it is open; open it again with YOLO(path).")
        return [Slot(compiled) for _ in range(compiled.lanes)]

    def _started_compiler(self) -> threading.Thread | None:
        try:
            return _started(self._expand, "yoloom-compile")
        except RuntimeFailed:  # the form for one caller serves them all meanwhile
            log.exception("the form for many callers can not be compiled now")
            return None

    def _add_form(self, form: Form, slots: list[Slot]) -> None:
        with self._lock:
            if self._closed:
                return
            self._slots[form] = slots
            self._policy.add_form(form, Lanes(len(slots)))
            for number in range(len(self._lanes), len(slots)):
                self._lanes.append(_started(self._serve, f"yoloom-lane-{number}"))

    def _expand(self) -> None:
        """Compile the form for many callers, beside the traffic."""
        try:
            self._add_form(Form.THROUGHPUT, self._compile(Form.THROUGHPUT))
        except Exception:
            log.exception("the form for many callers could not be compiled; one caller's form serves them all")

    def _serve(self) -> None:
        """A lane: ask the policy, obey, until the engine closes."""
        while (work := self._next_work()) is not None:
            action, requests = work
            if isinstance(action, Run):
                self._execute(action, requests)
            else:
                for request in requests:
                    request.fail(_too_late())
            # An idle lane must not keep the last image and its outputs alive.
            del work, action, requests

    def _next_work(self) -> tuple[Run | Expire, list[Request]] | None:
        with self._lock:
            while not self._closed:
                now = self._clock()
                action = self._policy.next_action(now)
                if isinstance(action, (Run, Expire)):
                    requests = [self._requests.pop(ticket_id) for ticket_id in action.tickets]
                    self._counts["expired"] += len(requests) * isinstance(action, Expire)
                    self._space.notify(len(requests))
                    self._tell_settled()
                    return action, requests
                self._work.wait(_bounded(action.until - now))
        return None

    def _execute(self, run: Run, requests: list[Request]) -> None:
        outcomes = run_requests(self._slots[run.form][run.lane], requests, self._clock)
        with self._lock:
            self._policy.finished(run)
            for request, outcome in zip(requests, outcomes, strict=True):
                request.counted = _end(request, outcome)
                self._counts[request.counted] += 1
                self._counts["retried"] += outcome.retried
            self._tell_settled()
        for request, outcome in zip(requests, outcomes, strict=True):
            if outcome.late:
                request.fail(_too_late())
            elif outcome.error is not None:
                request.fail(outcome.error)
            else:
                request.succeed(outcome.outputs, outcome.run_ms)


def _end(request: Request, outcome: Outcome) -> str:
    """What to count a request as that has run."""
    if outcome.late or request.given_up:
        return "expired"
    return "succeeded" if outcome.error is None else "failed"


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


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("the request's time ran out before its result was there; allow more, or send less at once.")
