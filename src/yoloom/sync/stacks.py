"""Where all threads stand, as text."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

DEPTH = 8  # innermost lines of a stack
LISTED = 6  # names in front of a stack that several share


def thread_stacks() -> str:
    """The innermost lines of every thread but the calling one; threads that stand at the same place together."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = {ident: frame for ident, frame in sys._current_frames().items() if ident != threading.get_ident()}
    return _grouped(
        (names.get(ident, f"thread {ident}"), "".join(traceback.format_stack(frame)[-DEPTH:]))
        for ident, frame in frames.items()
    )


def task_stacks(tasks: Iterable[asyncio.Task[object]]) -> str:
    """Where the tasks of an event loop stand. Only in that loop's thread."""
    return _grouped((task.get_name(), _task_stack(task)) for task in tasks)


def _task_stack(task: asyncio.Task[object]) -> str:
    """The coroutines that a task waits in, the outermost first."""
    lines: list[str] = []
    waiting: Any = task.get_coro()
    while (frame := getattr(waiting, "cr_frame", None)) is not None:
        lines += traceback.format_stack(frame)[-1:]
        waiting = getattr(waiting, "cr_await", None)
    return "".join(lines[-DEPTH:])


def _grouped(stacks: Iterable[tuple[str, str]]) -> str:
    together: defaultdict[str, list[str]] = defaultdict(list)
    for name, stack in stacks:
        together[stack].append(name)
    return "\n".join(f"{_listed(sorted(names))}:\n{stack}" for stack, names in together.items())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
