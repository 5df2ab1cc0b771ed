"""Messages beside the results: one line each on stderr, above a progress bar if there is one."""

from __future__ import annotations

import contextlib
import logging
import sys


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
