"""How much memory a process holds, where the system tells (Linux)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Memory:
    """Bytes. unique: pages that no other process has. proportional: those, and its share of common ones."""

    unique: int = 0
    proportional: int = 0


def memory_of(pid: int | None) -> Memory:
    """Zeros for a process that is gone, or on a system that does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return Memory()
    found = {name: int(value.split()[0]) * 1024 for name, value in (line.split(":", 1) for line in lines)}
    return Memory(found.get("Private_Clean", 0) + found.get("Private_Dirty", 0), found.get("Pss", 0))
