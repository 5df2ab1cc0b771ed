"""Time limits, and what locks accept as a waiting time."""

from __future__ import annotations

import math
import threading

import pytest

from yoloom.sync.clock import TimeLimit, clamped
from yoloom.testing import ManualClock


@pytest.mark.parametrize(
    ("seconds", "waited"), [(-3.0, 0.0), (0.0, 0.0), (2.5, 2.5), (math.inf, threading.TIMEOUT_MAX), (math.nan, 0.0)]
)
def test_a_waiting_time_is_limited_to_what_locks_accept(seconds: float, waited: float) -> None:
    assert clamped(seconds) == waited
    assert threading.Lock().acquire(timeout=clamped(seconds))


def test_waits_in_a_row_share_one_limit() -> None:
    clock = ManualClock()
    limit = TimeLimit(10, clock)
    clock.advance(4)
    assert limit.left == 6
    clock.advance(40)
    assert limit.left == 0


def test_no_limit_is_none_for_ever() -> None:
    assert TimeLimit(None).left is None
