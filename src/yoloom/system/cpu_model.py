"""The name of the CPU. Apart from `machine.py`, whose library of package versions is slow to import.

Only the standard library: `yoloom.bench` reads it where nothing else of yoloom can be imported.
"""

from __future__ import annotations

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


def cpu_model() -> str:
    """Return the name that the CPU gives itself, or its architecture."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
