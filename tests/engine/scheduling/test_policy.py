"""The rule of the queue, in integer time and without a thread."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from yoloom.engine.scheduling.fair_queue import Client
from yoloom.engine.scheduling.policy import CALM, Admission, Expire, Lanes, Place, Policy, Run, Ticket, Wait
from yoloom.engine.scheduling.queue_policy import OnFull
from yoloom.runtime.protocol import Form

LATENCY, THROUGHPUT = Form.LATENCY, Form.THROUGHPUT


def both_forms(capacity: int = 8) -> Policy:
    return Policy(capacity, {LATENCY: Lanes(1), THROUGHPUT: Lanes(2)})


def admit_ready(policy: Policy, *ids: int, deadline: float = math.inf) -> None:
    for ticket_id in ids:
        assert policy.admit(Ticket(ticket_id, deadline)).place is Place.TAKEN
        policy.prepared(ticket_id)


def serve_alone(policy: Policy, first: int, times: int) -> list[Form]:
    """Requests one after the other, each finished before the next comes."""
    forms = []
    for ticket_id in range(first, first + times):
        admit_ready(policy, ticket_id)
        run = policy.next_action(0)
        assert isinstance(run, Run)
        forms.append(run.form)
        policy.finished(run)
    return forms


def test_nothing_to_do_waits_for_ever() -> None:
    assert both_forms().next_action(0) == Wait(math.inf)


def test_a_single_request_runs_in_the_latency_form() -> None:
    policy = both_forms()
    admit_ready(policy, 1)
    assert policy.next_action(0) == Run(LATENCY, 0, (1,))


def test_a_ticket_runs_only_once_its_image_is_prepared() -> None:
    policy = both_forms()
    policy.admit(Ticket(1))
    assert policy.next_action(0) == Wait(math.inf)
    policy.prepared(1)
    assert policy.next_action(0) == Run(LATENCY, 0, (1,))


def test_tickets_run_in_order_of_admission_among_those_prepared() -> None:
    policy = both_forms()
    for ticket_id in (1, 2, 3):
        policy.admit(Ticket(ticket_id))
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
    assert policy.next_action(0) == Wait(math.inf)
    assert isinstance(first, Run)
    assert isinstance(second, Run)
    policy.finished(second)
    assert policy.next_action(0) == Run(THROUGHPUT, second.lane, (3,))


def test_before_the_throughput_form_is_ready_the_latency_form_serves_all() -> None:
    policy = Policy(8, {LATENCY: Lanes(1)})
    admit_ready(policy, 1, 2)
    run = policy.next_action(0)
    assert run == Run(LATENCY, 0, (1,))
    assert policy.next_action(0) == Wait(math.inf)
    assert policy.crowded
    policy.add_form(THROUGHPUT, Lanes(2))
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (2,))


def test_one_caller_gets_the_latency_form_back_after_a_crowd() -> None:
    policy = both_forms()
    admit_ready(policy, 1, 2)
    runs = [policy.next_action(0), policy.next_action(0)]
    for run in runs:
        assert isinstance(run, Run)
        policy.finished(run)
    assert serve_alone(policy, 10, CALM + 1) == [THROUGHPUT] * (CALM - 1) + [LATENCY] * 2


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
    assert policy.admit(Ticket(3)).place is Place.REFUSED
    policy.next_action(0)
    assert policy.admit(Ticket(3)).place is Place.TAKEN


def test_an_expired_ticket_is_never_executed() -> None:
    policy = both_forms()
    admit_ready(policy, 1, deadline=5)
    assert policy.next_action(5) == Expire((1,))
    assert policy.next_action(5) == Wait(math.inf)


def test_a_ticket_expires_while_it_is_prepared() -> None:
    policy = both_forms()
    policy.admit(Ticket(1, deadline=5))
    assert policy.next_action(4) == Wait(5)
    assert policy.next_action(6) == Expire((1,))
    policy.prepared(1)
    assert policy.next_action(6) == Wait(math.inf)


def test_the_wait_ends_at_the_first_deadline_that_still_matters() -> None:
    policy = Policy(8, {LATENCY: Lanes(0)})
    policy.admit(Ticket(1, deadline=5))
    policy.admit(Ticket(2, deadline=7))
    assert policy.next_action(0) == Wait(5)
    policy.cancel(1)
    assert policy.next_action(0) == Wait(7)


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
    policy.admit(Ticket(3))
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
    policy.admit(Ticket(1, client=Client("few")))
    policy.admit(Ticket(2, client=Client("many")))
    policy.admit(Ticket(3, client=Client("many")))
    assert policy.admit(Ticket(4, client=Client("few")), OnFull.DROP_OLDEST) == Admission(Place.TAKEN, (2,))
    assert policy.waiting == 3


def test_drop_oldest_drops_nothing_while_there_is_room() -> None:
    policy = both_forms(capacity=3)
    policy.admit(Ticket(1))
    assert policy.admit(Ticket(2), OnFull.DROP_OLDEST) == Admission(Place.TAKEN)


def test_latest_keeps_only_the_newest_of_its_client() -> None:
    policy = both_forms()
    policy.admit(Ticket(1, client=Client("camera")))
    policy.admit(Ticket(2, client=Client("other")))
    assert policy.admit(Ticket(3, client=Client("camera")), OnFull.LATEST) == Admission(Place.TAKEN, (1,))
    policy.prepared(1)
    policy.prepared(3)
    policy.prepared(2)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (3,)), "what was dropped never runs"


def test_latest_is_refused_when_others_fill_the_queue() -> None:
    policy = both_forms(capacity=1)
    policy.admit(Ticket(1, client=Client("other")))
    assert policy.admit(Ticket(2, client=Client("camera")), OnFull.LATEST) == Admission(Place.REFUSED)


def test_a_flood_keeps_nobody_waiting_for_more_than_a_turn() -> None:
    policy = both_forms(capacity=2000)
    for ticket_id in range(1000):
        policy.admit(Ticket(ticket_id, client=Client("flood")))
        policy.prepared(ticket_id)
    policy.admit(Ticket(5000, client=Client("one")))
    policy.prepared(5000)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (0,))
    assert policy.next_action(0) == Run(THROUGHPUT, 1, (5000,))


def test_a_batch_has_equal_shapes_and_is_never_larger_than_its_form_takes() -> None:
    policy = Policy(16, {LATENCY: Lanes(1), THROUGHPUT: Lanes(1, batch=3)})
    for ticket_id, shape in ((1, (64, 64)), (2, (64, 32)), (3, (64, 64)), (4, (64, 64)), (5, (64, 64))):
        policy.admit(Ticket(ticket_id, client=Client(ticket_id)))
        policy.prepared(ticket_id, shape)
    first = policy.next_action(0)
    assert first == Run(THROUGHPUT, 0, (1, 3, 4))
    assert policy.running == 3
    assert policy.next_action(0) == Wait(math.inf), "one lane, one run"
    policy.finished(first)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (2,))


def test_a_batch_does_not_wait_for_company() -> None:
    policy = Policy(16, {LATENCY: Lanes(1, batch=8)})
    admit_ready(policy, 1)
    assert policy.next_action(0) == Run(LATENCY, 0, (1,))


def test_a_client_that_replaces_its_request_again_and_again_is_served_in_its_turn() -> None:
    """Seen to be served never, when those that make room leave before the new one joins."""
    policy = both_forms(capacity=1000)
    for ticket_id in range(300):
        policy.admit(Ticket(ticket_id, client=Client(ticket_id % 3)))
        policy.prepared(ticket_id)
    served = []
    for newest in range(1000, 1020):
        policy.admit(Ticket(newest, client=Client("camera")), OnFull.LATEST)
        policy.prepared(newest)
        run = policy.next_action(0)
        assert isinstance(run, Run)
        policy.finished(run)
        served += run.tickets
    assert sum(ticket_id >= 1000 for ticket_id in served) == 5, "one in four is the camera's"


def full(capacity: int = 2) -> Policy:
    """All places are taken, by tickets 1, 2, ... of one client; one lane."""
    policy = Policy(capacity, {LATENCY: Lanes(1)})
    for ticket_id in range(1, capacity + 1):
        policy.admit(Ticket(ticket_id, client=Client("flood")))
        policy.prepared(ticket_id)
    return policy


def test_who_waits_for_a_place_gets_the_first_that_is_free() -> None:
    policy = full()
    assert policy.admit(Ticket(3), OnFull.WAIT) == Admission(Place.APPLIED)
    assert (policy.waiting, policy.applying, policy.take_placed()) == (2, 1, [])
    policy.next_action(0)
    assert (policy.waiting, policy.applying, policy.take_placed()) == (2, 0, [3])
    assert policy.take_placed() == []


def test_clients_take_turns_for_places_too() -> None:
    """Seen to come last with a single line for all who wait for a place."""
    policy = full(capacity=1)
    for ticket_id in range(10, 20):
        policy.admit(Ticket(ticket_id, client=Client("flood")), OnFull.WAIT)
    policy.admit(Ticket(50, client=Client("other")), OnFull.WAIT)
    placed = []
    for _ in range(3):
        run = policy.next_action(0)
        assert isinstance(run, Run)
        policy.finished(run)
        (ticket_id,) = policy.take_placed()
        policy.prepared(ticket_id)
        placed.append(ticket_id)
    assert placed == [10, 50, 11]


def test_an_image_that_is_prepared_early_is_ready_with_its_place() -> None:
    policy = full(capacity=1)
    policy.admit(Ticket(2, client=Client("other")), OnFull.WAIT)
    policy.prepared(2, (64, 32))
    run = policy.next_action(0)
    assert isinstance(run, Run)
    policy.finished(run)
    assert policy.next_action(0) == Run(LATENCY, 0, (2,))


def test_who_waits_for_a_place_can_leave_and_can_be_too_late() -> None:
    policy = full()
    policy.admit(Ticket(3), OnFull.WAIT)
    policy.admit(Ticket(4, deadline=5), OnFull.WAIT)
    assert policy.cancel(3)
    assert not policy.cancel(3)
    assert policy.next_action(5) == Expire((4,))
    policy.prepared(4)
    assert (policy.waiting, policy.applying) == (2, 0)


def test_who_waits_for_a_place_is_turned_away_and_those_that_have_one_stay() -> None:
    policy = full()
    policy.admit(Ticket(3), OnFull.WAIT)
    assert policy.turn_away() == (3,)
    assert policy.drain() == (1, 2)


def test_latest_replaces_what_waits_for_a_place_as_well() -> None:
    policy = full()
    policy.cancel(2)
    policy.admit(Ticket(3, client=Client("camera")))
    policy.admit(Ticket(4, client=Client("camera")), OnFull.WAIT)
    assert policy.admit(Ticket(5, client=Client("camera")), OnFull.LATEST) == Admission(Place.TAKEN, (3, 4))
    assert (policy.waiting, policy.applying) == (2, 0)


def test_what_is_not_delivered_keeps_its_place() -> None:
    """Seen to pile up without a bound, when results that nobody fetches are in no count."""
    policy = full(capacity=1)
    run = policy.next_action(0)
    assert isinstance(run, Run)
    policy.finished(run, held=1)
    assert policy.held == 1
    assert policy.admit(Ticket(2), OnFull.REJECT) == Admission(Place.REFUSED)
    assert policy.admit(Ticket(3), OnFull.DROP_OLDEST) == Admission(Place.REFUSED), "there is nothing to drop"
    assert policy.admit(Ticket(4), OnFull.WAIT) == Admission(Place.APPLIED)
    policy.delivered()
    assert policy.take_placed() == [4]


class PolicyMachine(RuleBasedStateMachine):
    """Any order of events: each ticket ends once, lanes have one user, nothing late, cancelled or dropped runs.

    Clients: those with something ready are served within the sum of all weights; the order of each is kept.
    """

    waiting = Bundle("waiting")
    running = Bundle("running")
    clients = st.sampled_from([Client("a"), Client("b", 2), Client("c")])
    WEIGHTS = 4

    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy(5, {LATENCY: Lanes(1)})
        self.now = 0
        self.next_id = 0
        self.tickets: dict[int, Ticket] = {}  # with a place
        self.applying: dict[int, Ticket] = {}
        self.held = 0
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.ended: set[int] = set()
        self.busy: dict[tuple[Form, int], int] = {}
        self.passed_over: dict[object, int] = {}  # runs since a client with something ready was served

    def end(self, ticket_id: int) -> None:
        assert ticket_id not in self.ended, "a ticket ended twice"
        self.ended.add(ticket_id)
        del (self.tickets if ticket_id in self.tickets else self.applying)[ticket_id]

    def has_place(self) -> bool:
        return len(self.tickets) + self.held < self.policy.capacity

    def ready_of(self, client: Client) -> list[Ticket]:
        """In the order in which they must run."""
        ready = [t for t in self.tickets.values() if t.id in self.shapes and t.client.key == client.key]
        return sorted(ready, key=lambda ticket: (-ticket.priority, ticket.id))

    @rule(
        target=waiting,
        patience=st.one_of(st.just(math.inf), st.integers(0, 10)),
        client=clients,
        priority=st.integers(-1, 1),
        on_full=st.sampled_from([OnFull.REJECT, OnFull.WAIT, OnFull.DROP_OLDEST, OnFull.LATEST]),
    )
    def admit(self, patience: float, client: Client, priority: int, on_full: OnFull) -> object:
        ticket = Ticket(self.next_id, self.now + patience, client, priority)
        self.next_id += 1
        full = not self.has_place()
        own = {t.id for t in (*self.tickets.values(), *self.applying.values()) if t.client.key == client.key}
        makes_room = any(ticket_id in self.tickets for ticket_id in own)
        admission = self.policy.admit(ticket, on_full)
        if on_full is OnFull.LATEST:
            assert admission.place is (Place.TAKEN if makes_room or not full else Place.REFUSED)
            assert set(admission.dropped) == (own if admission.place is Place.TAKEN else set())
        elif on_full is OnFull.DROP_OLDEST:
            assert admission.place is (Place.TAKEN if self.tickets or not full else Place.REFUSED)
            assert len(admission.dropped) == (full and admission.place is Place.TAKEN)
        else:
            without = Place.APPLIED if on_full is OnFull.WAIT else Place.REFUSED
            assert admission == Admission(without if full else Place.TAKEN)
        for ticket_id in admission.dropped:
            self.end(ticket_id)
        if admission.place is Place.REFUSED:
            return multiple()
        (self.tickets if admission.place is Place.TAKEN else self.applying)[ticket.id] = ticket
        self.note_placed()
        return ticket.id

    def note_placed(self) -> None:
        for ticket_id in self.policy.take_placed():
            first = min(
                (t for t in self.applying.values() if t.client.key == self.applying[ticket_id].client.key),
                key=lambda ticket: (-ticket.priority, ticket.id),
            )
            assert ticket_id == first.id, "a client's order is broken among those who wait for a place"
            self.tickets[ticket_id] = self.applying.pop(ticket_id)

    @rule(ticket_id=waiting, size=st.integers(1, 2))
    def prepare(self, ticket_id: int, size: int) -> None:
        if ticket_id in self.shapes:
            return
        self.policy.prepared(ticket_id, (size,))
        if ticket_id in self.tickets or ticket_id in self.applying:
            self.shapes[ticket_id] = (size,)

    @rule(ticket_id=waiting)
    def cancel(self, ticket_id: int) -> None:
        waits = ticket_id in self.tickets or ticket_id in self.applying
        assert self.policy.cancel(ticket_id) == waits
        if waits:
            self.end(ticket_id)
        self.note_placed()

    @rule(seconds=st.integers(1, 5))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def throughput_form_is_compiled(self) -> None:
        if THROUGHPUT not in self.policy._idle:
            self.policy.add_form(THROUGHPUT, Lanes(2, batch=2))

    @rule(target=running)
    def act(self) -> object:
        action = self.policy.next_action(self.now)
        here = (*self.tickets.values(), *self.applying.values())
        late = {ticket.id for ticket in here if ticket.deadline <= self.now}
        if isinstance(action, Expire):
            assert set(action.tickets) == late
            for ticket_id in action.tickets:
                self.end(ticket_id)
            self.note_placed()
            return multiple()
        assert not late, "something is late, and nobody was told"
        if isinstance(action, Wait):
            deadlines = [ticket.deadline for ticket in here]
            assert action.until == min(deadlines, default=math.inf)
            return multiple()
        return self.begin(action)

    def begin(self, run: Run) -> Run:
        assert (run.form, run.lane) not in self.busy, "two runs on one lane"
        assert len(run.tickets) <= (2 if run.form is THROUGHPUT else 1)
        self.busy[run.form, run.lane] = len(run.tickets)
        assert set(run.tickets) <= self.shapes.keys() & self.tickets.keys(), "it is not prepared, or is gone"
        assert len({self.shapes[ticket_id] for ticket_id in run.tickets}) == 1, "a batch of several shapes"
        self.count_turns(self.tickets[run.tickets[0]].client)
        for ticket_id in run.tickets:
            assert ticket_id == self.ready_of(self.tickets[ticket_id].client)[0].id, "a client's order is broken"
            self.end(ticket_id)
        self.note_placed()
        return run

    def count_turns(self, served: Client) -> None:
        for client in (Client("a"), Client("b", 2), Client("c")):
            waits = client.key != served.key and bool(self.ready_of(client))
            self.passed_over[client.key] = self.passed_over.get(client.key, 0) + 1 if waits else 0
            assert self.passed_over[client.key] <= self.WEIGHTS, "a client waits for more than everybody's turn"

    @rule(run=consumes(running), held=st.integers(0, 2))
    def finish(self, run: Run, held: int) -> None:
        held = min(held, len(run.tickets))
        self.policy.finished(run, held)
        self.held += held
        del self.busy[run.form, run.lane]

    @precondition(lambda self: self.held > 0)
    @rule()
    def deliver(self) -> None:
        self.policy.delivered()
        self.held -= 1
        self.note_placed()

    @invariant()
    def it_counts_right(self) -> None:
        assert self.policy.waiting == len(self.tickets) <= self.policy.capacity
        assert self.policy.applying == len(self.applying)
        assert self.policy.held == self.held
        assert not (self.applying and self.has_place()), "a place is free beside one who waits for it"
        assert self.policy.running == sum(self.busy.values())


TestPolicyMachine = PolicyMachine.TestCase
TestPolicyMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_lanes_that_are_not_to_be_used_get_nothing_and_come_back() -> None:
    policy = Policy(9, {Form.LATENCY: Lanes(2)})
    for number in range(4):
        policy.admit(Ticket(number))
        policy.prepared(number)
    first = policy.next_action(0)
    assert isinstance(first, Run)
    assert policy.use_lanes(Form.LATENCY, {1}) == {first.lane}
    second = policy.next_action(0)
    assert isinstance(second, Run)
    assert (first.lane, second.lane) == (0, 1)
    policy.finished(first)
    assert isinstance(policy.next_action(0), Wait), "lane 0 has finished and takes no more"
    assert policy.use_lanes(Form.LATENCY, {0, 1, 5}) == {1}
    lanes = []
    for _ in range(2):
        run = policy.next_action(0)
        assert isinstance(run, Run)
        lanes.append(run.lane)
    assert lanes == [0, 5]
