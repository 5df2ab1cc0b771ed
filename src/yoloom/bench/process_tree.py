"""What a process and those that it started hold and have used (Linux).

Only the standard library, see `callers`.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _USER, _SYSTEM = 1, 11, 12  # fields of /proc/PID/stat after the name


def cpu_seconds(pid: int) -> float:
    """CPU time of the process and its living descendants on all cores; only of this process without /proc."""
    table = _processes()
    if not table:
        return time.process_time()
    ticks = sum(int(table[one][_USER]) + int(table[one][_SYSTEM]) for one in _tree(pid, table))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, tree: bool = True) -> float | None:
    """Their own pages and their share of shared ones (PSS); None where the system does not tell. tree: all of them."""
    if not (_PROC / str(pid) / "smaps_rollup").exists():
        return None
    return sum(map(_pss_kib, _tree(pid, _processes()) if tree else [pid])) / 1024


def _tree(pid: int, table: dict[int, list[str]]) -> list[int]:
    found = [pid] if pid in table else []
    for parent in found:  # grows while it is walked
        found += [child for child, fields in table.items() if int(fields[_PARENT]) == parent]
    return found


def _processes() -> dict[int, list[str]]:
    """The fields after the name in parentheses, which may itself hold spaces and parentheses."""
    table = {}
    for folder in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            table[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()
    return table


def _pss_kib(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended, or belongs to somebody else
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
