"""The control groups of this process (Linux): containers, systemd slices and batch systems set their limits there.

A process is in one group of each hierarchy, and the limits of every group above hold for it too. Version 2 has one
hierarchy for all controllers, version 1 one for each; a machine may have both.

```
/proc/self/cgroup             0::/jobs/night           version 2
                              4:cpu,cpuacct:/jobs      version 1
/sys/fs/cgroup/jobs/night/    cpu.max, memory.max      version 2
/sys/fs/cgroup/cpu/jobs/      cpu.cfs_quota_us         version 1
```
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path("/")


def group_folders(controller: str, root: Path = ROOT) -> Iterator[Path]:
    """Yield the folders whose files limit this process: its own group and all above it, in each hierarchy.

    Args:
        controller: "cpu" or "memory".
        root: Where the file system begins; tests give a folder of their own.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux, or a sandbox without /proc
        lines = []
    mounted = root / "sys/fs/cgroup"
    groups = {mounted: "/", mounted / controller: "/"}  # the container's own group, whatever the lines say
    for line in lines:
        _, controllers, path = ["", *line.split(":", 2), "", ""][1:4]
        if not controllers:
            groups |= {mounted: path, mounted / "unified": path}
        elif controller in controllers.split(","):
            groups |= {mounted / controller: path, mounted / controllers: path}
    for mount, path in groups.items():
        # Inside a container the path may be that of the host, of which nothing is mounted: only the folders that exist
        # count, and the mount itself is then the container's group. ".." stands for groups outside of it.
        below = PurePosixPath(*(part for part in path.split("/") if part not in ("", ".", "..")))
        yield from (mount / folder for folder in (below, *below.parents))


def read_limit(file: Path) -> list[str]:
    """Return the words of a limit's file, none when there is no such limit here."""
    try:
        return file.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []
