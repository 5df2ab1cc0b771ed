"""The shared state of an engine: one lock, the policy, and the tables of requests.

```
 caller's thread                  lane's thread                              caller's thread, or a helper
 admit ─▶ decode ─▶ mark_ready ─▶ next_work ─▶ letterbox ─▶ run ─▶ finish ─▶ on_end ─▶ postprocess ─▶ release_slot
 └──────── Policy, under the lock ────────┘    └─ no lock is held ─┘
```

A request is in exactly one table: `_waiting` (with a place or for one), `_running`, or none once it has ended. The
thread that takes it out of its table, under the lock, ends it; so it ends once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Set
from typing import NamedTuple

from yoloom.engine.insight.counters import reason_of
from yoloom.engine.insight.snapshot import EngineSnapshot
from yoloom.engine.insight.statistics import Refused
from yoloom.engine.insight.watchdog import Insight
from yoloom.engine.request import Image, Outcome, Request, too_late
from yoloom.engine.scheduling.policy import Admission, Expire, LaneOffer, Policy, Run, Ticket
from yoloom.errors import Dropped, EngineClosed, QueueFull, YoloomError
from yoloom.sync.clock import Clock, TimeLimit, clamped
from yoloom.sync.counted_lock import CountedLock, LifoCondition
from yoloom.sync.stacks import thread_name


class Work(NamedTuple):
    """Order to a lane: a run, or requests whose time is over; and requests that have got a place by it."""

    action: Run | Expire
    requests: list[Request]
    admitted: list[Request]


class Scheduler:
    """Admits requests, hands them to lanes, and ends each of them once.

    Thread safety: any number of threads. Nothing of a caller's, of a runtime's or of a log's runs under the lock.
    """

    def __init__(self, name: str, policy: Policy, insight: Insight, clock: Clock) -> None:
        """Start without lanes, open. name: of the model, for reports."""
        self._name = name
        self._clock = clock
        self.insight = insight
        # Guards all that follows, and the counters and lanes of `insight`. Held for a few lines at a time. No other
        # lock is taken under it (the CPU gate is glanced at without its own): so there is no order of locks to keep.
        self._lock = CountedLock()
        # Lanes wait here for something to do. Every change that may give a lane work notifies one of them; a lane that
        # sleeps until a deadline or until a batch is due wakes by itself.
        self._work = LifoCondition(self._lock)
        self._settled = self._lock.condition()  # `drain` waits here until nothing waits or runs
        self.policy = policy
        self._waiting: dict[int, Request] = {}  # for a place or for their turn
        self._running: dict[int, Request] = {}
        self._undelivered: dict[int, Request] = {}  # of futures that have not ended, wherever they are
        self._closing = False  # nothing new is taken
        self._closed = False  # and waiting requests are ended

    @property
    def capacity(self) -> int:
        """Number of requests that may wait."""
        return self.policy.capacity

    @property
    def max_bytes(self) -> float:
        """Bytes of decoded pictures that may wait, run, or be on their way to their callers."""
        return self.policy.max_bytes

    @property
    def is_closed(self) -> bool:
        """Whether it takes nothing any more, and runs nothing that waited."""
        return self._closed

    def check_open(self) -> None:
        """Raise EngineClosed once the engine closes."""
        if self._closing:
            raise EngineClosed("the model is closed; open it again with YOLO(path).")

    # ---- A request's way in

    def admit(self, request: Request) -> bool:
        """Give the request a place in the queue, as its terms say when there is none. Never blocks.

        Returns:
            False when it has to wait for a place: `request.on_admitted` is called then.

        Raises:
            EngineClosed: Nothing is taken any more.
            DeadlineExceeded: Its time is over already.
            QueueFull: There is no place, and its terms are not to wait.
        """
        terms = request.terms
        with self._lock:
            now = self._clock()
            if self._closing:
                self.insight.counters.ended(request, "closed")
                self.check_open()
            if terms.deadline <= now:
                self.insight.counters.ended(request, "expired")
                raise too_late()
            if not (self._waiting or self._running):
                self.insight.lanes.moved_at = now  # an idle engine does not stand still: its watchdog counts from here
            # First of all: Ctrl-C may strike after any line, and `cancel` must find the request.
            self._waiting[request.id] = request
            if request.keeps_place:
                self._undelivered[request.id] = request
            answer, dropped_ids = self.policy.admit(Ticket(request.id, terms, request.nbytes), terms.on_full)
            if answer is Admission.REJECTED:
                del self._waiting[request.id]
                self._undelivered.pop(request.id, None)
                self.insight.counters.ended(request, "full")
                raise _queue_full(self.policy, request)
            if answer is Admission.ADMITTED:
                self.insight.counters.admitted(request, now)
            dropped = self._take_out(dropped_ids, "dropped") if dropped_ids else []
            admitted = self._newly_admitted() if self.policy.admitted else []
            if terms.deadline < math.inf:
                self._work.notify()  # an idle lane must know until when to sleep
        if admitted:
            tell_admitted(admitted)
        for older in dropped:
            older.fail(Dropped("a newer request took this one's place in the queue, as on_full says."))
        return answer is Admission.ADMITTED

    def mark_ready(self, request: Request, image: Image) -> bool:
        """Let a request whose image is prepared run in its turn, once it has a place.

        Returns:
            True when no other waits, so that it runs at once, or next.
        """
        with self._lock:
            # The policy would ignore it as well, but the image would stay on the request.
            if request.id not in self._waiting:
                return False  # it has ended meanwhile, and must hold no image
            request.image = image
            now = request.timeline.prepared = self._clock()
            nbytes = image.nbytes
            self.policy.prepared(request.id, image.canvas_hw, now, None if nbytes == request.nbytes else nbytes)
            admitted = self._newly_admitted() if self.policy.admitted else []
            self._work.notify()
            is_next = len(self._waiting) == 1
        if admitted:
            tell_admitted(admitted)
        return is_next

    # ---- A request's way out

    def cancel(self, request: Request, error: YoloomError) -> None:
        """End a waiting request with `error`. One that runs is let finish, and counted as what its caller hears.

        One that has succeeded, but is not delivered, is counted so as well; other outcomes stay as they are.
        """
        with self._lock:
            # Known here and not to the policy: interrupted in the middle of `admit`.
            # A request that a lane has taken a moment ago is in neither: then the lane ends it, and nobody else.
            is_mine = self.policy.cancel(request.id) or request.id in self._waiting
            if is_mine:
                self._take_out([request.id], reason_of(error))
                self._notify_settled()
            else:
                self.insight.counters.reclassify(request, reason_of(error))
            admitted = self._newly_admitted()
        tell_admitted(admitted)
        if is_mine:
            request.fail(error)

    def reclassify(self, request: Request, error: BaseException) -> None:
        """Count a request that has run as this error, which its caller hears instead of the results."""
        with self._lock:
            self.insight.counters.reclassify(request, reason_of(error))

    def release_slot(self, request: Request) -> None:
        """Free the place of a request that keeps it: it has reached its caller, or nobody waits for it. Idempotent."""
        with self._lock:
            self._undelivered.pop(request.id, None)
            # Also when it still runs: `finish` then sees `keeps_place` off, and frees the place itself. Never both.
            held, request.holds, request.keeps_place = request.holds, False, False
            if held:
                self.policy.delivered(request.id)
            admitted = self._newly_admitted()
        tell_admitted(admitted)

    # ---- The lanes' side

    def add_profile(self, name: str, offer: LaneOffer) -> None:
        """Send requests to the lanes of a profile, unless the engine has closed."""
        with self._lock:
            if not self._closed:
                self.policy.add_profile(name, offer)
                self.insight.lanes.add_profile(name, offer)
                self._work.notify_all()

    def use_lanes(self, name: str, lanes: Set[int], shown: int) -> frozenset[int]:
        """Send requests to these lanes of a profile only, and show so many in the statistics.

        Returns:
            The lanes that have a request now, which are let finish.
        """
        with self._lock:
            if not self.policy.has_profile(name):  # the engine has closed before it was added
                return frozenset()
            # In one step under the lock: a lane that is neither usable from here on nor busy now has no request, and
            # gets none. So the caller may take its worker away.
            changed = lanes != self.policy.usable_lanes(name)
            busy = self.policy.use_lanes(name, lanes)
            self.insight.lanes.add_profile(name, LaneOffer(shown))
            if changed:
                self._work.notify_all()
            return busy

    def next_work(self) -> Work | None:
        """Wait for something to do; None once the engine has closed."""
        with self._lock:
            # A loop, because a woken lane may come too late: one that has just finished takes the request without
            # sleeping, and this one finds nothing and waits again.
            while not self._closed:
                now = self._clock()
                action = self.policy.next_action(now)
                if isinstance(action, Run):
                    requests = [self._waiting.pop(ticket_id) for ticket_id in action.tickets]
                    self._running.update((request.id, request) for request in requests)
                    self.insight.lanes.started(action, requests, now)
                    if self._waiting and self.policy.needs_a_clock:
                        self._work.notify()  # this lane may have been the one that knew until when to sleep
                    return Work(action, requests, self._newly_admitted() if self.policy.admitted else [])
                if isinstance(action, Expire):
                    self.insight.lanes.moved_at = now
                    expired = self._take_out(action.tickets, "expired")
                    self._notify_settled()
                    return Work(action, expired, self._newly_admitted())
                self._work.wait(None if action.until == math.inf else clamped(action.until - now))
        return None

    def finish(self, run: Run, requests: list[Request], outcomes: list[Outcome], broken: bool) -> None:
        """End the requests of a run, and free its lane. broken: the lane has no context any more."""
        now = self._clock()
        for request in requests:
            request.timeline.ran = now
            self.insight.durations.ran(request.timeline)
        ended: list[tuple[Request, Outcome]] = []
        held: set[int] = set()
        with self._lock:
            self.insight.lanes.finished(run, broken, now)
            for request, outcome in zip(requests, outcomes, strict=True):
                if self._running.pop(request.id, None) is None:
                    continue  # `close` has lost its patience with it, and ended it
                reason = "expired" if outcome.late else "succeeded" if outcome.error is None else "failed"
                self.insight.counters.ended(request, request.verdict or reason)
                self.insight.counters.counts["retried"] += outcome.retried
                if request.keeps_place:
                    request.holds = True
                    held.add(request.id)
                ended.append((request, outcome))
            # Under the same lock as the pops above: a snapshot shows a request in a lane, or ended, nothing between.
            self.policy.finished(run, held)
            admitted = self._newly_admitted() if self.policy.admitted else []
            if self._closing:
                self._notify_settled()
        # From here on without the lock: what is called belongs to callers, and may ask this scheduler something.
        if admitted:
            tell_admitted(admitted)
        for request, outcome in ended:
            request.end(outcome)

    # ---- The end, in three steps: turn away, drain, stop

    def turn_away(self) -> list[Request]:
        """Take nothing new. Returns the requests that had no place yet; the caller ends them."""
        with self._lock:
            self._closing = True
            return self._take_out(self.policy.turn_away(), "closed")

    def drain(self, limit: TimeLimit) -> None:
        """Wait until nothing waits or runs."""
        with self._lock:
            self._settled.wait_for(self._is_settled, limit.left)

    def stop(self) -> list[Request]:
        """Let lanes end after their run. Returns the requests that still waited; the caller ends them."""
        with self._lock:
            self._closed = True
            # All in one step with `_closed`: a lane that wakes in between finds it closed, and takes nothing.
            self.policy.drain()
            waiting = self._take_out(list(self._waiting), "failed")  # also those that Ctrl-C cut off from the policy
            self._work.notify_all()
            self._settled.notify_all()
            return waiting

    def abandon_running(self, lanes_ended: bool) -> list[Request]:
        """Give up what still runs, because a lane hangs. Returns those requests; the caller ends them."""
        with self._lock:
            # Cleared under the lock: a hanging lane that comes back finds none of them in `finish`, and ends none.
            running = list(self._running.values())
            self._running.clear()
            for request in running:
                self.insight.counters.ended(request, request.verdict or "failed")
            if lanes_ended:
                self.insight.lanes.clear()
            return running

    def undelivered(self) -> list[Request]:
        """List the requests of futures that have not ended."""
        with self._lock:
            return list(self._undelivered.values())

    # ---- Insight

    def snapshot(self, lock_patience_s: float = math.inf) -> EngineSnapshot:
        """Copy what is known now. Names the holder of the lock instead, when that can not be had in time."""
        if lock_patience_s == math.inf:
            with self._lock:
                return self._snapshot()
        # Without `with`: the watchdog must come back when the lock never does, and its look is not to be counted.
        if not self._lock.acquire(timeout=lock_patience_s):
            now = self._clock()
            return EngineSnapshot(self._name, now, now - lock_patience_s, thread_name(self._lock.taken_by))
        try:
            return self._snapshot()
        finally:
            self._lock.release()

    def _snapshot(self) -> EngineSnapshot:
        now, lanes, counters = self._clock(), self.insight.lanes, self.insight.counters
        requests = tuple(self._waiting.values())
        bound = self.policy.max_bytes
        return EngineSnapshot(
            name=self._name,
            now=now,
            still_since=lanes.still_since(bool(requests), now),
            capacity=self.capacity,
            waiting=tuple(request for request in requests if request.admitted),
            running=lanes.running(),
            waiters=tuple(request.terms.client for request in requests if not request.admitted),
            charged_bytes=self.policy.charged_bytes,
            max_bytes=None if bound == math.inf else int(bound),
            counts=dict(counters.counts),
            refusals=Refused(**counters.refused),
            plan=lanes.plan(),
            lane_states=tuple(lanes.lane_states(now)),
            batch_sizes=lanes.batch_sizes(),
            lock=self._lock.waits(),
        )

    # ---- Called under the lock

    def _take_out(self, ticket_ids: Iterable[int], reason: str) -> list[Request]:
        """Remove the requests of tickets that the policy has forgotten, counted; the caller ends them."""
        # None is missing: policy and table change in the same step under the lock, and ids never come again.
        taken = [self._waiting.pop(ticket_id) for ticket_id in ticket_ids]
        for request in taken:
            self.insight.counters.ended(request, reason)
        return taken

    def _newly_admitted(self) -> list[Request]:
        """Count those that have got a place; the caller tells them, without the lock."""
        admitted = [self._waiting[ticket_id] for ticket_id in self.policy.take_admitted()]
        for request in admitted:
            self.insight.counters.admitted(request, self._clock())
        if admitted:
            self._work.notify(len(admitted))  # one may be prepared already
        return admitted

    def _is_settled(self) -> bool:
        return self._closed or not (self.policy.waiting or self.policy.running)

    def _notify_settled(self) -> None:
        # Only `drain` waits for it, after `turn_away`: before, nobody needs to be woken after each run.
        if self._closing and self._is_settled():
            self._settled.notify_all()


def tell_admitted(requests: Iterable[Request]) -> None:
    """Call those back that waited for a place and have got one."""
    for request in requests:
        on_admitted: Callable[[Request], None] | None = request.on_admitted
        if on_admitted is not None:
            on_admitted(request)


def _queue_full(policy: Policy, request: Request) -> QueueFull:
    if policy.waiting + policy.held >= policy.capacity:
        return QueueFull(f"all {policy.capacity} places of the queue are taken; come back later.")
    return QueueFull(
        f"the queue holds {policy.charged_bytes} bytes of pictures of {policy.max_bytes:.0f}, and this one takes "
        f"{request.nbytes}; come back later."
    )
