"""The end of the interpreter: work that signals can not cut short, and calls that have to leave native code first.

```
main thread ends ─▶ atexit ─▶ signals are noted ─▶ work ─▶ signals are raised ─▶ other callbacks ─▶ Python is taken down
```

A daemon thread that comes back from native code after that last step is ended in the middle of it. In C++ that is
`std::terminate`, and the process aborts. So whatever computes must have come back before.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from yoloom.sync.clock import TimeLimit

ENTRIES = 4
"""How often work is registered: a signal that strikes before a callback's first line costs one of them."""

LOOK_S = 0.005
"""Pause between two looks at threads that are none of ours and can not be joined: those of the user's calls."""

_PACKAGE = str(Path(__file__).parents[1])


def finish_at_exit(work: Callable[[], object]) -> Callable[[], object]:
    """Have the work done at the end of the interpreter, whole, whatever signals come meanwhile (a decorator).

    Args:
        work: Bounded in time, as a signal's handler waits for it. Called once more when it was cut off.
    """
    undone = [work]

    def callback() -> None:
        if undone:
            with _signals_deferred():
                undone[0]()
                undone.clear()

    for _ in range(ENTRIES):
        atexit.register(callback)
    return work


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Note the signals that have handlers in Python, which may raise, and call those handlers afterwards."""
    came: list[int] = []
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    try:
        if threading.current_thread() is threading.main_thread():  # handlers run, and are set, in no other
            # Ctrl-C first: until that line it is the one that may strike. Then another entry begins again.
            for number in map(int, (signal.SIGINT, *signal.valid_signals())):
                handler = signal.getsignal(number)
                if callable(handler) and handler is not note:
                    handlers[number] = handler
                    signal.signal(number, note)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


def wait_for_calls(limit: TimeLimit) -> None:
    """Wait until each call into this package that other threads are in the middle of has returned."""
    calls = _calls()
    while calls and limit.left:
        time.sleep(LOOK_S)
        now = _calls()
        # The same frame is the same call: a thread that has begun another one since has been outside in between.
        calls = {thread: frame for thread, frame in calls.items() if now.get(thread) is frame}


def _calls() -> dict[int, FrameType]:
    """The outermost frame of this package in each other thread."""
    calls, own = {}, sys._getframe()
    for thread, innermost in sys._current_frames().items():
        # This thread by its frame: under gevent `get_ident` names a greenlet, and the end would wait for itself.
        frame: FrameType | None = innermost if innermost is not own else None
        while frame is not None:
            if frame.f_code.co_filename.startswith(_PACKAGE):
                calls[thread] = frame
            frame = frame.f_back
    return calls
