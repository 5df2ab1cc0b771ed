"""Threads that do chores, and how they end."""

from __future__ import annotations

import threading

import pytest

from yoloom.errors import EngineClosed, RuntimeFailed
from yoloom.sync.clock import TimeLimit
from yoloom.sync.thread_pool import ThreadPool, ThreadPools
from yoloom.testing import Gate


def test_a_chore_that_fails_does_not_end_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    pool = ThreadPool(1, "test-pool")
    pool.start()
    done: list[int] = []
    for chore in (lambda: 1 // 0, lambda: exec("raise SystemExit"), lambda: done.append(1)):
        pool.later(chore)
    assert pool.stop()
    assert done == [1]
    assert caplog.text.count("a chore failed") == 2


def test_what_was_handed_in_is_done_before_the_end() -> None:
    pool = ThreadPool(2, "test-pool")
    pool.start()
    done: list[int] = []
    for number in range(100):
        pool.later(lambda number=number: done.append(number))  # type: ignore[misc]
    assert pool.stop()
    assert sorted(done) == [*range(100)]
    assert pool.stop(), "idempotent"


def test_a_stop_waits_no_longer_than_its_limit() -> None:
    pool, gate = ThreadPool(1, "test-pool"), Gate()
    pool.start()
    pool.later(gate)
    gate.wait_for()
    assert not pool.stop(TimeLimit(0))
    gate.open()
    assert pool.stop()


def test_a_chore_may_stop_its_own_pool() -> None:
    pool = ThreadPool(1, "test-pool")
    pool.start()
    stopped: list[bool] = []
    pool.later(lambda: stopped.append(pool.stop()))
    pool.threads[0].join(30)
    assert (stopped, pool.is_alive) == ([True], False)


def test_without_a_thread_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPool(2, "test-pool")
    first, second = pool.threads

    def no_more() -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(second, "start", no_more)
    with pytest.raises(RuntimeFailed, match="no thread could be started"):
        pool.start()
    first.join(30)
    assert (pool.threads, first.is_alive()) == ([first], False)


def test_a_pool_starts_when_it_is_needed_and_takes_nothing_after_its_stop() -> None:
    pools = ThreadPools({"few": 1, "many": 3})
    assert pools.threads_alive() == []
    done = threading.Event()
    pools.later("few", done.set)
    assert done.wait(30)
    assert [thread.name for thread in pools.threads_alive()] == ["yoloom-few-0"]
    assert pools.stop("few")
    assert pools.stop("many"), "never started"
    pools.start("many")
    assert pools.threads_alive() == []
    with pytest.raises(EngineClosed):
        pools.later("few", done.clear)
    assert done.is_set()
