"""When a worker is started, ended and replaced: a machine with integers for time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloom.workers.ipc.shared_memory import MEMORY, SMALLEST, STEP, SlotSize
from yoloom.workers.lifecycle import (
    GIVE_UP_S,
    LEAVE_S,
    START_LIMIT_S,
    START_SILENCE,
    Budget,
    Kill,
    Phase,
    Start,
    Wait,
    WorkerLifecycle,
)


def ready_lifecycle(budget: Budget | None = None) -> WorkerLifecycle:
    lifecycle = WorkerLifecycle(budget or Budget(5, 60), silence_s=5, run_limit_s=100)
    assert lifecycle.next_step(0) == Start()
    lifecycle.started(0)
    lifecycle.ready(1)
    return lifecycle


def test_a_worker_starts_and_becomes_ready() -> None:
    lifecycle = ready_lifecycle()
    assert lifecycle.phase is Phase.READY
    assert lifecycle.next_step(1) == Wait(6)


def test_signs_of_life_put_the_end_off() -> None:
    lifecycle = ready_lifecycle()
    for now in range(1, 50, 4):
        lifecycle.seen(now, math.inf, now)
        assert lifecycle.next_step(now) == Wait(now + 5)
    assert isinstance(lifecycle.next_step(49 + 5), Kill)


def test_a_silent_worker_is_ended_once() -> None:
    lifecycle = ready_lifecycle()
    step = lifecycle.next_step(6)
    assert step == Kill("no sign of life for 5 s")
    assert lifecycle.next_step(7) == Wait(), "it is dying already"
    lifecycle.died()
    assert lifecycle.next_step(8) == Start()
    lifecycle.started(8)
    assert (lifecycle.phase, lifecycle.restarts) == (Phase.STARTING, 1)


def test_a_worker_that_is_too_long_at_one_image_is_ended() -> None:
    lifecycle = ready_lifecycle()
    for now in range(1, 109):
        lifecycle.seen(now, 8, now)
        assert isinstance(lifecycle.next_step(now), Wait) == (now < 108)
    assert lifecycle.phase is Phase.DYING


def test_one_that_starts_may_be_silent_for_longer() -> None:
    lifecycle = WorkerLifecycle(Budget(5, 60), silence_s=5, run_limit_s=100)
    lifecycle.started(0)
    assert lifecycle.next_step(5 * START_SILENCE - 1) == Wait(5 * START_SILENCE)
    assert isinstance(lifecycle.next_step(5 * START_SILENCE), Kill)


def test_one_that_never_becomes_ready_is_ended() -> None:
    lifecycle = WorkerLifecycle(Budget(5, 60), silence_s=5, run_limit_s=100)
    lifecycle.started(0)
    for now in range(int(START_LIMIT_S)):
        lifecycle.seen(now + 1, math.inf, now)
        assert isinstance(lifecycle.next_step(now), Wait)
    assert isinstance(lifecycle.next_step(START_LIMIT_S), Kill)


def test_a_crash_loop_ends_when_the_budget_is_spent_and_goes_on_when_it_is_not() -> None:
    lifecycle = ready_lifecycle(Budget(2, 60))
    for now in (10, 20):
        lifecycle.died()
        assert lifecycle.next_step(now) == Start()
        lifecycle.started(now)
        lifecycle.ready(now)
    lifecycle.died()
    assert lifecycle.next_step(30) == Wait(70)
    assert lifecycle.phase is Phase.BACKOFF
    assert lifecycle.next_step(69) == Wait(70)
    assert lifecycle.next_step(70) == Start()


def test_all_workers_share_one_budget() -> None:
    budget = Budget(1, 60)
    one, other = ready_lifecycle(budget), ready_lifecycle(budget)
    one.died()
    other.died()
    assert one.next_step(10) == Start()
    assert other.next_step(10) == Wait(70)


def test_without_restarts_there_is_never_another() -> None:
    lifecycle = ready_lifecycle(Budget(0, 60))
    lifecycle.died()
    assert lifecycle.next_step(5) == Wait(math.inf)


def test_a_dismissed_worker_may_finish_and_must_go_then() -> None:
    lifecycle = ready_lifecycle()
    lifecycle.seen(1, 1, 1)  # busy
    lifecycle.leave(2)
    lifecycle.seen(2, 1, 4)
    assert lifecycle.next_step(4) == Wait(9)  # silence, as before
    lifecycle.seen(3, math.inf, 8)
    assert lifecycle.next_step(8) == Wait(8 + LEAVE_S)
    lifecycle.seen(4, math.inf, 8 + LEAVE_S)
    assert isinstance(lifecycle.next_step(8 + LEAVE_S), Kill)
    lifecycle.died()
    assert (lifecycle.phase, lifecycle.next_step(20)) == (Phase.ENDED, Wait())


def test_one_that_can_not_even_be_killed_holds_up_no_close() -> None:
    """A process that is stuck in the kernel."""
    lifecycle = ready_lifecycle()
    lifecycle.leave(2)
    assert isinstance(lifecycle.next_step(4), Kill)
    assert lifecycle.next_step(5) == Wait(4 + GIVE_UP_S)
    assert lifecycle.next_step(4 + GIVE_UP_S) == Wait()
    assert lifecycle.phase is Phase.ENDED


def test_one_that_has_no_process_leaves_at_once() -> None:
    lifecycle = ready_lifecycle()
    lifecycle.died()
    lifecycle.leave(2)
    assert (lifecycle.phase, lifecycle.next_step(3)) == (Phase.ENDED, Wait())


@given(st.lists(st.tuples(st.sampled_from(["ready", "died", "seen", "busy", "nothing"]), st.integers(0, 30))))
def test_whatever_happens_restarts_keep_to_the_budget(events: list[tuple[str, int]]) -> None:
    lifecycle, now, starts = WorkerLifecycle(Budget(3, 60), 5, 40), 0, []
    for beats, (event, later) in enumerate(events):
        now += later
        if event == "ready":
            lifecycle.ready(now)
        elif event == "died" and lifecycle.phase in (Phase.STARTING, Phase.READY, Phase.DYING):
            lifecycle.died()
        elif event in ("seen", "busy"):
            lifecycle.seen(beats, now if event == "busy" else math.inf, now)
        step = lifecycle.next_step(now)
        if isinstance(step, Start):
            starts.append(now)
            lifecycle.started(now)
        elif isinstance(step, Kill):
            assert lifecycle.phase is Phase.DYING
        else:
            assert step.until > now
    restarts = starts[1:]
    assert all(late - early >= 60 for early, late in zip(restarts, restarts[3:], strict=False))


# ---- The size of a slot


def test_a_slot_grows_at_once_and_shrinks_late() -> None:
    size = SlotSize()
    assert size.fit(100) == SMALLEST
    large = 7680 * 4320 * 3
    assert size.fit(large) == -(-large // STEP) * STEP
    small = 1920 * 1080 * 3
    assert {size.fit(small) for _ in range(MEMORY - 1)} == {size.size}
    assert size.fit(small) == -(-small // STEP) * STEP
    assert size.size < large // 10


def test_a_large_image_now_and_then_keeps_the_slot() -> None:
    size = SlotSize()
    large = size.fit(50 * SMALLEST)
    for _ in range(5):
        assert {size.fit(SMALLEST) for _ in range(MEMORY // 2)} == {large}
        assert size.fit(50 * SMALLEST) == large


@given(st.lists(st.integers(0, 10**8), max_size=300))
def test_every_image_fits(needs: list[int]) -> None:
    size = SlotSize()
    assert all(size.fit(need) >= need for need in needs)


@pytest.mark.parametrize("need", [0, 1, SMALLEST, SMALLEST + 1])
def test_sizes_are_multiples_of_a_page(need: int) -> None:
    assert SlotSize().fit(need) % STEP == 0
