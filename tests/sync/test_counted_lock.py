"""The lock that keeps count of who had to wait for it."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from types import FrameType

import pytest

from yoloom.sync.counted_lock import CountedLock, LockWaits
from yoloom.testing import PATIENCE_S, barrier_run, shaken


def waits_for_the_lock(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    # The clock is read only when the first try has failed.
    return frame is not None and frame.f_code.co_name == "__enter__" and "started" in frame.f_locals


def test_a_free_lock_is_counted_and_not_timed() -> None:
    lock = CountedLock()
    for _ in range(3):
        with lock:
            pass
    assert lock.waits() == LockWaits(taken=3)


def test_who_has_to_wait_is_counted_and_timed() -> None:
    lock = CountedLock()
    with lock:
        waiter = threading.Thread(target=lock.__enter__)
        waiter.start()
        while not waits_for_the_lock(waiter):
            threading.Event().wait(0.001)
    waiter.join(PATIENCE_S)
    waits = lock.waits()
    assert (waits.taken, waits.waited) == (2, 1)
    assert 0 < waits.total_ms == waits.max_ms < PATIENCE_S * 1e3


def test_it_excludes() -> None:
    """Seen to lose counts when `__enter__` does not wait."""
    lock = CountedLock()
    count = 0

    def work(_: int) -> None:
        nonlocal count
        for _ in range(2000):
            with lock:
                before = count
                count = before + 1

    with shaken():
        barrier_run(4, work)
    assert count == 8000
    assert lock.waits().taken == 8000


def test_it_is_not_reentrant() -> None:
    lock = CountedLock()
    with lock, pytest.raises(RuntimeError, match="already"):
        lock.__enter__()
    assert lock.acquire(False)
    lock.release()


def test_a_condition_waits_and_wakes_on_it() -> None:
    lock = CountedLock()
    condition = lock.condition()
    ready: list[int] = []
    got: list[int] = []

    def consume() -> None:
        with lock:
            while not ready:
                condition.wait(PATIENCE_S)
            got.append(lock.taken_by)

    consumer = threading.Thread(target=consume)
    consumer.start()
    with lock:
        ready.append(1)
        condition.notify()
    consumer.join(PATIENCE_S)
    assert got == [consumer.ident]


def test_a_condition_of_a_lock_that_is_not_held_says_so() -> None:
    with pytest.raises(RuntimeError):
        CountedLock().condition().notify()


def test_who_took_it_last_is_known_without_it() -> None:
    lock = CountedLock()
    with lock:
        assert lock.taken_by == threading.get_ident()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_an_interrupt_at_any_line_leaves_the_lock_free() -> None:
    """Seen to leave it taken with an `__exit__` in Python, and without the handler in `__enter__`."""

    class Interrupt(BaseException):
        pass

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise Interrupt

    lock = CountedLock()
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for _ in range(3000):
            with contextlib.suppress(Interrupt):
                signal.setitimer(signal.ITIMER_REAL, 3e-5)
                while True:
                    with lock:
                        pass
            assert lock.acquire(False), "the lock is held by nobody, and taken"
            lock.release()
            assert not lock._is_owned()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
