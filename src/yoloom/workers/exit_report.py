"""The report of how a worker process ended: its exit code, the step it was at, and the end of its stderr."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from io import FileIO

QUOTED = 300
"""Characters of a worker's stderr that a message quotes."""

KEPT = 4096
"""Bytes of a worker's stderr that are kept."""


@dataclass(frozen=True)
class WorkerExit:
    """How one worker process ended. Immutable. Thread safety: any number of threads.

    Attributes:
        pid: The process that has ended.
        exit_code: Minus the number of the signal, or the exit status; None when it is unknown.
        doing: The step that it was at, in words.
        why: The reason for which its parent ended it, None when the parent did not.
        stderr: The end of what it wrote to stderr.
    """

    pid: int
    exit_code: int | None
    doing: str
    why: str | None = None
    stderr: str = ""

    def __str__(self) -> str:
        if self.exit_code is None:
            cause = "an unknown cause"
        elif self.exit_code >= 0:
            cause = f"exit status {self.exit_code}"
        else:
            try:
                cause = signal.Signals(-self.exit_code).name
            except ValueError:  # a real-time signal
                cause = f"signal {-self.exit_code}"
        reason = "" if self.why is None else f" ({self.why})"
        return f"process {self.pid} by {cause}{reason} while it {self.doing}"

    @property
    def quote(self) -> str:
        """The end of its stderr as the last sentence of a message, empty if it wrote nothing."""
        # The report of `faulthandler` stands at its beginning, everything else at its end.
        report, is_fault, _ = self.stderr.rpartition("Fatal Python error")[2].partition("Extension modules:")
        words = " ".join(report.split())
        return f" Its last words: {words[:QUOTED] if is_fault else words[-QUOTED:]}" if words else ""


class StderrTail:
    """The reading end of a worker's stderr, of which the last bytes are kept for the report of a crash.

    Thread safety: any number of threads.

    Args:
        pipe: An unbuffered pipe, which is made non-blocking.
    """

    def __init__(self, pipe: FileIO) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._pipe = pipe
        self._lock = threading.Lock()  # guards the tail, and reading against closing
        self._tail = b""

    def fileno(self) -> int:
        """Return the descriptor to poll for what the worker writes."""
        return self._pipe.fileno()

    def read(self) -> bool:
        """Keep what is there now. Return False when nothing more can come."""
        with self._lock:
            while not self._pipe.closed:
                some = self._pipe.read(KEPT)
                if some is None:  # nothing now
                    return True
                if not some:  # the worker has ended
                    return False
                self._tail = (self._tail + some)[-KEPT:]
            return False

    @property
    def text(self) -> str:
        """The last bytes until now, decoded."""
        # The last lines of a crash may still be in the pipe when the lane, and not the supervisor, asks first.
        self.read()
        with self._lock:
            return self._tail.decode(errors="replace")

    def close(self) -> None:
        """Close the pipe. Idempotent."""
        with self._lock:
            self._pipe.close()
