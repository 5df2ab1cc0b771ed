"""One computation for each key, whoever asks; its value, or its error, is everybody's."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from yoloom.sync.once import SingleFlight
from yoloom.testing import Gate, barrier_run


class Value:
    """Something that can be referred to weakly."""


def test_many_threads_get_one_value() -> None:
    """Seen to fail (eight values) with a map that looks first and computes then, without promising it in between."""
    values: SingleFlight[str, Value] = SingleFlight()
    computed: list[Value] = []

    def compute() -> Value:
        time.sleep(0.05)  # so that all others ask meanwhile
        computed.append(Value())
        return computed[-1]

    assert set(barrier_run(8, lambda _: values.get("key", compute))) == set(computed)
    assert len(computed) == 1


def test_other_keys_do_not_wait() -> None:
    values, gate = SingleFlight[str, Value](), Gate()

    def slow() -> Value:
        gate()
        return Value()

    waiting = threading.Thread(target=values.get, args=("slow", slow))
    waiting.start()
    gate.wait_for(1)
    assert isinstance(values.get("quick", Value), Value)
    gate.open()
    waiting.join()


def test_a_value_is_kept_for_as_long_as_somebody_holds_it() -> None:
    values: SingleFlight[str, Value] = SingleFlight()
    first = values.get("key", Value)
    assert values.get("key", Value) is first
    seen = weakref.ref(first)
    del first
    gc.collect()
    assert seen() is None
    assert isinstance(values.get("key", Value), Value)


def test_all_who_wait_get_the_error_and_the_next_tries_again() -> None:
    values: SingleFlight[str, Value] = SingleFlight()
    attempts = []

    def fail() -> Value:
        attempts.append(1)
        time.sleep(0.05)
        raise ValueError("no such thing")

    def ask(_: int) -> str:
        with pytest.raises(ValueError, match="no such thing") as caught:
            values.get("key", fail)
        return str(caught.value)

    assert barrier_run(8, ask) == ["no such thing"] * 8
    assert len(attempts) == 1
    assert isinstance(values.get("key", Value), Value)


def test_an_interrupted_thread_leaves_the_work_to_the_next() -> None:
    """Ctrl-C in one thread is no reason for the others to fail."""
    values, gate = SingleFlight[str, Value](), Gate()
    outcomes: list[object] = []

    def interrupted() -> Value:
        gate()
        raise KeyboardInterrupt

    def first() -> None:
        with pytest.raises(KeyboardInterrupt):
            values.get("key", interrupted)

    threads = [threading.Thread(target=first)]
    threads[0].start()
    gate.wait_for(1)
    threads += [threading.Thread(target=lambda: outcomes.append(values.get("key", Value))) for _ in range(3)]
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.05)
    gate.open()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 3
    assert len(set(outcomes)) == 1
