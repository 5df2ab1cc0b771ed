"""The folder of this user where yoloom keeps what it can fetch or make again."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def user_cache() -> Path:
    """`YOLOOM_CACHE`, or `yoloom` in the user's cache. Read at each call; creates nothing. Threads: anybody.

    Raises RuntimeError when there is no home folder.
    """
    if own := os.environ.get("YOLOOM_CACHE"):
        return Path(own)
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "yoloom"


def check_own(folder: Path) -> None:
    """Raise OSError for a folder of the cache that is a symbolic link: what lies behind it may be anything."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link", str(folder))


def own_files(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder of the cache that match, and none behind a symbolic link."""
    if folder.is_symlink():
        return []
    return [path for path in folder.glob(pattern) if not path.is_symlink()]
