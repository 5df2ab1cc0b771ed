"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from yoloom.errors import InvalidOption
from yoloom.validation import positive

MAX_THREADS = 1024

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1_QUOTA = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
_CGROUP_V1_PERIOD = Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us")


def available_cpus() -> int:
    """CPUs that the affinity mask and the container's quota leave to this process, at least 1."""
    return max(1, math.floor(min(affinity_cpus(), container_cpus())))


def cpu_threads(asked: int | None) -> int:
    """The CPU budget in threads: what was asked for, else what is there. Raises InvalidOption."""
    if asked is None:
        return available_cpus()
    threads = positive("threads", asked)
    if threads > MAX_THREADS:
        raise InvalidOption(f"threads must be at most {MAX_THREADS}, got {asked!r}.")
    return threads


def affinity_cpus() -> int:
    """CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def container_cpus() -> float:
    """CPUs' worth of time that the container may use, infinity without a limit."""
    try:
        if _CGROUP_V2.exists():
            quota, period = _CGROUP_V2.read_text().split()[:2]
        else:
            quota, period = _CGROUP_V1_QUOTA.read_text(), _CGROUP_V1_PERIOD.read_text()
        return float(quota) / float(period) if float(quota) > 0 else math.inf
    except (OSError, ValueError):  # no such limit here, or the word "max"
        return math.inf
