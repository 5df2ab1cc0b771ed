"""Who gets a place, who is next, with whom, in which form, and who came too late: a machine without thread and clock.

```
          full: WAIT                                               its result is not delivered yet
admit ──▶ applying ──a place is free──▶ waiting ──next_action──▶ running ──finished──▶ held ──delivered──▶ gone
  │ └─────a place is free────────────────▲ │ │
  │                                        │ └─ Expire, from applying too: its deadline has passed
  └─ dropped: those that made room       cancel, from applying too
```

A ticket gets its place before its image is touched, so that places, order and load are known from the first moment; it
can run once its image is prepared. Clients take turns (`turns.py`) for lanes, and for places when there are none left.
One thread at a time: the engine calls it under its lock.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from yoloom.engine.scheduling.fair_queue import ANYBODY, Client, FairQueue, Shape
from yoloom.engine.scheduling.queue_policy import OnFull
from yoloom.runtime.protocol import Form

# Named tuples, because they are made for every request under the engine's lock: in a third of a dataclass's time.


class Ticket(NamedTuple):
    """One request as the policy sees it. deadline: on the clock that `now` is read from, infinity for none."""

    id: int
    deadline: float = math.inf
    client: Client = ANYBODY
    priority: float = 0


class Place(enum.Enum):
    """What a ticket got that asked for a place."""

    TAKEN = "taken"
    APPLIED = "applied"  # it waits for one, see `Policy.take_placed`
    REFUSED = "refused"


class Admission(NamedTuple):
    """What a ticket got, and which tickets were taken out for it: they are forgotten already."""

    place: Place
    dropped: tuple[int, ...] = ()


class Run(NamedTuple):
    """Run the tickets, whose canvases have equal shapes, on one lane of a form; then say `finished`."""

    form: Form
    lane: int
    tickets: tuple[int, ...]


class Expire(NamedTuple):
    """The tickets' time is over: end them. They are forgotten already and will never run."""

    tickets: tuple[int, ...]


class Wait(NamedTuple):
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

    def __init__(
        self, capacity: int, lanes: Mapping[Form, Lanes], in_company: Callable[[], bool] = lambda: False
    ) -> None:
        """capacity: how many tickets may wait or be held. lanes: those of each form that is compiled. in_company:
        whether so much else computes that a single request is better served as one of many."""
        self.capacity = capacity
        self._turns = FairQueue()  # those that wait
        self._applicants = FairQueue()
        self._applying: dict[int, tuple[Ticket, Shape | None]] = {}  # with the canvas of those that are prepared
        self._placed: list[int] = []
        self._held = 0
        self._deadlines: list[tuple[float, int]] = []  # heap; ids that wait no longer are skipped on sight
        self._idle: dict[Form, list[int]] = {}
        self._batch: dict[Form, int] = {}
        self._running: dict[Form, int] = {}  # tickets, not lanes
        self._busy: dict[Form, set[int]] = {}  # lanes
        self._usable: dict[Form, Set[int]] = {}  # lanes
        self._calm = CALM
        self._in_company = in_company
        for form, offer in lanes.items():
            self.add_form(form, offer)

    @property
    def waiting(self) -> int:
        """Tickets that have a place and do not run yet."""
        return len(self._turns)

    @property
    def applying(self) -> int:
        """Tickets that wait for a place."""
        return len(self._applying)

    @property
    def running(self) -> int:
        """Tickets that run now."""
        return sum(self._running.values())

    @property
    def held(self) -> int:
        """Places of tickets that have run and are not delivered."""
        return self._held

    @property
    def crowded(self) -> bool:
        """Whether more than one request is there, or other engines compute, so that the form for many would help."""
        return self._calm < CALM

    @property
    def next_deadline(self) -> float:
        """Of what waits or applies, infinity for none."""
        while self._deadlines and not self._is_here(self._deadlines[0][1]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def add_form(self, form: Form, offer: Lanes) -> None:
        """From now on `form` may be used."""
        self._idle[form] = list(range(offer.count))
        self._busy[form] = set()
        self._usable[form] = frozenset(self._idle[form])
        self._batch[form] = offer.batch
        self._running[form] = 0

    def use_lanes(self, form: Form, lanes: Set[int]) -> frozenset[int]:
        """From now on the runs of `form` go to these lanes. Returns the lanes that run now, which are let finish."""
        self._usable[form] = frozenset(lanes)
        self._idle[form] = sorted(self._usable[form] - self._busy[form])
        return frozenset(self._busy[form])

    def admit(self, ticket: Ticket, on_full: OnFull = OnFull.REJECT) -> Admission:
        """Give the ticket a place, as `on_full` says when there is none."""
        dropped = self._dropped_for(ticket.client, on_full)
        makes_room = any(ticket_id in self._turns for ticket_id in dropped)
        if not (self._has_place or makes_room):
            return self._without_place(ticket, on_full)
        alone = not (self.waiting or self.running or self._in_company())
        self._calm = min(self._calm + 1, CALM) if alone else 0
        # Before those that make room leave: a client that always has something keeps its place among the turns.
        self._turns.add(ticket.id, ticket.client, ticket.priority)
        self._keep_deadline(ticket)
        self._drop(dropped)
        return Admission(Place.TAKEN, dropped)

    def take_placed(self) -> list[int]:
        """The applicants that have got a place since the last call."""
        placed, self._placed = self._placed, []
        return placed

    def prepared(self, ticket_id: int, shape: Shape = ()) -> None:
        """The ticket's image is ready to run, on a canvas of this shape. A ticket that is gone already stays gone."""
        if ticket_id in self._turns:
            self._turns.ready(ticket_id, shape)
        elif ticket_id in self._applying:
            self._applying[ticket_id] = self._applying[ticket_id][0], shape

    def cancel(self, ticket_id: int) -> bool:
        """Take a waiting or applying ticket back; False when it runs or is gone."""
        if not self._leave(ticket_id):
            return False
        self._give_places()
        return True

    def turn_away(self) -> tuple[int, ...]:
        """Take all applicants back."""
        self._applying.clear()
        return self._applicants.clear()

    def drain(self) -> tuple[int, ...]:
        """Take all waiting and applying tickets back."""
        return self.turn_away() + self._turns.clear()

    def next_action(self, now: float) -> Run | Expire | Wait:
        """What to do now. A Run or Expire has happened as far as the policy is concerned."""
        expired = self._take_expired(now)
        if expired:
            return Expire(expired)
        form = self._form()
        if self._idle.get(form) and (tickets := self._take_batch(self._batch[form])):
            self._running[form] += len(tickets)
            self._give_places()
            lane = heapq.heappop(self._idle[form])
            self._busy[form].add(lane)
            return Run(form, lane, tickets)
        return Wait(self.next_deadline)

    def finished(self, run: Run, held: int = 0) -> None:
        """The lane is free again. held: how many of its tickets keep a place until they are delivered."""
        self._running[run.form] -= len(run.tickets)
        self._held += held
        self._busy[run.form].discard(run.lane)
        if run.lane in self._usable[run.form]:
            heapq.heappush(self._idle[run.form], run.lane)

    def delivered(self) -> None:
        """A held ticket has reached its caller."""
        self._held -= 1
        self._give_places()

    @property
    def _has_place(self) -> bool:
        return self.waiting + self._held < self.capacity

    def _without_place(self, ticket: Ticket, on_full: OnFull) -> Admission:
        if on_full is not OnFull.WAIT:
            return Admission(Place.REFUSED)
        self._applicants.add(ticket.id, ticket.client, ticket.priority)
        self._applicants.ready(ticket.id, ())
        self._applying[ticket.id] = ticket, None
        self._keep_deadline(ticket)
        return Admission(Place.APPLIED)

    def _give_places(self) -> None:
        while self._has_place and (first := self._applicants.take()) is not None:
            ticket, shape = self._applying.pop(first[0])
            self._calm = 0
            self._turns.add(ticket.id, ticket.client, ticket.priority)
            if shape is not None:
                self._turns.ready(ticket.id, shape)
            self._placed.append(ticket.id)

    def _dropped_for(self, client: Client, on_full: OnFull) -> tuple[int, ...]:
        """The tickets that leave for a new one."""
        if on_full is OnFull.LATEST:
            return self._turns.of(client.key) + self._applicants.of(client.key)
        if on_full is OnFull.DROP_OLDEST and self.waiting and not self._has_place:
            # From whoever has most: a client that floods pays for it, and not the one that comes with a single request.
            return (self._turns.oldest_of_busiest(),)
        return ()

    def _drop(self, ticket_ids: tuple[int, ...]) -> None:
        for ticket_id in ticket_ids:
            self._leave(ticket_id)
        if ticket_ids:
            self._give_places()

    def _leave(self, ticket_id: int) -> bool:
        if self._applying.pop(ticket_id, None) is not None:
            return self._applicants.remove(ticket_id)
        return self._turns.remove(ticket_id)

    def _form(self) -> Form:
        if self.crowded and Form.THROUGHPUT in self._idle:
            return Form.THROUGHPUT
        return Form.LATENCY

    def _take_batch(self, most: int) -> tuple[int, ...]:
        first = self._turns.take()
        if first is None:
            return ()
        first_id, shape = first
        return first_id, *self._turns.take_matching(shape, most - 1)

    def _take_expired(self, now: float) -> tuple[int, ...]:
        expired = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ticket_id = heapq.heappop(self._deadlines)
            if self._leave(ticket_id):
                expired.append(ticket_id)
        if expired:
            self._give_places()
        return tuple(expired)

    def _keep_deadline(self, ticket: Ticket) -> None:
        if ticket.deadline == math.inf:
            return
        # Tickets that ran in time leave their deadline behind; it would stay for as long as it lies in the future.
        if len(self._deadlines) > 2 * (self.capacity + self.applying):
            self._deadlines = [entry for entry in self._deadlines if self._is_here(entry[1])]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (ticket.deadline, ticket.id))

    def _is_here(self, ticket_id: int) -> bool:
        return ticket_id in self._turns or ticket_id in self._applying
