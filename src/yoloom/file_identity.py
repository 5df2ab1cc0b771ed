"""Whether a file is still the one that was read."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path


def file_identity(files: tuple[Path, ...]) -> Hashable:
    """What tells one version of the files from another: place, inode, size and time of change. Raises OSError."""
    stats = [(os.path.realpath(path), path.stat()) for path in files]
    return tuple((real, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) for real, found in stats)
