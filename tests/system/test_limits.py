"""CPUs and memory that nested control groups leave to a process, read from trees made up on the spot."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from yoloom.system import cpus, memory
from yoloom.system.cgroups import group_folders
from yoloom.system.cpus import affinity_cpus, available_cpus, container_cpus
from yoloom.system.memory import MIB, ProcessMemory, available_memory_bytes, memory_of, resident_bytes

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes /proc/self/cgroup, and files below /sys/fs/cgroup, to a folder and returns it."""

    def write(groups: str | None, **files: str) -> Path:
        if groups is not None:
            (tmp_path / "proc/self").mkdir(parents=True)
            (tmp_path / "proc/self/cgroup").write_text(groups)
        for name, content in files.items():
            path = tmp_path / "sys/fs/cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content + "\n")
        return tmp_path

    return write


# ---- CPUs


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, math.inf),
        ({"jobs/night/cpu.max": "200000 100000"}, 2.0),
        ({"jobs/night/cpu.max": "400000 100000", "jobs/cpu.max": "50000 50000", "cpu.max": "max 100000"}, 1.0),
        ({"jobs/night/cpu.max": "max 100000", "jobs/cpu.max": "300000 100000"}, 3.0),
        ({"jobs/day/cpu.max": "100000 100000"}, math.inf),  # somebody else's
        ({"jobs/night/deeper/cpu.max": "100000 100000"}, math.inf),
        ({"jobs/night/cpu.max": "nonsense", "jobs/cpu.max": "", "cpu.max": "100000 0"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_smallest_quota_up_the_tree_counts(tree: Tree, files: dict[str, str], expected: float) -> None:
    assert container_cpus(tree("0::/jobs/night\n", **files)) == expected


@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ({"docker/ab": "200000", "": "-1"}, 2.0),
        ({"docker/ab": "-1", "docker": "100000"}, 1.0),
        ({"": "50000"}, 0.5),  # in a container, where the path of the host leads nowhere
        ({"docker/ab": "-1"}, math.inf),
    ],
)
def test_quotas_of_version_1(tree: Tree, mount: str, quotas: dict[str, str], expected: float) -> None:
    files = {}
    for group, quota in quotas.items():
        files |= {f"{mount}/{group}/cpu.cfs_quota_us": quota, f"{mount}/{group}/cpu.cfs_period_us": "100000"}
    groups = "12:pids:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n0::/\n"
    assert container_cpus(tree(groups, **files)) == expected


def test_both_versions_at_once(tree: Tree) -> None:
    files = {
        "unified/user/cpu.max": "300000 100000",
        "cpu/cpu.cfs_quota_us": "200000",
        "cpu/cpu.cfs_period_us": "100000",
    }
    assert container_cpus(tree("4:cpu,cpuacct:/\n0::/user\n", **files)) == 2.0


@pytest.mark.parametrize("groups", [None, "", "nonsense\n:\n::\n", "0::/../../other\n", "0::/a:b/c\n"])
def test_the_container_itself_limits_whatever_the_lines_say(tree: Tree, groups: str | None) -> None:
    assert container_cpus(tree(groups, **{"cpu.max": "100000 100000"})) == 1.0


def test_a_group_outside_of_the_container_is_not_looked_for(tree: Tree, tmp_path: Path) -> None:
    root = tree("0::/../../../../etc\n")
    assert all(str(folder).startswith(str(tmp_path / "sys/fs/cgroup")) for folder in group_folders("cpu", root))
    assert not any(".." in folder.parts for folder in group_folders("cpu", root))


def test_a_group_with_a_colon_in_its_name(tree: Tree) -> None:
    assert container_cpus(tree("0::/a:b/c\n", **{"a:b/cpu.max": "700000 100000"})) == 7.0


def test_at_least_one_cpu_is_there(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree("0::/\n", **{"cpu.max": "10000 100000"})
    assert container_cpus(root) == 0.1
    monkeypatch.setattr(cpus, "container_cpus", lambda: 0.1)
    assert available_cpus() == 1


def test_the_cpus_of_this_process() -> None:
    assert 1 <= available_cpus() <= affinity_cpus() <= (os.cpu_count() or 1)


# ---- Memory


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/jobs/night\n", {"jobs/night/memory.max": str(64 * MIB), "jobs/memory.max": "max"}, 64),
        ("0::/jobs/night\n", {"jobs/night/memory.max": "max", "jobs/memory.max": str(32 * MIB)}, 32),
        ("0::/jobs/night\n", {"jobs/night/memory.max": str(64 * MIB), "memory.max": str(16 * MIB)}, 16),
        ("9:memory:/a\n", {"memory/a/memory.limit_in_bytes": str(48 * MIB)}, 48),
        ("9:memory:/host/a\n", {"memory/memory.limit_in_bytes": str(24 * MIB)}, 24),
    ],
)
def test_the_smallest_limit_up_the_tree_counts(tree: Tree, groups: str, files: dict[str, str], expected: int) -> None:
    assert available_memory_bytes(tree(groups, **files)) == expected * MIB


@pytest.mark.parametrize("limit", ["max", "", "nonsense", "9223372036854771712"])
def test_without_a_limit_physical_memory_counts(tree: Tree, limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_process_limits", lambda: iter(()))
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_memory_bytes(tree("0::/\n", **{"memory.max": limit})) == physical


def test_a_system_that_does_not_tell(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(memory, "_process_limits", lambda: iter(()))
    monkeypatch.setattr(os, "sysconf", unknown)
    assert available_memory_bytes(tree(None)) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_the_limits_of_the_process_count(name: str) -> None:
    resource = pytest.importorskip("resource")
    code = f"""
import resource
from yoloom.system.memory import available_memory_bytes
resource.setrlimit(resource.{name}, ({2**31}, resource.getrlimit(resource.{name})[1]))
print(available_memory_bytes() <= {2**31})
"""
    del resource
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout == "True\n"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux tells")
def test_the_memory_that_is_held() -> None:
    held = memory_of(os.getpid())
    assert 0 < held.unique <= held.proportional <= 2 * resident_bytes()
    assert memory_of(None) == memory_of(2**22 + 1) == ProcessMemory()
