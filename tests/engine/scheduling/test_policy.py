"""The rule of the queue, in integer time and without a thread."""

from __future__ import annotations

import math
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from examples import examples
from yoloom.engine.scheduling.policy import QUIET_STREAK, Admission, Expire, LaneOffer, Policy, Run, SleepUntil, Ticket
from yoloom.engine.scheduling.request_terms import ANYBODY, Client, OnFull, RequestTerms
from yoloom.runtime.protocol import LATENCY, THROUGHPUT

ADMITTED, WAITING, REJECTED = ((answer, ()) for answer in Admission)


def ticket(
    ticket_id: int, deadline: float = math.inf, client: Client = ANYBODY, priority: float = 0, nbytes: int = 0
) -> Ticket:
    return Ticket(ticket_id, RequestTerms(deadline, client, priority), nbytes)


def both_forms(capacity: int = 8) -> Policy:
    return Policy(capacity, {LATENCY: LaneOffer(1), THROUGHPUT: LaneOffer(2)})


def admit_ready(policy: Policy, *ids: int, deadline: float = math.inf) -> None:
    for ticket_id in ids:
        assert policy.admit(ticket(ticket_id, deadline))[0] is Admission.ADMITTED
        policy.prepared(ticket_id)


def serve_alone(policy: Policy, first: int, times: int) -> list[str]:
    """Requests one after the other, each finished before the next comes."""
    forms = []
    for ticket_id in range(first, first + times):
        admit_ready(policy, ticket_id)
        run = policy.next_action(0)
        assert isinstance(run, Run)
        forms.append(run.profile)
        policy.finished(run)
    return forms


def test_nothing_to_do_waits_for_ever() -> None:
    assert both_forms().next_action(0) == SleepUntil(math.inf)


def test_a_single_request_runs_in_the_latency_form() -> None:
    policy = both_forms()
    admit_ready(policy, 1)
    assert policy.next_action(0) == Run(LATENCY, 0, (1,))


def test_a_ticket_runs_only_once_its_image_is_prepared() -> None:
    policy = both_forms()
    policy.admit(ticket(1))
    assert policy.next_action(0) == SleepUntil(math.inf)
    policy.prepared(1)
    assert policy.next_action(0) == Run(LATENCY, 0, (1,))


def test_tickets_run_in_order_of_admission_among_those_prepared() -> None:
    policy = both_forms()
    for ticket_id in (1, 2, 3):
        policy.admit(ticket(ticket_id))
    policy.prepared(3)
    policy.prepared(2)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (2,))
    policy.prepared(1)
    assert policy.next_action(0) == Run(THROUGHPUT, 1, (1,))


def test_two_at_once_use_the_throughput_form() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (1,))
    assert policy.next_action(0) == Run(THROUGHPUT, 1, (2,))


def test_lanes_are_not_shared() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2, 3)
    first, second = policy.next_action(0), policy.next_action(0)
    assert policy.next_action(0) == SleepUntil(math.inf)
    assert isinstance(first, Run)
    assert isinstance(second, Run)
    policy.finished(second)
    assert policy.next_action(0) == Run(THROUGHPUT, second.lane, (3,))


def test_before_the_throughput_form_is_ready_the_latency_form_serves_all() -> None:
    policy = Policy(8, {LATENCY: LaneOffer(1)})
    admit_ready(policy, 1, 2)
    run = policy.next_action(0)
    assert run == Run(LATENCY, 0, (1,))
    assert policy.next_action(0) == SleepUntil(math.inf)
    assert policy.contended
    policy.add_profile(THROUGHPUT, LaneOffer(2))
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (2,))


def test_one_caller_gets_the_latency_form_back_after_a_crowd() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2)
    runs = [policy.next_action(0), policy.next_action(0)]
    for run in runs:
        assert isinstance(run, Run)
        policy.finished(run)
    assert serve_alone(policy, 10, QUIET_STREAK + 1) == [THROUGHPUT] * (QUIET_STREAK - 1) + [LATENCY] * 2


def test_one_quiet_moment_between_two_callers_does_not_switch() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2)
    for _ in (1, 2):
        run = policy.next_action(0)
        assert isinstance(run, Run)
        policy.finished(run)
    admit_ready(policy, 3)  # alone for a moment
    policy.next_action(0)
    admit_ready(policy, 4)  # the other caller is back
    assert policy.next_action(0) == Run(THROUGHPUT, 1, (4,))


def test_a_full_queue_refuses() -> None:
    policy = both_forms(capacity=2)
    admit_ready(policy, 1, 2)
    assert policy.admit(ticket(3))[0] is Admission.REJECTED
    policy.next_action(0)
    assert policy.admit(ticket(3))[0] is Admission.ADMITTED


def test_an_expired_ticket_is_never_executed() -> None:
    policy = both_forms()
    admit_ready(policy, 1, deadline=5)
    assert policy.next_action(5) == Expire((1,))
    assert policy.next_action(5) == SleepUntil(math.inf)


def test_a_ticket_expires_while_it_is_prepared() -> None:
    policy = both_forms()
    policy.admit(ticket(1, deadline=5))
    assert policy.next_action(4) == SleepUntil(5)
    assert policy.next_action(6) == Expire((1,))
    policy.prepared(1)
    assert policy.next_action(6) == SleepUntil(math.inf)


def test_the_wait_ends_at_the_first_deadline_that_still_matters() -> None:
    policy = Policy(8, {LATENCY: LaneOffer(0)})
    policy.admit(ticket(1, deadline=5))
    policy.admit(ticket(2, deadline=7))
    assert policy.next_action(0) == SleepUntil(5)
    policy.cancel(1)
    assert policy.next_action(0) == SleepUntil(7)


def test_a_cancelled_ticket_leaves_the_queue() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2)
    assert policy.cancel(1)
    assert not policy.cancel(1)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (2,))


def test_a_running_ticket_can_not_be_cancelled() -> None:
    policy = both_forms()
    admit_ready(policy, 1)
    policy.next_action(0)
    assert not policy.cancel(1)


def test_draining_takes_all_that_wait_and_nothing_that_runs() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2)
    policy.next_action(0)
    policy.admit(ticket(3))
    assert policy.drain() == (2, 3)
    assert policy.waiting == 0
    assert policy.running == 1


def test_deadlines_of_tickets_that_ran_in_time_do_not_pile_up() -> None:
    policy = both_forms(capacity=4)
    for ticket_id in range(1000):
        admit_ready(policy, ticket_id, deadline=10_000)
        run = policy.next_action(0)
        assert isinstance(run, Run)
        policy.finished(run)
    assert len(policy._deadlines) <= 2 * policy.capacity + 1


def test_drop_oldest_takes_from_the_client_that_has_most() -> None:
    policy = both_forms(capacity=3)
    policy.admit(ticket(1, client=Client("few")))
    policy.admit(ticket(2, client=Client("many")))
    policy.admit(ticket(3, client=Client("many")))
    assert policy.admit(ticket(4, client=Client("few")), OnFull.DROP_OLDEST) == (Admission.ADMITTED, (2,))
    assert policy.waiting == 3


def test_drop_oldest_drops_nothing_while_there_is_room() -> None:
    policy = both_forms(capacity=3)
    policy.admit(ticket(1))
    assert policy.admit(ticket(2), OnFull.DROP_OLDEST) == ADMITTED


def test_latest_keeps_only_the_newest_of_its_client() -> None:
    policy = both_forms()
    policy.admit(ticket(1, client=Client("camera")))
    policy.admit(ticket(2, client=Client("other")))
    assert policy.admit(ticket(3, client=Client("camera")), OnFull.LATEST) == (Admission.ADMITTED, (1,))
    policy.prepared(1)
    policy.prepared(3)
    policy.prepared(2)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (3,)), "what was dropped never runs"


def test_latest_is_refused_when_others_fill_the_queue() -> None:
    policy = both_forms(capacity=1)
    policy.admit(ticket(1, client=Client("other")))
    assert policy.admit(ticket(2, client=Client("camera")), OnFull.LATEST) == REJECTED


def test_a_flood_keeps_nobody_waiting_for_more_than_a_turn() -> None:
    policy = both_forms(capacity=2000)
    for ticket_id in range(1000):
        policy.admit(ticket(ticket_id, client=Client("flood")))
        policy.prepared(ticket_id)
    policy.admit(ticket(5000, client=Client("one")))
    policy.prepared(5000)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (0,))
    assert policy.next_action(0) == Run(THROUGHPUT, 1, (5000,))


def test_a_batch_has_equal_shapes_and_is_never_larger_than_its_form_takes() -> None:
    policy = Policy(16, {LATENCY: LaneOffer(1), THROUGHPUT: LaneOffer(1, batch=3)})
    for ticket_id, shape in ((1, (64, 64)), (2, (64, 32)), (3, (64, 64)), (4, (64, 64)), (5, (64, 64))):
        policy.admit(ticket(ticket_id, client=Client(ticket_id)))
        policy.prepared(ticket_id, shape)
    first = policy.next_action(0)
    assert first == Run(THROUGHPUT, 0, (1, 3, 4))
    assert policy.running == 3
    assert policy.next_action(0) == SleepUntil(math.inf), "one lane, one run"
    policy.finished(first)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (2,))


def test_a_batch_does_not_wait_for_company() -> None:
    policy = Policy(16, {LATENCY: LaneOffer(1, batch=8)})
    admit_ready(policy, 1)
    assert policy.next_action(0) == Run(LATENCY, 0, (1,))


def test_a_client_that_replaces_its_request_again_and_again_is_served_in_its_turn() -> None:
    """Seen to be served never, when those that make room leave before the new one joins."""
    policy = both_forms(capacity=1000)
    for ticket_id in range(300):
        policy.admit(ticket(ticket_id, client=Client(ticket_id % 3)))
        policy.prepared(ticket_id)
    served = []
    for newest in range(1000, 1020):
        policy.admit(ticket(newest, client=Client("camera")), OnFull.LATEST)
        policy.prepared(newest)
        run = policy.next_action(0)
        assert isinstance(run, Run)
        policy.finished(run)
        served += run.tickets
    assert sum(ticket_id >= 1000 for ticket_id in served) == 5, "one in four is the camera's"


def full(capacity: int = 2) -> Policy:
    """All places are taken, by tickets 1, 2, ... of one client; one lane."""
    policy = Policy(capacity, {LATENCY: LaneOffer(1)})
    for ticket_id in range(1, capacity + 1):
        policy.admit(ticket(ticket_id, client=Client("flood")))
        policy.prepared(ticket_id)
    return policy


def test_who_waits_for_a_place_gets_the_first_that_is_free() -> None:
    policy = full()
    assert policy.admit(ticket(3), OnFull.WAIT) == WAITING
    assert (policy.waiting, policy.waiting_for_place, policy.take_admitted()) == (2, 1, [])
    policy.next_action(0)
    assert (policy.waiting, policy.waiting_for_place, policy.take_admitted()) == (2, 0, [3])
    assert policy.take_admitted() == []


def test_clients_take_turns_for_places_too() -> None:
    """Seen to come last with a single line for all who wait for a place."""
    policy = full(capacity=1)
    for ticket_id in range(10, 20):
        policy.admit(ticket(ticket_id, client=Client("flood")), OnFull.WAIT)
    policy.admit(ticket(50, client=Client("other")), OnFull.WAIT)
    placed = []
    for _ in range(3):
        run = policy.next_action(0)
        assert isinstance(run, Run)
        policy.finished(run)
        (ticket_id,) = policy.take_admitted()
        policy.prepared(ticket_id)
        placed.append(ticket_id)
    assert placed == [10, 50, 11]


def test_an_image_that_is_prepared_early_is_ready_with_its_place() -> None:
    policy = full(capacity=1)
    policy.admit(ticket(2, client=Client("other")), OnFull.WAIT)
    policy.prepared(2, (64, 32))
    run = policy.next_action(0)
    assert isinstance(run, Run)
    policy.finished(run)
    assert policy.next_action(0) == Run(LATENCY, 0, (2,))


def test_who_waits_for_a_place_can_leave_and_can_be_too_late() -> None:
    policy = full()
    policy.admit(ticket(3), OnFull.WAIT)
    policy.admit(ticket(4, deadline=5), OnFull.WAIT)
    assert policy.cancel(3)
    assert not policy.cancel(3)
    assert policy.next_action(5) == Expire((4,))
    policy.prepared(4)
    assert (policy.waiting, policy.waiting_for_place) == (2, 0)


def test_who_waits_for_a_place_is_turned_away_and_those_that_have_one_stay() -> None:
    policy = full()
    policy.admit(ticket(3), OnFull.WAIT)
    assert policy.turn_away() == (3,)
    assert policy.drain() == (1, 2)


def test_latest_replaces_what_waits_for_a_place_as_well() -> None:
    policy = full()
    policy.cancel(2)
    policy.admit(ticket(3, client=Client("camera")))
    policy.admit(ticket(4, client=Client("camera")), OnFull.WAIT)
    assert policy.admit(ticket(5, client=Client("camera")), OnFull.LATEST) == (Admission.ADMITTED, (3, 4))
    assert (policy.waiting, policy.waiting_for_place) == (2, 0)


def test_what_is_not_delivered_keeps_its_place() -> None:
    """Seen to pile up without a bound, when results that nobody fetches are in no count."""
    policy = full(capacity=1)
    run = policy.next_action(0)
    assert isinstance(run, Run)
    policy.finished(run, {1})
    assert policy.held == 1
    assert policy.admit(ticket(2), OnFull.REJECT) == REJECTED
    assert policy.admit(ticket(3), OnFull.DROP_OLDEST) == REJECTED, "there is nothing to drop"
    assert policy.admit(ticket(4), OnFull.WAIT) == WAITING
    policy.delivered(1)
    assert policy.take_admitted() == [4]


class PolicyMachine(RuleBasedStateMachine):
    """Any order of events: each ticket ends once, lanes have one user, nothing late, cancelled or dropped runs.

    Clients: those with something ready are served within the sum of all weights; the order of each is kept. Bytes: no
    more than the bound, but for one picture that is larger by itself.
    """

    waiting = Bundle("waiting")
    running = Bundle("running")
    clients = st.sampled_from([Client("a"), Client("b", 2), Client("c")])
    WEIGHTS = 4
    WINDOW = 0
    FIRST = LaneOffer(1)

    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy(5, {LATENCY: self.FIRST}, max_bytes=10)
        self.now = 0
        self.next_id = 0
        self.tickets: dict[int, Ticket] = {}  # with a place
        self.without_place: dict[int, Ticket] = {}
        self.charged: dict[int, int] = {}  # with a place, running, or held
        self.held: list[int] = []
        self.ready: dict[int, tuple[tuple[int, ...], int]] = {}  # shape, since when
        self.ended: set[int] = set()
        self.busy: dict[tuple[str, int], Run] = {}
        self.passed_over: dict[object, int] = {}  # runs since a client with something ready was served

    def end(self, ticket_id: int) -> None:
        assert ticket_id not in self.ended, "a ticket ended twice"
        self.ended.add(ticket_id)
        del (self.tickets if ticket_id in self.tickets else self.without_place)[ticket_id]

    def forget(self, ticket_id: int) -> None:
        self.end(ticket_id)
        self.charged.pop(ticket_id, None)

    def fits(self, nbytes: int, leaving: set[int] = frozenset()) -> bool:
        places = len(self.tickets.keys() - leaving) + len(self.held)
        others = sum(size for one, size in self.charged.items() if one not in leaving)
        return places < self.policy.capacity and (not others or others + nbytes <= self.policy.max_bytes)

    def ready_of(self, client: Client) -> list[Ticket]:
        """In the order in which they must run."""
        ready = [t for t in self.tickets.values() if t.id in self.ready and t.terms.client.key == client.key]
        return sorted(ready, key=lambda one: (-one.terms.priority, one.id))

    @rule(
        target=waiting,
        patience=st.one_of(st.just(math.inf), st.integers(0, 10)),
        client=clients,
        priority=st.integers(-1, 1),
        nbytes=st.sampled_from([0, 1, 4, 12]),
        on_full=st.sampled_from([OnFull.REJECT, OnFull.WAIT, OnFull.DROP_OLDEST, OnFull.LATEST]),
    )
    def admit(self, patience: float, client: Client, priority: int, nbytes: int, on_full: OnFull) -> object:
        new = ticket(self.next_id, self.now + patience, client, priority, nbytes)
        self.next_id += 1
        everybody = (*self.tickets.values(), *self.without_place.values())
        own = {t.id for t in everybody if t.terms.client.key == client.key}
        fits = self.fits(nbytes) and not self.without_place
        answer, dropped = self.policy.admit(new, on_full)
        assert len(set(dropped)) == len(dropped)
        if on_full is OnFull.LATEST:
            fits = self.fits(nbytes, own) and (bool(own) or not self.without_place)
            assert set(dropped) == (own if fits else set())
        elif on_full is OnFull.DROP_OLDEST and not self.fits(nbytes):
            fits = self.fits(nbytes, set(self.tickets))
            assert set(dropped) <= self.tickets.keys()
            assert not fits or (self.fits(nbytes, set(dropped)) and not self.fits(nbytes, set(dropped[:-1])))
        else:
            assert not dropped
        without = Admission.WAITING if on_full is OnFull.WAIT else Admission.REJECTED
        assert answer is (Admission.ADMITTED if fits else without)
        for ticket_id in dropped:
            self.forget(ticket_id)
        if answer is Admission.REJECTED:
            return multiple()
        (self.tickets if answer is Admission.ADMITTED else self.without_place)[new.id] = new
        if answer is Admission.ADMITTED:
            self.charged[new.id] = nbytes
        self.note_admitted()
        return new.id

    def note_admitted(self) -> None:
        for ticket_id in self.policy.take_admitted():
            key = self.without_place[ticket_id].terms.client.key
            first = min(
                (t for t in self.without_place.values() if t.terms.client.key == key),
                key=lambda one: (-one.terms.priority, one.id),
            )
            assert ticket_id == first.id, "a client's order is broken among those who wait for a place"
            assert self.fits(first.nbytes), "there is no place"
            self.tickets[ticket_id] = self.without_place.pop(ticket_id)
            self.charged[ticket_id] = first.nbytes

    @rule(ticket_id=waiting, size=st.integers(1, 2))
    def prepare(self, ticket_id: int, size: int) -> None:
        if ticket_id in self.ready:
            return
        self.policy.prepared(ticket_id, (size,), self.now)
        if ticket_id in self.tickets or ticket_id in self.without_place:
            self.ready[ticket_id] = (size,), self.now

    @rule(ticket_id=waiting, nbytes=st.integers(1, 3))
    def size_becomes_known(self, ticket_id: int, nbytes: int) -> None:
        if ticket_id in self.ready or not (ticket_id in self.tickets or ticket_id in self.without_place):
            return
        self.policy.prepared(ticket_id, (1,), self.now, nbytes)
        self.ready[ticket_id] = (1,), self.now
        if ticket_id in self.tickets:
            self.charged[ticket_id] = nbytes
        else:
            self.without_place[ticket_id] = self.without_place[ticket_id]._replace(nbytes=nbytes)
        self.note_admitted()

    @rule(ticket_id=waiting)
    def cancel(self, ticket_id: int) -> None:
        waits = ticket_id in self.tickets or ticket_id in self.without_place
        assert self.policy.cancel(ticket_id) == waits
        if waits:
            self.forget(ticket_id)
        self.note_admitted()

    @rule(seconds=st.integers(1, 5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: not self.WINDOW)
    @rule()
    def the_profile_for_many_is_compiled(self) -> None:
        if THROUGHPUT not in self.policy._profiles:
            self.policy.add_profile(THROUGHPUT, LaneOffer(2, batch=2))

    @rule(target=running)
    def act(self) -> object:
        action = self.policy.next_action(self.now)
        here = (*self.tickets.values(), *self.without_place.values())
        late = {one.id for one in here if one.terms.deadline <= self.now}
        if isinstance(action, Expire):
            assert set(action.tickets) == late
            for ticket_id in action.tickets:
                self.forget(ticket_id)
            self.note_admitted()
            return multiple()
        assert not late, "something is late, and nobody was told"
        if isinstance(action, SleepUntil):
            self.check_wait(action, min((one.terms.deadline for one in here), default=math.inf))
            return multiple()
        return self.begin(action)

    def check_wait(self, wait: SleepUntil, deadline: float) -> None:
        assert wait.until == deadline

    def begin(self, run: Run) -> Run:
        assert (run.profile, run.lane) not in self.busy, "two runs on one lane"
        assert len(run.tickets) <= (2 if run.profile is THROUGHPUT else self.FIRST.batch)
        self.busy[run.profile, run.lane] = run
        assert set(run.tickets) <= self.ready.keys() & self.tickets.keys(), "it is not prepared, or is gone"
        assert len({self.ready[ticket_id][0] for ticket_id in run.tickets}) == 1, "a batch of several shapes"
        self.check_turn(run)
        for ticket_id in run.tickets:
            shape, _ = self.ready[ticket_id]
            own = self.ready_of(self.tickets[ticket_id].terms.client)
            assert ticket_id == next(one.id for one in own if self.ready[one.id][0] == shape), (
                "a client's order is broken"
            )
            assert own[0].terms.priority == self.tickets[ticket_id].terms.priority, (
                "one of a higher priority is overtaken"
            )
            self.end(ticket_id)
        self.note_admitted()
        return run

    def check_turn(self, run: Run) -> None:
        first = self.tickets[run.tickets[0]]
        assert self.ready_of(first.terms.client)[0].id == first.id, "a client's order is broken"
        for client in (Client("a"), Client("b", 2), Client("c")):
            waits = client.key != first.terms.client.key and bool(self.ready_of(client))
            self.passed_over[client.key] = self.passed_over.get(client.key, 0) + 1 if waits else 0
            assert self.passed_over[client.key] <= self.WEIGHTS, "a client waits for more than everybody's turn"

    @rule(run=consumes(running), held=st.integers(0, 2))
    def finish(self, run: Run, held: int) -> None:
        keep = run.tickets[:held]
        self.policy.finished(run, set(keep))
        self.held += keep
        for ticket_id in run.tickets[held:]:
            del self.charged[ticket_id]
        del self.busy[run.profile, run.lane]
        self.note_admitted()

    @precondition(lambda self: self.held)
    @rule()
    def deliver(self) -> None:
        ticket_id = self.held.pop()
        self.policy.delivered(ticket_id)
        del self.charged[ticket_id]
        self.note_admitted()

    @invariant()
    def it_counts_right(self) -> None:
        assert self.policy.waiting == len(self.tickets)
        assert self.policy.waiting <= self.policy.capacity
        assert self.policy.waiting_for_place == len(self.without_place)
        assert self.policy.held == len(self.held)
        assert self.policy.running == sum(len(run.tickets) for run in self.busy.values())
        assert self.policy.charged_bytes == sum(self.charged.values())


class WindowMachine(PolicyMachine):
    """The same with batches that wait for company: only while a lane is idle, and never longer than the window."""

    WINDOW = 3
    FIRST = LaneOffer(2, batch=3, max_wait_s=WINDOW)

    def due(self) -> float:
        return (
            min((since for one, (_, since) in self.ready.items() if one in self.tickets), default=math.inf)
            + self.WINDOW
        )

    def has_full_batch(self) -> bool:
        # Those that a more urgent one of their client with another shape keeps back do not count.
        sizes: Counter[tuple[int, ...]] = Counter()
        for one in self.tickets.values():
            if one.id in self.ready:
                own = self.ready_of(one.terms.client)
                others = [other for other in own if self.ready[other.id][0] != self.ready[one.id][0]]
                floor = max((other.terms.priority for other in others), default=-math.inf)
                sizes[self.ready[one.id][0]] += one.terms.priority >= floor
        return any(size >= self.FIRST.batch for size in sizes.values())

    def check_wait(self, wait: SleepUntil, deadline: float) -> None:
        idle = len(self.busy) < self.FIRST.count
        assert not (idle and self.has_full_batch()), "a whole batch waits beside an idle lane"
        # A ticket that was prepared while it waited for a place may count from its place on: never from later.
        assert wait.until == (min(deadline, self.due()) if idle else deadline) or (idle and wait.until <= deadline)
        assert not idle or wait.until > self.now, "something is due"

    def check_turn(self, run: Run) -> None:
        assert self.due() <= self.now or len(run.tickets) == self.FIRST.batch, "a batch that is not full ran too early"


TestPolicyMachine = PolicyMachine.TestCase
TestPolicyMachine.settings = settings(max_examples=examples(50), stateful_step_count=40, deadline=None)
TestWindowMachine = WindowMachine.TestCase
TestWindowMachine.settings = settings(max_examples=examples(50), stateful_step_count=40, deadline=None)


def window(batch: int = 3, lanes: int = 1) -> Policy:
    return Policy(16, {"batches": LaneOffer(lanes, batch, max_wait_s=5)})


def ready_at(policy: Policy, now: float, *ids: int, shape: tuple[int, ...] = ()) -> None:
    for ticket_id in ids:
        policy.admit(ticket(ticket_id, client=Client(ticket_id)))
        policy.prepared(ticket_id, shape, now)


def test_the_window_counts_from_the_first_ready_request() -> None:
    policy = window()
    ready_at(policy, 10, 1)
    ready_at(policy, 14, 2)
    assert policy.next_action(14) == SleepUntil(15)
    assert policy.next_action(15) == Run("batches", 0, (1, 2))


def test_a_full_batch_does_not_wait() -> None:
    policy = window()
    ready_at(policy, 10, 1, 2, 3, 4)
    assert policy.next_action(10) == Run("batches", 0, (1, 2, 3))


def test_a_window_that_passed_while_all_lanes_were_busy_is_over() -> None:
    policy = window()
    ready_at(policy, 0, 1, 2, 3)
    run = policy.next_action(0)
    assert isinstance(run, Run)
    ready_at(policy, 1, 4)
    assert policy.next_action(4) == SleepUntil(math.inf), "all lanes are busy: nothing to wake up for"
    policy.finished(run)
    assert policy.next_action(8) == Run("batches", 0, (4,))


def test_a_full_batch_of_another_shape_goes_first_until_something_is_due() -> None:
    policy = window(lanes=3)
    ready_at(policy, 0, 1, shape=(1,))
    ready_at(policy, 1, 2, 3, 4, 5, 6, 7, shape=(2,))
    assert policy.next_action(1) == Run("batches", 0, (2, 3, 4))
    assert policy.next_action(5) == Run("batches", 1, (1,)), "it is due, and its turn"
    assert policy.next_action(5) == Run("batches", 2, (5, 6, 7))


def test_a_batch_is_full_only_with_those_that_may_run_in_it() -> None:
    """Seen to fail: of three that were ready one was less urgent than another shape, and two ran too early."""
    policy = window(lanes=2)
    for ticket_id, priority, shape in ((0, 0, (2,)), (1, 0, (1,)), (2, -1, (1,)), (3, 0, (1,))):
        policy.admit(ticket(ticket_id, priority=priority))
        policy.prepared(ticket_id, shape, 0)
    assert policy.next_action(0) == SleepUntil(5)
    for ticket_id in (4, 5, 6):  # of a client that has nothing else
        policy.admit(ticket(ticket_id, client=Client("other")))
        policy.prepared(ticket_id, (3,), 1)
    assert policy.next_action(1) == Run("batches", 0, (4, 5, 6))
    assert policy.next_action(5) == Run("batches", 1, (0,))


def test_a_deadline_ends_the_wait_for_company() -> None:
    policy = window()
    policy.admit(ticket(1, deadline=12))
    policy.prepared(1, (), 10)
    assert policy.next_action(10) == SleepUntil(12)
    assert policy.next_action(12) == Expire((1,))


def bounded(max_bytes: int = 10) -> Policy:
    return Policy(8, {LATENCY: LaneOffer(1)}, max_bytes=max_bytes)


def test_pictures_wait_within_the_bound_of_bytes() -> None:
    policy = bounded()
    assert policy.admit(ticket(1, nbytes=6)) == ADMITTED
    assert policy.admit(ticket(2, nbytes=6)) == REJECTED
    assert policy.admit(ticket(3, nbytes=6), OnFull.WAIT) == WAITING
    assert policy.admit(ticket(4, nbytes=1), OnFull.WAIT) == WAITING, "a small one does not overtake"
    policy.cancel(1)
    assert policy.take_admitted() == [3, 4]
    assert policy.charged_bytes == 7


def test_a_picture_larger_than_the_bound_is_alone() -> None:
    policy = bounded()
    assert policy.admit(ticket(1, nbytes=50)) == ADMITTED
    assert policy.admit(ticket(2, nbytes=1)) == REJECTED
    policy.prepared(1)
    run = policy.next_action(0)
    assert isinstance(run, Run)
    assert policy.admit(ticket(3, nbytes=1)) == REJECTED, "it runs, and its picture is still there"
    policy.finished(run, {1})
    assert policy.admit(ticket(4, nbytes=1)) == REJECTED, "nobody has fetched its result"
    policy.delivered(1)
    assert policy.admit(ticket(5, nbytes=50)) == ADMITTED


def test_as_many_leave_as_a_large_picture_needs_and_none_in_vain() -> None:
    policy = bounded()
    for ticket_id in (1, 2, 3):
        policy.admit(ticket(ticket_id, nbytes=3))
    assert policy.admit(ticket(4, nbytes=5), OnFull.DROP_OLDEST) == (Admission.ADMITTED, (1, 2))
    policy.prepared(3)
    assert isinstance(policy.next_action(0), Run)
    assert policy.admit(ticket(5, nbytes=8), OnFull.DROP_OLDEST) == REJECTED, "what runs can not leave"
    assert policy.waiting == 1


def test_the_size_that_was_found_counts_and_not_the_one_that_was_announced() -> None:
    policy = bounded()
    policy.admit(ticket(1, nbytes=9))
    policy.admit(ticket(2, nbytes=2), OnFull.WAIT)
    policy.admit(ticket(3, nbytes=9), OnFull.WAIT)
    policy.prepared(1, nbytes=3)
    assert (policy.take_admitted(), policy.charged_bytes) == ([2], 5), "a smaller picture leaves room"
    policy.prepared(2, nbytes=4)
    assert (policy.take_admitted(), policy.charged_bytes) == ([], 7)
    policy.prepared(3, nbytes=2)
    assert (policy.take_admitted(), policy.charged_bytes) == ([3], 9)


def test_turning_away_and_draining_forget_the_bytes() -> None:
    policy = bounded()
    policy.admit(ticket(1, nbytes=9))
    policy.admit(ticket(2, nbytes=9), OnFull.WAIT)
    assert policy.drain() == (2, 1)
    assert policy.charged_bytes == 0


def test_lanes_that_are_not_to_be_used_get_nothing_and_come_back() -> None:
    policy = Policy(9, {LATENCY: LaneOffer(2)})
    for number in range(4):
        policy.admit(ticket(number))
        policy.prepared(number)
    first = policy.next_action(0)
    assert isinstance(first, Run)
    assert policy.use_lanes(LATENCY, {1}) == {first.lane}
    second = policy.next_action(0)
    assert isinstance(second, Run)
    assert (first.lane, second.lane) == (0, 1)
    policy.finished(first)
    assert isinstance(policy.next_action(0), SleepUntil), "lane 0 has finished and takes no more"
    assert policy.use_lanes(LATENCY, {0, 1, 5}) == {1}
    lanes = []
    for _ in range(2):
        run = policy.next_action(0)
        assert isinstance(run, Run)
        lanes.append(run.lane)
    assert lanes == [0, 5]


def test_lanes_of_a_profile_that_was_never_added_are_not_known() -> None:
    policy = Policy(4, {LATENCY: LaneOffer(2)})
    assert [policy.has_profile(name) for name in (LATENCY, THROUGHPUT)] == [True, False]
    assert policy.usable_lanes(LATENCY) == {0, 1}
    policy.use_lanes(LATENCY, {1})
    assert policy.usable_lanes(LATENCY) == {1}


def test_a_clock_is_needed_for_deadlines_and_for_batches_that_wait_for_company() -> None:
    policy = Policy(4, {LATENCY: LaneOffer(1)})
    assert not policy.needs_a_clock
    policy.admit(ticket(1, deadline=5.0))
    assert policy.needs_a_clock
    assert Policy(4, {LATENCY: LaneOffer(1, batch=2, max_wait_s=0.1)}).needs_a_clock
