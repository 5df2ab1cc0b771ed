"""Stack dumps as text: the code that threads and asyncio tasks are in the middle of."""

from __future__ import annotations

import sys
import threading
import traceback
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a program that has tasks has imported it; all others start without it
    import asyncio

DEPTH = 8
"""Innermost lines of a stack that a dump of many threads or tasks shows."""

LISTED = 6
"""Names in front of a stack that several threads or tasks share."""


def thread_name(ident: int) -> str:
    """Return the name of a thread, or its number when it is none of Python's or has ended."""
    return next((thread.name for thread in threading.enumerate() if thread.ident == ident), str(ident))


def thread_stacks(threads: Iterable[threading.Thread]) -> dict[str, str]:
    """Return the whole stack of each thread by the thread's name, without those that do not run.

    Takes no lock, so that it can also report threads that wait for one another.
    """
    frames = sys._current_frames()
    return {
        thread.name: "".join(traceback.format_stack(frames[thread.ident]))
        for thread in dict.fromkeys(threads)
        if thread.ident in frames
    }


def all_thread_stacks() -> str:
    """Render the innermost lines of every thread but the calling one; threads at the same place stand together."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return _grouped(
        (names.get(ident, f"thread {ident}"), "".join(traceback.format_stack(frame)[-DEPTH:]))
        for ident, frame in sys._current_frames().items()
        if ident != threading.get_ident()
    )


def task_stacks(tasks: Iterable[asyncio.Task[object]]) -> str:
    """Render where the tasks of an event loop stand. To be called in that loop's thread only."""
    stacks = []
    for task in tasks:
        # The coroutines that the task waits in, the outermost first.
        lines: list[str] = []
        waiting: Any = task.get_coro()
        while (frame := getattr(waiting, "cr_frame", None)) is not None:
            lines += traceback.format_stack(frame)[-1:]
            waiting = getattr(waiting, "cr_await", None)
        stacks.append((task.get_name(), "".join(lines[-DEPTH:])))
    return _grouped(stacks)


def _grouped(stacks: Iterable[tuple[str, str]]) -> str:
    """Show each distinct stack once, under the names of all that share it."""
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for name, stack in stacks:
        sharing[stack].append(name)
    blocks = []
    for stack, names in sharing.items():
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        blocks.append(f"{', '.join(sorted(names)[:LISTED])}{more}:\n{stack}")
    return "\n".join(blocks)
