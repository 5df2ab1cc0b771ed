"""The end of what a worker writes to stderr, which nobody sees unless it crashes."""

from __future__ import annotations

import threading
from io import FileIO

KEPT = 4096
"""Bytes."""


class StderrTail:
    """The reading end of a worker's stderr. Any thread."""

    def __init__(self, pipe: FileIO) -> None:
        """pipe: unbuffered, and it does not block."""
        self._pipe = pipe
        self._lock = threading.Lock()  # guards what follows and the reading
        self._tail = b""

    def fileno(self) -> int:
        return self._pipe.fileno()

    def read(self) -> bool:
        """Take what is there. False when nothing more can come."""
        with self._lock:
            return self._read()

    def _read(self) -> bool:
        while not self._pipe.closed:
            some = self._pipe.read(KEPT)
            if some is None:
                return True
            if not some:
                return False
            self._tail = (self._tail + some)[-KEPT:]
        return False

    @property
    def text(self) -> str:
        with self._lock:
            self._read()
            return self._tail.decode(errors="replace")

    def close(self) -> None:
        with self._lock:
            self._pipe.close()
