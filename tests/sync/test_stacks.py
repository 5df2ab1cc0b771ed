"""Stack dumps of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from yoloom.sync.stacks import LISTED, all_thread_stacks, thread_name, thread_stacks
from yoloom.testing import Gate

CROWD = LISTED + 2


def stand_here(gate: Gate) -> None:
    gate()


@pytest.fixture
def standing() -> Iterator[list[threading.Thread]]:
    """Threads that stand at one place."""
    gate = Gate()
    threads = [threading.Thread(target=stand_here, args=(gate,), name=f"standing-{n}") for n in range(CROWD)]
    for thread in threads:
        thread.start()
    gate.wait_for(CROWD)
    yield threads
    gate.open()
    for thread in threads:
        thread.join(30)


def test_each_thread_shows_where_it_stands(standing: list[threading.Thread]) -> None:
    stacks = thread_stacks([*standing[:2], *standing[:1]])
    assert [*stacks] == ["standing-0", "standing-1"]
    assert all("stand_here" in stack for stack in stacks.values())


def test_threads_that_do_not_run_are_left_out() -> None:
    ended = threading.Thread(target=int)
    ended.start()
    ended.join(30)
    assert thread_stacks([ended, threading.Thread(target=int)]) == {}


def test_threads_at_the_same_place_share_a_stack(standing: list[threading.Thread]) -> None:
    report = all_thread_stacks()
    assert f"standing-5 and {CROWD - LISTED} more:\n" in report
    assert report.count("in stand_here") == 1
    assert threading.current_thread().name not in report


def test_a_thread_that_has_ended_is_named_by_its_number(standing: list[threading.Thread]) -> None:
    assert thread_name(standing[0].ident or 0) == "standing-0"
    assert thread_name(-1) == "-1"
