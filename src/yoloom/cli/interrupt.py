"""Ctrl-C between two pieces of work, never within one."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


def until_interrupted(items: Iterable[T]) -> Iterator[T]:
    """The items, until Ctrl-C: then KeyboardInterrupt, once the item under way is fetched and dealt with.

    So nothing that is written for an item is ever cut short. A second Ctrl-C does not wait. Main thread only.
    """
    pressed = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # a job in the background of a script
        signal.signal(signal.SIGINT, note)
    try:
        for item in items:
            yield item
            if pressed:
                raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
