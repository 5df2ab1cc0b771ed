"""How much memory this process may use, and how much it and its children hold."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from yoloom.system.cgroups import ROOT, group_folders, read_limit

MIB = 2**20
NO_MEMORY = 2**60
"""More bytes than any machine has: a limit that is none."""


@dataclass(frozen=True)
class ProcessMemory:
    """The memory of one process in bytes. Immutable. Thread safety: any number of threads.

    Attributes:
        unique: Pages that no other process has.
        proportional: Those, and the process's share of the pages that it has in common with others.
    """

    unique: int = 0
    proportional: int = 0


def resident_bytes() -> int:
    """Return the physical memory that this process holds; 0 where the system has no cheap way to tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory_of(pid: int | None) -> ProcessMemory:
    """Return the memory of a process, zeros when it is gone or the system does not tell (other than Linux)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return ProcessMemory()
    sizes = {name: int(value.split()[0]) * 1024 for name, value in (line.split(":", 1) for line in lines)}
    return ProcessMemory(sizes.get("Private_Clean", 0) + sizes.get("Private_Dirty", 0), sizes.get("Pss", 0))


def available_memory_bytes(root: Path = ROOT) -> int | None:
    """Return the most memory that this process may use, None where the system does not tell.

    The smallest counts of physical memory, the limits of the control groups from its own up to the top, and the
    process's own limits (`ulimit -v`, `ulimit -d`). Memory that others hold at the moment is not taken off.
    """
    group_limit = container_memory_bytes(root)
    limits = [*_process_limits(), *_physical_memory(), *([] if group_limit is None else [group_limit])]
    return min(limits, default=None)


def container_memory_bytes(root: Path = ROOT) -> int | None:
    """Return the smallest memory limit of the control groups from the process's own up to the top, None without one."""
    limits: list[int] = []
    for folder in group_folders("memory", root):
        for name in ("memory.max", "memory.limit_in_bytes"):  # version 2, version 1
            # "max", or in version 1 a number beyond all memory, says "no limit".
            found = [int(limit) for limit in read_limit(folder / name)[:1] if limit.isdecimal()]
            limits += [limit for limit in found if limit < NO_MEMORY]
    return min(limits, default=None)


def _process_limits() -> Iterator[int]:
    try:
        import resource  # not there on Windows
    except ImportError:
        return
    for name in ("RLIMIT_AS", "RLIMIT_DATA"):
        limit = resource.getrlimit(getattr(resource, name))[0] if hasattr(resource, name) else resource.RLIM_INFINITY
        if limit != resource.RLIM_INFINITY:
            yield limit


def _physical_memory() -> Iterator[int]:
    if sys.platform == "win32":
        import ctypes

        class MemoryStatus(ctypes.Structure):  # MEMORYSTATUSEX of sysinfoapi.h
            _fields_ = (
                ("length", ctypes.c_ulong),
                ("load", ctypes.c_ulong),
                *((name, ctypes.c_ulonglong) for name in ("physical", "b", "c", "d", "e", "f", "g")),
            )

        status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            yield int(status.physical)
        return
    with contextlib.suppress(ValueError, OSError):  # a system without these names
        yield os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
