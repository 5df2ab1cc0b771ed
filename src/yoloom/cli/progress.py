"""Live progress bar on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]
"""Called with how many pieces of work are done."""


@contextmanager
def progress_bar(what: str, total: int, shown: bool = True) -> Iterator[Advance]:
    """Show a bar, and yield the function that moves it.

    Args:
        what: the label in front of the bar.
        total: how many images there are.
        shown: whether to show it at all; without a terminal it is never shown.
    """
    if not (shown and sys.stderr is not None and sys.stderr.isatty()):
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    # stdout is for results: rich must not redirect it into the bar's console.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    task = bar.add_task(what, total=total, rate="")

    def advance(done: int) -> None:
        speed = bar.tasks[task].speed
        bar.update(task, completed=done, rate=f"{speed:.1f} images/s" if speed else "")

    with bar:
        yield advance
