"""How many CPUs this process may use: those of its affinity mask, and what is left of them by a container's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

from yoloom.errors import InvalidOption
from yoloom.system.cgroups import ROOT, group_folders, read_limit
from yoloom.validation import positive

MAX_THREADS = 1024


def available_cpus() -> int:
    """Return the CPUs that the affinity mask and the container's quota leave to this process, at least 1."""
    return max(1, math.floor(min(affinity_cpus(), container_cpus())))


def cpu_threads(threads: int | None) -> int:
    """Return the CPU budget in threads: `threads`, or all available CPUs for None. Raises InvalidOption."""
    if threads is None:
        return available_cpus()
    count = positive("threads", threads)
    if count > MAX_THREADS:
        raise InvalidOption(f"threads must be at most {MAX_THREADS}, got {threads!r}.")
    return count


def affinity_cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def container_cpus(root: Path = ROOT) -> float:
    """Return how many CPUs' worth of time the control groups allow, infinity without a limit.

    Quotas are nested: each group on the way up has one, and the smallest counts.
    """
    least = math.inf
    for folder in group_folders("cpu", root):
        version2 = read_limit(folder / "cpu.max")
        version1 = read_limit(folder / "cpu.cfs_quota_us") + read_limit(folder / "cpu.cfs_period_us")
        for limit in (version2, version1):
            try:
                quota, period = map(float, limit)  # microseconds of CPU time in each period of so many microseconds
            except ValueError:  # no such file, or the word "max"
                continue
            if quota > 0 and period > 0:  # -1 says "no limit" in version 1
                least = min(least, quota / period)
    return least
