"""What the process holds while nothing is asked of it."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yoloom.system.memory import resident_bytes

_DESCRIPTORS = Path("/proc/self/fd")
_TASKS = Path("/proc/self/task")


@dataclass(frozen=True)
class Resources:
    """requests: answered until then. memory_bytes, descriptors: 0 where the system does not tell. blocks: of
    memory that Python's objects take. threads: all of the process's where it tells, Python's elsewhere. Immutable.
    """

    requests: int
    memory_bytes: int
    blocks: int
    threads: int
    descriptors: int


def at_rest(requests: int) -> Resources:
    """Collect garbage, give free memory back to the system where that can be asked for, and count."""
    gc.collect()
    trim = _malloc_trim()
    if trim is not None:
        trim(0)  # or the allocator's spare pages would look like growth
    blocks = sys.getallocatedblocks()
    return Resources(requests, resident_bytes(), blocks, _threads(), _entries(_DESCRIPTORS))


@cache
def _malloc_trim() -> Any:
    """The C library's, where it has one (glibc)."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None


def _threads() -> int:
    return _entries(_TASKS) or threading.active_count()


def _entries(folder: Path) -> int:
    try:
        return sum(1 for _ in folder.iterdir())
    except OSError:
        return 0
