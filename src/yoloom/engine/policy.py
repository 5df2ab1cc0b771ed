"""Who is next, with whom, in which form, and who came too late: a state machine without a thread and without a clock.

```
admit ──▶ preparing ──prepared──▶ ready ──next_action──▶ running ──finished──▶ gone
  │           │                     │ │
  │         cancel               cancel └─ Expire (its deadline has passed)
  └─ dropped: those that made room
```

A ticket is admitted before its image is touched, so that places, order and load are known from the first moment; it
can run once its image is prepared. Clients take turns (`turns.py`). One thread at a time: the engine calls it under its
lock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass

from yoloom.engine.queue_policy import OnFull
from yoloom.engine.turns import ANYBODY, Client, Shape, Turns
from yoloom.runtime.protocol import Form


@dataclass(frozen=True)
class Ticket:
    """One request as the policy sees it. deadline: on the clock that `now` is read from, infinity for none."""

    id: int
    deadline: float = math.inf
    client: Client = ANYBODY
    priority: float = 0


@dataclass(frozen=True)
class Admission:
    """Whether there was a place, and which waiting tickets were taken out for it: they are forgotten already."""

    admitted: bool
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True)
class Run:
    """Run the tickets, whose canvases have equal shapes, on one lane of a form; then say `finished`."""

    form: Form
    lane: int
    tickets: tuple[int, ...]


@dataclass(frozen=True)
class Expire:
    """The tickets' time is over: end them. They are forgotten already and will never run."""

    tickets: tuple[int, ...]


@dataclass(frozen=True)
class Wait:
    """Nothing to do before `until`, or before the next call."""

    until: float = math.inf


@dataclass(frozen=True)
class Lanes:
    """What a form offers: how many run at once, and how many images each takes at once."""

    count: int
    batch: int = 1


CALM = 2
"""Requests in a row that must find the engine empty before it goes back to the form for a single caller."""


class Policy:
    """The rule of the queue. Owned by its engine: one thread at a time."""

    def __init__(self, capacity: int, lanes: Mapping[Form, Lanes]) -> None:
        """capacity: how many tickets may wait. lanes: those of each form that is compiled."""
        self.capacity = capacity
        self._turns = Turns()
        self._deadlines: list[tuple[float, int]] = []  # heap; ids that wait no longer are skipped on sight
        self._idle: dict[Form, list[int]] = {}
        self._batch: dict[Form, int] = {}
        self._running: dict[Form, int] = {}  # tickets, not lanes
        self._calm = CALM
        for form, offer in lanes.items():
            self.add_form(form, offer)

    @property
    def waiting(self) -> int:
        return len(self._turns)

    @property
    def running(self) -> int:
        """Tickets that run now."""
        return sum(self._running.values())

    @property
    def crowded(self) -> bool:
        """Whether more than one request is there, so that the form for many would help."""
        return self._calm < CALM

    def add_form(self, form: Form, offer: Lanes) -> None:
        """From now on `form` may be used."""
        self._idle[form] = list(range(offer.count))
        self._batch[form] = offer.batch
        self._running[form] = 0

    def admit(self, ticket: Ticket, on_full: OnFull = OnFull.REJECT) -> Admission:
        """Give the ticket a place, as `on_full` says when there is none; for WAIT the caller comes back."""
        dropped = self._dropped_for(ticket.client, on_full)
        if self.waiting - len(dropped) >= self.capacity:
            return Admission(False)
        alone = not self.waiting and not self.running
        self._calm = min(self._calm + 1, CALM) if alone else 0
        # Before those that make room leave: a client that always has something keeps its place among the turns.
        self._turns.add(ticket.id, ticket.client, ticket.priority)
        for ticket_id in dropped:
            self._turns.remove(ticket_id)
        if ticket.deadline < math.inf:
            self._forget_stale_deadlines()
            heapq.heappush(self._deadlines, (ticket.deadline, ticket.id))
        return Admission(True, dropped)

    def prepared(self, ticket_id: int, shape: Shape = ()) -> None:
        """The ticket's image is ready to run, on a canvas of this shape. A ticket that is gone already stays gone."""
        if ticket_id in self._turns:
            self._turns.ready(ticket_id, shape)

    def cancel(self, ticket_id: int) -> bool:
        """Take a waiting ticket back; False when it runs or is gone."""
        return self._turns.remove(ticket_id)

    def drain(self) -> tuple[int, ...]:
        """Take all waiting tickets back."""
        return self._turns.clear()

    def next_action(self, now: float) -> Run | Expire | Wait:
        """What to do now. A Run or Expire has happened as far as the policy is concerned."""
        expired = self._take_expired(now)
        if expired:
            return Expire(expired)
        form = self._form()
        if self._idle.get(form) and (tickets := self._take_batch(self._batch[form])):
            self._running[form] += len(tickets)
            return Run(form, heapq.heappop(self._idle[form]), tickets)
        return Wait(self._next_deadline())

    def finished(self, run: Run) -> None:
        """The lane is free again."""
        self._running[run.form] -= len(run.tickets)
        heapq.heappush(self._idle[run.form], run.lane)

    def _dropped_for(self, client: Client, on_full: OnFull) -> tuple[int, ...]:
        """The waiting tickets that leave for a new one."""
        if on_full is OnFull.LATEST:
            return self._turns.of(client.key)
        if on_full is OnFull.DROP_OLDEST and self.waiting >= self.capacity:
            # From whoever has most: a client that floods pays for it, and not the one that comes with a single request.
            return (self._turns.oldest_of_longest(),)
        return ()

    def _form(self) -> Form:
        if self.crowded and Form.THROUGHPUT in self._idle:
            return Form.THROUGHPUT
        return Form.LATENCY

    def _take_batch(self, most: int) -> tuple[int, ...]:
        first = self._turns.take()
        if first is None:
            return ()
        first_id, shape = first
        return first_id, *self._turns.company(shape, most - 1)

    def _take_expired(self, now: float) -> tuple[int, ...]:
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ticket_id = heapq.heappop(self._deadlines)
            if self._turns.remove(ticket_id):
                expired.append(ticket_id)
        return tuple(expired)

    def _forget_stale_deadlines(self) -> None:
        # Tickets that ran in time leave their deadline behind; it would stay for as long as it lies in the future.
        if len(self._deadlines) > 2 * self.capacity:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._turns]
            heapq.heapify(self._deadlines)

    def _next_deadline(self) -> float:
        while self._deadlines and self._deadlines[0][1] not in self._turns:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf
