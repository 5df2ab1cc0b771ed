"""The rule of the queue, in integer time and without a thread."""

from __future__ import annotations

import math

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from yoloom.engine.policy import CALM, Expire, Policy, Run, Ticket, Wait
from yoloom.runtime.protocol import Form

LATENCY, THROUGHPUT = Form.LATENCY, Form.THROUGHPUT


def both_forms(capacity: int = 8) -> Policy:
    return Policy(capacity, {LATENCY: 1, THROUGHPUT: 2})


def admit_ready(policy: Policy, *ids: int, deadline: float = math.inf) -> None:
    for ticket_id in ids:
        assert policy.admit(Ticket(ticket_id, deadline))
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
    policy = Policy(8, {LATENCY: 1})
    admit_ready(policy, 1, 2)
    run = policy.next_action(0)
    assert run == Run(LATENCY, 0, (1,))
    assert policy.next_action(0) == Wait(math.inf)
    assert policy.crowded
    policy.add_form(THROUGHPUT, 2)
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
    assert not policy.admit(Ticket(3))
    policy.next_action(0)
    assert policy.admit(Ticket(3))


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
    policy = Policy(8, {LATENCY: 0})
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


class PolicyMachine(RuleBasedStateMachine):
    """Any order of events: each ticket ends once, lanes have one user, nothing late or cancelled runs."""

    waiting = Bundle("waiting")
    running = Bundle("running")

    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy(5, {LATENCY: 1})
        self.now = 0
        self.next_id = 0
        self.tickets: dict[int, Ticket] = {}
        self.prepared: set[int] = set()
        self.ended: set[int] = set()
        self.busy: set[tuple[Form, int]] = set()

    def end(self, ticket_id: int) -> None:
        assert ticket_id not in self.ended, "a ticket ended twice"
        self.ended.add(ticket_id)
        self.tickets.pop(ticket_id)

    @rule(target=waiting, patience=st.one_of(st.just(math.inf), st.integers(0, 10)))
    def admit(self, patience: float) -> object:
        ticket = Ticket(self.next_id, self.now + patience)
        self.next_id += 1
        room = len(self.tickets) < self.policy.capacity
        assert self.policy.admit(ticket) == room
        if not room:
            return multiple()
        self.tickets[ticket.id] = ticket
        return ticket.id

    @rule(ticket_id=waiting)
    def prepare(self, ticket_id: int) -> None:
        self.policy.prepared(ticket_id)
        if ticket_id in self.tickets:
            self.prepared.add(ticket_id)

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
            self.policy.add_form(THROUGHPUT, 2)

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
        self.busy.add((run.form, run.lane))
        (ticket_id,) = run.tickets
        assert ticket_id in self.prepared, "it runs before it is prepared, after it was cancelled, or twice"
        ready = [i for i in self.tickets if i in self.prepared]
        assert ticket_id == min(ready), "the order of admission is broken"
        self.end(ticket_id)
        return run

    @rule(run=consumes(running))
    def finish(self, run: Run) -> None:
        self.policy.finished(run)
        self.busy.remove((run.form, run.lane))

    @invariant()
    def it_counts_right(self) -> None:
        assert self.policy.waiting == len(self.tickets) <= self.policy.capacity
        assert self.policy.running == len(self.busy)


TestPolicyMachine = PolicyMachine.TestCase
TestPolicyMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
