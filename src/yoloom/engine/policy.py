"""Who is next, in which form, and who came too late: a state machine without a thread and without a clock.

```
admit ──▶ preparing ──prepared──▶ ready ──next_action──▶ running ──finished──▶ gone
              │                     │ │
            cancel               cancel └─ Expire (its deadline has passed)
```

A ticket is admitted before its image is touched, so that places, order and load are known from the first moment; it
can run once its image is prepared. One thread at a time: the engine calls it under its lock.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass

from yoloom.runtime.protocol import Form


@dataclass(frozen=True)
class Ticket:
    """One request as the policy sees it. deadline: on the clock that `now` is read from, infinity for none."""

    id: int
    deadline: float = math.inf


@dataclass(frozen=True)
class Run:
    """Run the tickets on one lane of a form, then say `finished`."""

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


CALM = 2
"""Requests in a row that must find the engine empty before it goes back to the form for a single caller."""


class Policy:
    """The rule of the queue. Owned by its engine: one thread at a time."""

    def __init__(self, capacity: int, lanes: Mapping[Form, int]) -> None:
        """capacity: how many tickets may wait. lanes: the lanes of each form that is compiled."""
        self.capacity = capacity
        self._idle: dict[Form, list[int]] = {}
        self._waiting: dict[int, Ticket] = {}  # preparing or ready, in order of admission
        self._ready: list[int] = []  # heap of ids; ids of cancelled and expired tickets are skipped when they surface
        self._deadlines: list[tuple[float, int]] = []  # heap, skipped likewise
        self._running: dict[Form, int] = {}
        self._calm = CALM
        for form, count in lanes.items():
            self.add_form(form, count)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return sum(self._running.values())

    @property
    def crowded(self) -> bool:
        """Whether more than one request is there, so that the form for many would help."""
        return self._calm < CALM

    def add_form(self, form: Form, lanes: int) -> None:
        """From now on `form` may be used."""
        self._idle[form] = list(range(lanes))
        self._running[form] = 0

    def admit(self, ticket: Ticket) -> bool:
        """Give the ticket a place, or say that there is none."""
        if len(self._waiting) >= self.capacity:
            return False
        alone = not self._waiting and not self.running
        self._calm = min(self._calm + 1, CALM) if alone else 0
        self._waiting[ticket.id] = ticket
        if ticket.deadline < math.inf:
            self._forget_stale_deadlines()
            heapq.heappush(self._deadlines, (ticket.deadline, ticket.id))
        return True

    def prepared(self, ticket_id: int) -> None:
        """The ticket's image is ready to run. A ticket that is gone already stays gone."""
        if ticket_id in self._waiting:
            heapq.heappush(self._ready, ticket_id)

    def cancel(self, ticket_id: int) -> bool:
        """Take a waiting ticket back; False when it runs or is gone."""
        return self._waiting.pop(ticket_id, None) is not None

    def drain(self) -> tuple[int, ...]:
        """Take all waiting tickets back."""
        waiting = tuple(self._waiting)
        self._waiting.clear()
        return waiting

    def next_action(self, now: float) -> Run | Expire | Wait:
        """What to do now. A Run or Expire has happened as far as the policy is concerned."""
        expired = self._take_expired(now)
        if expired:
            return Expire(expired)
        form = self._form()
        if self._idle[form] and (ticket_id := self._take_ready()) is not None:
            self._running[form] += 1
            return Run(form, heapq.heappop(self._idle[form]), (ticket_id,))
        return Wait(self._next_deadline())

    def finished(self, run: Run) -> None:
        """The lane is free again."""
        self._running[run.form] -= 1
        heapq.heappush(self._idle[run.form], run.lane)

    def _form(self) -> Form:
        if self.crowded and Form.THROUGHPUT in self._idle:
            return Form.THROUGHPUT
        return Form.LATENCY

    def _take_expired(self, now: float) -> tuple[int, ...]:
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ticket_id = heapq.heappop(self._deadlines)
            if self._waiting.pop(ticket_id, None) is not None:
                expired.append(ticket_id)
        return tuple(expired)

    def _take_ready(self) -> int | None:
        while self._ready:
            ticket_id = heapq.heappop(self._ready)
            if self._waiting.pop(ticket_id, None) is not None:
                return ticket_id
        return None

    def _forget_stale_deadlines(self) -> None:
        # Tickets that ran in time leave their deadline behind; it would stay for as long as it lies in the future.
        if len(self._deadlines) > 2 * self.capacity:
            self._deadlines = [entry for entry in self._deadlines if entry[1] in self._waiting]
            heapq.heapify(self._deadlines)

    def _next_deadline(self) -> float:
        while self._deadlines and self._deadlines[0][1] not in self._waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf
