"""Whose turn it is: weighted round robin, without a thread and without a clock."""

from __future__ import annotations

import math

from yoloom.engine.scheduling.fair_queue import MAX_LEFT, FairQueue
from yoloom.engine.scheduling.request_terms import Client

A, B, C = Client("a"), Client("b"), Client("c")


def turns(*requests: tuple[int, Client], priority: float = 0) -> FairQueue:
    made = FairQueue()
    for request_id, client in requests:
        made.add(request_id, client, priority)
        made.ready(request_id, ())
    return made


def served(made: FairQueue) -> list[int]:
    order = []
    while (taken := made.take()) is not None:
        order.append(taken[0])
    return order


def test_clients_take_turns_however_much_one_has_queued() -> None:
    assert served(turns((1, A), (2, A), (3, A), (4, B), (5, C), (6, B))) == [1, 4, 5, 2, 6, 3]


def test_a_weight_is_a_number_of_requests_in_a_row() -> None:
    heavy = Client("a", weight=2)
    assert served(turns((1, heavy), (2, heavy), (3, heavy), (4, B), (5, B))) == [1, 2, 4, 3, 5]


def test_a_client_that_comes_back_joins_at_the_end() -> None:
    made = turns((1, A), (2, B), (3, C))
    assert made.take() == (1, ())
    made.add(4, A, 0)
    made.ready(4, ())
    assert served(made) == [2, 3, 4]


def test_the_highest_priority_of_a_client_goes_first_and_equal_ones_in_order() -> None:
    made = FairQueue()
    for request_id, priority in ((1, 0), (2, 5), (3, 5), (4, -1)):
        made.add(request_id, A, priority)
        made.ready(request_id, ())
    assert served(made) == [2, 3, 1, 4]


def test_priority_does_not_take_another_clients_turn() -> None:
    made = turns((1, A), (2, A))
    made.add(3, B, 100)
    made.ready(3, ())
    assert served(made) == [1, 3, 2]


def test_what_is_not_ready_holds_up_nobody() -> None:
    made = FairQueue()
    made.add(1, A, 0)
    made.add(2, A, 0)
    made.ready(2, ())
    assert served(made) == [2]
    assert 1 in made.waiting
    made.ready(1, ())
    assert served(made) == [1]


def test_what_was_removed_is_skipped() -> None:
    made = turns((1, A), (2, B), (3, A))
    assert made.remove(1)
    assert not made.remove(1)
    assert served(made) == [3, 2]
    assert len(made.waiting) == 0


def test_company_has_the_same_shape_and_comes_in_turns() -> None:
    made = FairQueue()
    for request_id, client, shape in ((1, A, 1), (2, A, 1), (3, B, 2), (4, C, 1), (5, C, 1), (6, A, 1)):
        made.add(request_id, client, 0)
        made.ready(request_id, (shape,))
    assert made.take() == (1, (1,))
    assert made.take_matching((1,), 3) == [4, 2, 5], "B's next has another shape, C is before A's second"
    assert served(made) == [3, 6]


def test_a_batch_overtakes_a_request_of_another_shape_but_none_of_a_higher_priority() -> None:
    made = FairQueue()
    for request_id, shape, priority in ((1, 1, 0), (2, 2, 0), (3, 1, 0), (4, 1, -1), (5, 1, 3)):
        made.add(request_id, A, priority)
        made.ready(request_id, (shape,))
    assert made.take() == (5, (1,))
    assert made.take_matching((1,), 8) == [1, 3], "4 is less urgent than 2, which has another shape"
    assert served(made) == [2, 4]


def test_a_whole_batch_of_any_shape_and_the_longest_wait() -> None:
    made = FairQueue()
    for request_id, shape in ((1, 1), (2, 2), (3, 2)):
        made.add(request_id, A, 0)
        made.ready(request_id, (shape,), now=10 + request_id)
    assert made.take_full_batch(3) == []
    assert made.ready_since() == 11
    made.remove(1)
    assert made.ready_since() == 12
    made.clear()
    assert (made.take_full_batch(1), made.ready_since()) == ([], math.inf)


def test_clear_takes_everything() -> None:
    made = turns((1, A), (2, B))
    made.add(3, C, 0)
    assert made.clear() == (1, 2, 3)
    assert made.take() is None


def test_the_longest_line_and_its_oldest() -> None:
    made = turns((1, A), (2, B), (3, B))
    assert made.oldest_of_busiest() == 2
    assert made.oldest_of_busiest([2]) == 1, "both clients have one left, and 1 has waited longer"
    assert made.oldest_of_busiest([2, 1, 3]) is None
    made.add(4, B, -1)
    assert made.oldest_of_busiest() == 4, "the lowest priority goes before the oldest"
    assert made.of("b") == (2, 3, 4)
    assert made.of("nobody") == ()


def test_a_client_that_replaces_its_request_keeps_its_place() -> None:
    made = turns((1, A), (2, A), (3, B), (4, B), (100, C))
    order = []
    for newer in range(101, 110):
        made.add(newer, C, 0)
        made.remove(newer - 1)
        made.ready(newer, ())
        taken = made.take()
        assert taken is not None
        order.append(taken[0])
        if taken[0] == newer:
            break
    assert order == [1, 3, 103]


def test_a_client_with_nothing_ready_is_passed_over_and_keeps_its_turn() -> None:
    made = turns((1, A), (2, B), (3, A))
    made.add(4, B, 0)
    assert [made.take(), made.take(), made.take()] == [(1, ()), (2, ()), (3, ())]
    assert made.take() is None
    made.ready(4, ())
    assert made.take() == (4, ())


def test_clients_that_come_and_cancel_leave_nothing_behind_while_nobody_is_served() -> None:
    """Seen to pile up, when a client leaves the order only in its turn."""
    made = turns((1, A))
    for request_id in range(2, 5000):
        made.add(request_id, Client(request_id), 0)
        made.ready(request_id, ())
        assert made.remove(request_id)
    assert len(made._order) <= MAX_LEFT + 2
    assert served(made) == [1]
