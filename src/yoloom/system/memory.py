"""How much memory this process holds right now."""

from __future__ import annotations

import os
from pathlib import Path

MIB = 2**20

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Physical memory of this process; 0 where the system has no cheap way to tell."""
    try:
        pages = int(_STATM.read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
