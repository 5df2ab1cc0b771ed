"""What is said beside the results: one line each, on stderr, above a progress bar if there is one."""

from __future__ import annotations

import contextlib
import logging
import sys


def tell(line: str) -> None:
    """Write one line to stderr, if it can be: results do not wait for it."""
    stderr = sys.stderr  # looked up at each call: a progress bar puts its own in place
    if stderr is not None:  # closed when Python started
        with contextlib.suppress(OSError):
            stderr.write(f"{line}\n")


class LineHandler(logging.Handler):
    """Log records as lines: "warning: ...". Shared freely."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(f"{record.levelname.lower()}: {record.getMessage()}")


def tell_warnings() -> None:
    """Show warnings of this process's log. OpenCV keeps quiet: a broken image is told as its error."""
    import cv2.utils.logging

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    logging.basicConfig(level=logging.WARNING, handlers=[LineHandler()])
