"""The rule of the queue: places, turns, batches, profiles and deadlines. A machine without thread and clock.

```
          full: WAIT                                               its result is not delivered yet
admit ──▶ waiting for a place ──▶ waiting ──next_action──▶ running ──finished──▶ held ──delivered──▶ gone
  │ └─────a place is free────────────▲ │ │
  │                                    │ └─ Expire, also without a place: its deadline has passed
  └─ dropped: those that made room   cancel, also without a place
```

A ticket gets its place before its image is touched, so that places, order and load are known from the first moment; it
can run once its image is prepared. Clients take turns (`fair_queue.py`) for lanes, and for places when there are none
left. A place is a number and so many bytes: a picture that alone is larger than the bound waits until it is alone.

Several requests of one shape run as a batch. A batch that is not full may wait for company, from the moment when its
first ticket was ready: while all lanes are busy that time passes anyway, and nothing waits longer for it.
"""

from __future__ import annotations

import enum
import heapq
import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

from yoloom.engine.scheduling.fair_queue import FairQueue, Shape
from yoloom.engine.scheduling.request_terms import OnFull, RequestTerms

# Named tuples, because they are made for every request under the engine's lock: in a third of a dataclass's time.

_TERMS = RequestTerms()


class Ticket(NamedTuple):
    """One request as the policy sees it. nbytes: its decoded picture, 0 where that is not known yet."""

    id: int
    terms: RequestTerms = _TERMS
    nbytes: int = 0


class Admission(enum.Enum):
    """Answer to a ticket that asked for a place."""

    ADMITTED = "admitted"
    WAITING = "waiting"  # for a place, see `Policy.take_admitted`
    REJECTED = "rejected"


class Run(NamedTuple):
    """Order to run the tickets, whose canvases have equal shapes, on one lane of a profile; then say `finished`."""

    profile: str
    lane: int
    tickets: tuple[int, ...]


class Expire(NamedTuple):
    """Order to end tickets whose time is over. They are forgotten already and will never run."""

    tickets: tuple[int, ...]


class SleepUntil(NamedTuple):
    """Nothing to do before `until`, or before the next call."""

    until: float = math.inf


@dataclass(frozen=True)
class LaneOffer:
    """The lanes of a profile: how many, how many images each runs at once, how long a batch may wait for company."""

    count: int
    batch: int = 1
    max_wait_s: float = 0.0


class _ProfileLanes:
    """The lanes of one profile: which are idle, busy, and usable."""

    __slots__ = ("busy", "idle", "name", "offer", "usable")

    def __init__(self, name: str, offer: LaneOffer) -> None:
        self.name = name
        self.offer = offer
        self.idle = list(range(offer.count))  # heap
        self.busy: set[int] = set()
        self.usable: Set[int] = frozenset(self.idle)


QUIET_STREAK = 2
"""Requests in a row that must find the engine empty before it goes back to the profile for a lone caller."""


class Policy:
    """The rule of the queue.

    Thread safety: owned by the scheduler, which calls it under its lock.
    """

    def __init__(
        self,
        capacity: int,
        offers: Mapping[str, LaneOffer],
        is_contended: Callable[[], bool] = lambda: False,
        max_bytes: float = math.inf,
    ) -> None:
        """Start with empty queues.

        Args:
            capacity: Tickets that may wait or be held at once.
            offers: Lanes of each profile that is compiled; the first one serves a lone caller, the last one many.
            is_contended: Whether so much else computes that a single request is better served as one of many.
            max_bytes: Bytes of decoded pictures that may wait, run or be held at once.
        """
        self.capacity = capacity
        self.max_bytes = max_bytes
        self._queue = FairQueue()  # those that have a place
        self._waiters = FairQueue()  # those that wait for one
        self._without_place: dict[int, tuple[Ticket, Shape | None, float]] = {}  # with the canvas, when it was prepared
        self.admitted: list[int] = []  # have got a place since `take_admitted`, which they had to wait for
        self._held = 0
        self._charged: dict[int, int] = {}  # bytes of those that have a place, run, or are held
        self._bytes = 0
        self._deadlines: list[tuple[float, int]] = []  # heap; ids that wait no longer are skipped on sight
        self._profiles: dict[str, _ProfileLanes] = {}
        self._for_one: _ProfileLanes | None = None
        self._for_many: _ProfileLanes | None = None
        # Whether more than one request is there, or other engines compute, so that a profile for many would help. An
        # attribute, because callers glance at it without the lock: they read the old value or the new one, never half.
        self.contended = False
        self.running = 0  # tickets that lanes have now
        self._quiet_streak = QUIET_STREAK
        self._is_contended = is_contended
        for name, offer in offers.items():
            self.add_profile(name, offer)

    @property
    def waiting(self) -> int:
        """Tickets that have a place and do not run yet."""
        return len(self._queue.waiting)

    @property
    def waiting_for_place(self) -> int:
        """Tickets that wait for a place."""
        return len(self._without_place)

    @property
    def held(self) -> int:
        """Places of tickets that have run and are not delivered."""
        return self._held

    @property
    def charged_bytes(self) -> int:
        """Bytes of the pictures that have a place, run, or are held."""
        return self._bytes

    @property
    def next_deadline(self) -> float:
        """The earliest deadline of all that wait, infinity for none."""
        while self._deadlines and not self._is_here(self._deadlines[0][1]):
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    @property
    def needs_a_clock(self) -> bool:
        """Whether something is to happen at a certain time: a deadline, or the end of a batch's wait for company."""
        return self.next_deadline < math.inf or any(one.offer.max_wait_s for one in self._profiles.values())

    # ---- Lanes

    def add_profile(self, name: str, offer: LaneOffer) -> None:
        """Allow runs in a profile. The last one that was added serves many callers."""
        self._for_many = self._profiles[name] = _ProfileLanes(name, offer)
        self._for_one = self._for_one or self._for_many

    def use_lanes(self, name: str, lanes: Set[int]) -> frozenset[int]:
        """Send runs of a profile to these lanes only. Returns the lanes that run now, which are let finish."""
        profile = self._profiles[name]
        profile.usable = frozenset(lanes)
        # A sorted list is a heap. Busy lanes come back by `finished`, if they are usable then.
        profile.idle = sorted(profile.usable - profile.busy)
        return frozenset(profile.busy)

    def has_profile(self, name: str) -> bool:
        """Tell whether a profile was added."""
        return name in self._profiles

    def usable_lanes(self, name: str) -> Set[int]:
        """List the lanes that runs of a profile go to."""
        return self._profiles[name].usable

    # ---- Places

    def admit(self, ticket: Ticket, on_full: OnFull = OnFull.REJECT) -> tuple[Admission, tuple[int, ...]]:
        """Give the ticket a place, or do as `on_full` says when there is none.

        Returns:
            The answer, and the tickets that were taken out to make room: they are forgotten already.
        """
        terms = ticket.terms
        leaving: Sequence[int] = ()
        if on_full is OnFull.LATEST or on_full is OnFull.DROP_OLDEST:
            leaving = self._leaving_for(ticket, on_full)
        # Those that wait for a place are not overtaken by one that happens to be small enough.
        if not self._fits(ticket.nbytes, leaving) or (self._without_place and not leaving):
            if on_full is not OnFull.WAIT:
                return Admission.REJECTED, ()
            self._waiters.add(ticket.id, terms.client, terms.priority)
            self._waiters.ready(ticket.id, ())
            self._without_place[ticket.id] = ticket, None, 0.0
            if terms.deadline < math.inf:
                self._keep_deadline(ticket)
            return Admission.WAITING, ()
        alone = not (self._queue.waiting or self.running or self._is_contended())
        # One quiet moment proves nothing: between two images of a flood the engine is empty for an instant as well.
        self._quiet_streak = min(self._quiet_streak + 1, QUIET_STREAK) if alone else 0
        self.contended = self._quiet_streak < QUIET_STREAK
        # Before those that make room leave: a client that always has something keeps its place among the turns.
        self._queue.add(ticket.id, terms.client, terms.priority)
        self._charge(ticket.id, ticket.nbytes)
        if terms.deadline < math.inf:
            self._keep_deadline(ticket)
        if leaving:
            for ticket_id in leaving:
                self._leave(ticket_id)
            self._give_places()
        return Admission.ADMITTED, tuple(leaving)

    def take_admitted(self) -> list[int]:
        """Return the tickets that waited for a place and have got one since the last call."""
        admitted, self.admitted = self.admitted, []
        return admitted

    def prepared(self, ticket_id: int, shape: Shape = (), now: float = 0.0, nbytes: int | None = None) -> None:
        """Allow a ticket to run, on a canvas of this shape; a ticket that is gone already stays gone.

        Args:
            ticket_id: The ticket.
            shape: Canvases of equal shapes may share a batch.
            now: From here on it waits for company, if a batch does.
            nbytes: Size of the decoded picture, which replaces the size that the ticket came with.
        """
        if self._queue.ready(ticket_id, shape, now):
            if nbytes is not None:
                self._charge(ticket_id, nbytes)
        elif ticket_id in self._without_place:
            ticket = self._without_place[ticket_id][0]
            ticket = ticket if nbytes is None else ticket._replace(nbytes=nbytes)
            self._without_place[ticket_id] = ticket, shape, now
        if nbytes is not None and self._without_place:
            self._give_places()  # a smaller picture than announced leaves room

    def cancel(self, ticket_id: int) -> bool:
        """Take back a ticket that waits; False when it runs or is gone."""
        if not self._leave(ticket_id):
            return False
        self._give_places()
        return True

    def turn_away(self) -> tuple[int, ...]:
        """Take back all tickets that wait for a place."""
        self._without_place.clear()
        return self._waiters.clear()

    def drain(self) -> tuple[int, ...]:
        """Take back all tickets that wait."""
        gone = self._queue.clear()
        for ticket_id in gone:
            self._charge(ticket_id, 0)
        return self.turn_away() + gone

    # ---- Runs

    def next_action(self, now: float) -> Run | Expire | SleepUntil:
        """Decide what a lane does now. A Run or Expire has happened as far as the policy is concerned."""
        # First those that are too late: a lane must never run what its caller has given up.
        if self._deadlines and self._deadlines[0][0] <= now and (expired := self._take_expired(now)):
            return Expire(expired)
        deadline = self.next_deadline if self._deadlines else math.inf
        profile = self._for_many if self.contended else self._for_one
        if profile is None or not profile.idle:
            return SleepUntil(deadline)
        offer = profile.offer
        tickets: list[int] = []
        if offer.max_wait_s and self._queue.peek() is not None:
            # The window is open since the first was ready, not since this lane asked: a lane that was busy for longer
            # than that finds it over, and waits no more. A full batch waits for nobody.
            due = self._queue.ready_since() + offer.max_wait_s
            if due > now:
                tickets = self._queue.take_full_batch(offer.batch)
                if not tickets:
                    return SleepUntil(min(due, deadline))
        if not tickets:
            first = self._queue.take()
            if first is None:
                return SleepUntil(deadline)
            tickets = [first[0]]
            if offer.batch > 1:
                tickets += self._queue.take_matching(first[1], offer.batch - 1)
        self.running += len(tickets)
        if self._without_place:
            self._give_places()
        # The lowest number: a few lanes stay warm under little load, where turns would keep all of them half cold.
        lane = heapq.heappop(profile.idle)
        profile.busy.add(lane)
        return Run(profile.name, lane, tuple(tickets))

    def finished(self, run: Run, held: Set[int] = frozenset()) -> None:
        """Free a lane. held: those of its tickets that keep a place until they are delivered."""
        profile = self._profiles[run.profile]
        self.running -= len(run.tickets)
        profile.busy.discard(run.lane)
        if run.lane in profile.usable:
            heapq.heappush(profile.idle, run.lane)
        self._held += len(held)
        for ticket_id in run.tickets:
            if ticket_id not in held:
                self._charge(ticket_id, 0)
        if self._without_place:
            self._give_places()

    def delivered(self, ticket_id: int) -> None:
        """Free the place of a held ticket."""
        self._held -= 1
        self._charge(ticket_id, 0)
        self._give_places()

    # ---- Helpers

    def _fits(self, nbytes: int, leaving: Sequence[int] = ()) -> bool:
        """Tell whether a ticket finds a place, once others have left theirs."""
        # Places: waiting + held - leaving < capacity. Those that run have none: their lane is their place.
        free_places = sum(ticket_id in self._queue.waiting for ticket_id in leaving) if leaving else 0
        if len(self._queue.waiting) + self._held - free_places >= self.capacity:
            return False
        others = self._bytes - sum(self._charged.get(ticket_id, 0) for ticket_id in leaving)
        # Bytes: all that are charged - those of the leaving + its own <= max_bytes. Or it is alone: a picture that is
        # larger than the bound would wait for ever otherwise.
        return not others or others + nbytes <= self.max_bytes

    def _charge(self, ticket_id: int, nbytes: int) -> None:
        """Set what a ticket is charged for its picture.

        The sum is kept beside the table, `_bytes == sum(_charged.values())`: an addition for each request, and not one
        for each request that is here.
        """
        if nbytes:
            self._bytes += nbytes - self._charged.get(ticket_id, 0)
            self._charged[ticket_id] = nbytes
        else:
            self._bytes -= self._charged.pop(ticket_id, 0)

    def _give_places(self) -> None:
        while (first := self._waiters.peek()) is not None and self._fits(self._without_place[first][0].nbytes):
            # In turns: one that is too large for now is not overtaken, or it would wait for ever.
            self._waiters.take()
            ticket, shape, ready_since = self._without_place.pop(first)
            self._quiet_streak, self.contended = 0, True
            self._queue.add(ticket.id, ticket.terms.client, ticket.terms.priority)
            self._charge(first, ticket.nbytes)
            if shape is not None:
                self._queue.ready(first, shape, ready_since)
            self.admitted.append(first)

    def _leaving_for(self, ticket: Ticket, on_full: OnFull) -> list[int]:
        """Choose the tickets that leave for a new one; none when that would not make room."""
        if on_full is OnFull.LATEST:
            key = ticket.terms.client.key
            return [*self._queue.of(key), *self._waiters.of(key)]
        leaving: list[int] = []
        while not self._fits(ticket.nbytes, leaving):
            # From the client that has most: one that floods pays for it, and not one that comes with a single request.
            victim = self._queue.oldest_of_busiest(leaving)
            if victim is None:
                return []
            leaving.append(victim)  # counted as gone by `_fits`, until there is room or nobody is left
        return leaving

    def _leave(self, ticket_id: int) -> bool:
        if self._without_place.pop(ticket_id, None) is not None:
            return self._waiters.remove(ticket_id)
        if not self._queue.remove(ticket_id):
            return False
        self._charge(ticket_id, 0)
        return True

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
        # Tickets that ran in time leave their deadline behind; it would stay for as long as it lies in the future. At
        # twice as many as can be of use, rebuilding costs as much as so many admissions have saved.
        if len(self._deadlines) > 2 * (self.capacity + self.waiting_for_place):
            self._deadlines = [entry for entry in self._deadlines if self._is_here(entry[1])]
            heapq.heapify(self._deadlines)
        heapq.heappush(self._deadlines, (ticket.terms.deadline, ticket.id))

    def _is_here(self, ticket_id: int) -> bool:
        return ticket_id in self._queue.waiting or ticket_id in self._without_place
