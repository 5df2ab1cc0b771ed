"""How a worker process ended, as far as is known."""

from __future__ import annotations

import signal
from dataclasses import dataclass

WORDS = 300
"""Characters of its last words that a message quotes."""


@dataclass(frozen=True)
class WorkerExit:
    """Immutable: shared freely.

    exit_code: minus the signal's number, or the exit status; None when it can not be told. doing: in words, what it was
    at. why: for what reason its parent ended it, if it did. last_words: the end of what it wrote to stderr.
    """

    pid: int
    exit_code: int | None
    doing: str
    why: str | None = None
    last_words: str = ""

    def __str__(self) -> str:
        reason = "" if self.why is None else f" ({self.why})"
        return f"process {self.pid} by {exit_named(self.exit_code)}{reason} while it {self.doing}"

    @property
    def quoted(self) -> str:
        """Its last words as the end of a message."""
        report, found, _ = self.last_words.rpartition("Fatal Python error")[2].partition("Extension modules:")
        words = " ".join(report.split())
        return f" Its last words: {words[:WORDS] if found else words[-WORDS:]}" if words else ""


def exit_named(code: int | None) -> str:
    """SIGSEGV, or exit status 3."""
    if code is None:
        return "an unknown cause"
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # a real-time signal
        return f"signal {-code}"
