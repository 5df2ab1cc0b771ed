"""A live progress bar on stderr, where there is a terminal to show it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]


@contextmanager
def progress_bar(what: str, total: int, shown: bool = True) -> Iterator[Advance]:
    """Yields the function that is told how many of `total` are done. Without a terminal nothing is shown."""
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
    # stdout is for results: it is not to be redirected into the bar's console.
    bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
    task = bar.add_task(what, total=total, rate="")

    def advance(done: int) -> None:
        speed = bar.tasks[task].speed
        bar.update(task, completed=done, rate=f"{speed:.1f} images/s" if speed else "")

    with bar:
        yield advance
