"""Reads memory and CPU time of a process and of those that it started (Linux).

Only the standard library, see `callers`.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from yoloom.system.memory import MIB, memory_of

_PROC = Path("/proc")
_PARENT, _USER, _SYSTEM = 1, 11, 12  # fields of /proc/PID/stat after the name


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the process and its living descendants; without /proc only that of this process."""
    if not (_PROC / "stat").exists():
        return time.process_time()
    ticks = sum(int(fields[_USER]) + int(fields[_SYSTEM]) for fields in _tree(pid).values())
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, tree: bool = True) -> float | None:
    """Return the process's own pages and its share of shared ones (PSS), in MiB.

    Args:
        pid: of the process.
        tree: whether its living descendants count too.

    Returns:
        None where the system does not tell.
    """
    if not (_PROC / str(pid) / "smaps_rollup").exists():
        return None
    return sum(memory_of(one).proportional for one in (_tree(pid) if tree else [pid])) / MIB


def _tree(pid: int) -> dict[int, list[str]]:
    """The process and its living descendants, each with its fields in /proc/PID/stat after the name.

    The name in parentheses may itself hold spaces and parentheses.
    """
    table = {}
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            table[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    found = [pid] if pid in table else []
    for parent in found:  # grows while it is walked
        found += [child for child, fields in table.items() if int(fields[_PARENT]) == parent]
    return {one: table[one] for one in found}
