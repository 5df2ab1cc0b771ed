"""Output beside the results, on stderr: messages of one line each, and a progress bar below them."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

Advance = Callable[[int], None]
"""Called with how many pieces of work are done."""


def report_line(line: str) -> None:
    """Write one line to stderr, or nothing where stderr is closed or full: results do not depend on it."""
    stderr = sys.stderr  # looked up at each call: a progress bar puts its own in place
    if stderr is not None:  # it was closed when Python started
        with contextlib.suppress(OSError):
            stderr.write(f"{line}\n")


class LineHandler(logging.Handler):
    """Writer of log records as lines such as "warning: ...".

    Thread safety: any number of threads.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        report_line(f"{record.levelname.lower()}: {record.getMessage()}")


def show_warnings() -> None:
    """Show the warnings that this process logs, but none of OpenCV's: a broken image is reported as an error."""
    import cv2.utils.logging

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    logging.basicConfig(level=logging.WARNING, handlers=[LineHandler()])


@contextmanager
def progress_bar(what: str, total: int, shown: bool = True) -> Iterator[Advance]:
    """Show a bar, and yield the function that moves it. Its rate is that of the whole time since it was shown.

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
        # rich's own speed counts from the first image on: what comes in bursts would seem to be many times faster.
        rate = done / max(perf_counter() - started, 1e-9)
        bar.update(task, completed=done, rate=f"{rate:.1f} images/s" if done else "")

    started = perf_counter()
    with bar:
        yield advance
