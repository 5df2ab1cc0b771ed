"""Threads that begin together: results, errors, limits, and a system that gives no more threads."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from yoloom.sync.thread_group import ThreadGroup, switch_interval

LIMIT_S = 30.0


def test_all_begin_before_any_works_and_results_keep_their_place() -> None:
    prepared: list[int] = []
    group = ThreadGroup(8, lambda number: (number, len(prepared)), "t", prepared.append)
    group.start()
    assert group.join(LIMIT_S) == []
    assert group.results == [(number, 8) for number in range(8)]
    assert group.wait(0)
    assert group.elapsed_s > 0


def test_errors_are_kept_and_stop_no_other_thread() -> None:
    def work(number: int) -> int:
        if number == 1:
            raise ValueError("one")
        return number

    group = ThreadGroup(3, work, "t")
    group.start()
    group.join(LIMIT_S)
    assert group.results == [0, None, 2]
    assert [str(error) for error in group.errors] == ["one"]


def test_an_error_while_preparing_does_not_hold_up_the_others() -> None:
    def prepare(number: int) -> None:
        if number == 0:
            raise ValueError("not ready")

    group = ThreadGroup(2, lambda number: number, "t", prepare)
    group.start()
    group.join(LIMIT_S)
    assert [str(error) for error in group.errors] == ["not ready"]


def test_threads_that_still_run_are_named() -> None:
    release = threading.Event()
    group = ThreadGroup(2, lambda number: number or release.wait(LIMIT_S), "stuck-")
    group.start()
    assert not group.wait(0.01)
    assert group.join(0.01) == ["stuck-0"]
    assert group.elapsed_s == 0
    release.set()
    assert group.join(LIMIT_S) == []


def test_threads_end_when_the_system_gives_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the abort, those that were started would wait at the barrier for ever."""
    before, start, allowed = threading.active_count(), threading.Thread.start, iter(range(2))

    def limited(thread: threading.Thread) -> None:
        if next(allowed, None) is None:
            raise RuntimeError("can't start new thread")
        start(thread)

    worked: list[int] = []
    group = ThreadGroup(4, worked.append, "t")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", limited)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            group.start()
    for thread in group._threads[:2]:
        thread.join(LIMIT_S)
    assert worked == []
    assert threading.active_count() == before


def test_the_switch_interval_is_set_back() -> None:
    before = sys.getswitchinterval()
    with switch_interval(1e-5):
        assert sys.getswitchinterval() == pytest.approx(1e-5)
    assert sys.getswitchinterval() == before


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="this system does not show its threads")
def test_what_was_joined_is_no_thread_of_the_process_any_more() -> None:
    """Seen to fail without the wait: Python's `join` returns before the system's thread has ended."""
    for _ in range(20):
        group = ThreadGroup(50, lambda _number: threading.get_native_id(), "ends ")
        group.start()
        assert group.join() == []
        assert [number for number in group.results if Path(f"/proc/self/task/{number}").exists()] == []
