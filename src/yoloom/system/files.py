"""Whether a file is still the one that was read, and how large it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Hashable
from pathlib import Path


def file_identity(files: tuple[Path, ...]) -> Hashable:
    """What tells one version of the files from another: place, inode, size and time of change. Raises OSError."""
    stats = [(os.path.realpath(path), path.stat()) for path in files]
    return tuple((real, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) for real, found in stats)


def files_bytes(files: tuple[Path, ...]) -> int:
    """What the files take on disk, as far as they can be looked at."""
    found = 0
    for path in files:
        with contextlib.suppress(OSError):
            found += path.stat().st_size
    return found
