"""Work at the end of the interpreter, in processes of its own that end while signals come."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest

from yoloom import YOLO
from yoloom.sync.clock import TimeLimit
from yoloom.sync.interpreter_exit import ENTRIES, wait_for_calls
from yoloom.testing import Gate


def python(code: str) -> subprocess.CompletedProcess[str]:
    head = "import atexit, signal, sys, threading\nfrom yoloom.sync.interpreter_exit import finish_at_exit\n"
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGALRM"])
def test_a_signal_waits_until_the_work_is_done(name: str) -> None:
    """Seen to fail with a plain `atexit.register`: the handler's exception ends the work half-way."""
    done = python(
        f"""
        def raising(*_): print("handled", flush=True); raise TimeoutError
        signal.signal(signal.{name}, raising)
        def work():
            signal.raise_signal(signal.{name})
            signal.raise_signal(signal.{name})
            print("done", flush=True)
        finish_at_exit(work)
        """
    )
    assert (done.returncode, done.stdout) == (0, "done\nhandled\n")


def test_work_that_was_cut_off_is_done_again_by_another_entry() -> None:
    done = python(
        """
        tries = []
        @finish_at_exit
        def work():
            tries.append(1)
            print(len(tries), flush=True)
            if len(tries) < 3: raise KeyboardInterrupt
        """
    )
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\n")


def test_work_that_never_succeeds_keeps_nobody_from_ending() -> None:
    done = python("finish_at_exit(lambda: print(1, flush=True) or 1 / 0)")
    assert (done.returncode, done.stdout) == (0, "1\n" * ENTRIES)


def test_handlers_of_the_program_run_in_their_order() -> None:
    done = python(
        """
        atexit.register(print, "first registered", flush=True)
        finish_at_exit(lambda: print("work", flush=True))
        atexit.register(print, "last registered", flush=True)
        """
    )
    assert done.stdout == "last registered\nwork\nfirst registered\n"


def test_a_call_that_hangs_is_waited_for_as_long_as_the_limit_says_and_one_that_returns_until_then() -> None:
    gate = Gate()  # its code lies in the package: a thread that waits there is in the middle of a call
    thread = threading.Thread(target=gate)
    thread.start()
    gate.wait_for()
    try:
        wait_for_calls(TimeLimit(0.05))
        assert thread.is_alive()
    finally:
        gate.open()
    wait_for_calls(TimeLimit(None))
    thread.join()


def test_a_thread_that_calls_again_and_again_is_waited_for_once() -> None:
    """Each call is another frame, so a thread that never stops asking does not keep the interpreter."""
    stop = threading.Event()
    asked = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            asked.set()
            with pytest.raises(TypeError):
                YOLO(no_such_argument=1)  # type: ignore[call-arg]

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        assert asked.wait(60)
        wait_for_calls(TimeLimit(None))
    finally:
        stop.set()
        thread.join()
