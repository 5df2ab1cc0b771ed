"""The rule of the queue, in integer time and without a thread."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from yoloom.engine.policy import CALM, Admission, Expire, Lanes, Policy, Run, Ticket, Wait
from yoloom.engine.queue_policy import OnFull
from yoloom.engine.turns import Client
from yoloom.runtime.protocol import Form

LATENCY, THROUGHPUT = Form.LATENCY, Form.THROUGHPUT


def both_forms(capacity: int = 8) -> Policy:
    return Policy(capacity, {LATENCY: Lanes(1), THROUGHPUT: Lanes(2)})


def admit_ready(policy: Policy, *ids: int, deadline: float = math.inf) -> None:
    for ticket_id in ids:
        assert policy.admit(Ticket(ticket_id, deadline)).admitted
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
    assert not policy.admit(Ticket(3)).admitted
    policy.next_action(0)
    assert policy.admit(Ticket(3)).admitted


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
    assert policy.admit(Ticket(4, client=Client("few")), OnFull.DROP_OLDEST) == Admission(True, (2,))
    assert policy.waiting == 3


def test_drop_oldest_drops_nothing_while_there_is_room() -> None:
    policy = both_forms(capacity=3)
    policy.admit(Ticket(1))
    assert policy.admit(Ticket(2), OnFull.DROP_OLDEST) == Admission(True)


def test_latest_keeps_only_the_newest_of_its_client() -> None:
    policy = both_forms()
    policy.admit(Ticket(1, client=Client("camera")))
    policy.admit(Ticket(2, client=Client("other")))
    assert policy.admit(Ticket(3, client=Client("camera")), OnFull.LATEST) == Admission(True, (1,))
    policy.prepared(1)
    policy.prepared(3)
    policy.prepared(2)
    assert policy.next_action(0) == Run(THROUGHPUT, 0, (3,)), "what was dropped never runs"


def test_latest_is_refused_when_others_fill_the_queue() -> None:
    policy = both_forms(capacity=1)
    policy.admit(Ticket(1, client=Client("other")))
    assert policy.admit(Ticket(2, client=Client("camera")), OnFull.LATEST) == Admission(False)


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
        self.tickets: dict[int, Ticket] = {}
        self.shapes: dict[int, tuple[int, ...]] = {}
        self.ended: set[int] = set()
        self.busy: dict[tuple[Form, int], int] = {}
        self.passed_over: dict[object, int] = {}  # runs since a client with something ready was served

    def end(self, ticket_id: int) -> None:
        assert ticket_id not in self.ended, "a ticket ended twice"
        self.ended.add(ticket_id)
        del self.tickets[ticket_id]

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
        full = len(self.tickets) >= self.policy.capacity
        own = {t.id for t in self.tickets.values() if t.client.key == client.key}
        admission = self.policy.admit(ticket, on_full)
        if on_full is OnFull.LATEST:
            assert set(admission.dropped) == own
            assert admission.admitted == (bool(own) or not full)
        else:
            assert len(admission.dropped) == (full and on_full is OnFull.DROP_OLDEST)
            assert admission.admitted == (not full or on_full is OnFull.DROP_OLDEST)
        for ticket_id in admission.dropped:
            self.end(ticket_id)
        if not admission.admitted:
            return multiple()
        self.tickets[ticket.id] = ticket
        return ticket.id

    @rule(ticket_id=waiting, size=st.integers(1, 2))
    def prepare(self, ticket_id: int, size: int) -> None:
        if ticket_id in self.shapes:
            return
        self.policy.prepared(ticket_id, (size,))
        if ticket_id in self.tickets:
            self.shapes[ticket_id] = (size,)

    @rule(ticket_id=waiting)
    def cancel(self, ticket_id: int) -> None:
        waits = ticket_id in self.tickets
        assert self.policy.cancel(ticket_id) == waits
        if waits:
            self.end(ticket_id)

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
        late = {ticket.id for ticket in self.tickets.values() if ticket.deadline <= self.now}
        if isinstance(action, Expire):
            assert set(action.tickets) == late
            for ticket_id in action.tickets:
                self.end(ticket_id)
            return multiple()
        assert not late, "something is late, and nobody was told"
        if isinstance(action, Wait):
            deadlines = [ticket.deadline for ticket in self.tickets.values()]
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
        return run

    def count_turns(self, served: Client) -> None:
        for client in (Client("a"), Client("b", 2), Client("c")):
            waits = client.key != served.key and bool(self.ready_of(client))
            self.passed_over[client.key] = self.passed_over.get(client.key, 0) + 1 if waits else 0
            assert self.passed_over[client.key] <= self.WEIGHTS, "a client waits for more than everybody's turn"

    @rule(run=consumes(running))
    def finish(self, run: Run) -> None:
        self.policy.finished(run)
        del self.busy[run.form, run.lane]

    @invariant()
    def it_counts_right(self) -> None:
        assert self.policy.waiting == len(self.tickets) <= self.policy.capacity
        assert self.policy.running == sum(self.busy.values())


TestPolicyMachine = PolicyMachine.TestCase
TestPolicyMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
