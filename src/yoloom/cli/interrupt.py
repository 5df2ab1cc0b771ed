"""Ctrl-C between two pieces of work, never within one."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


def until_interrupted(items: Iterable[T]) -> Iterator[T]:
    """Yield `items`, and after Ctrl-C raise KeyboardInterrupt once the present item is fetched and processed.

    So nothing that is written for an item is ever cut short. A second Ctrl-C does not wait.

    Thread safety: owned by the main thread.
    """
    pressed = False

    def note(_signal: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # ignored in a background job of a script: it stays so
        signal.signal(signal.SIGINT, note)
    try:
        for item in items:
            yield item
            if pressed:
                raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
