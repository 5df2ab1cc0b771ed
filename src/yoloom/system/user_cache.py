"""The folder of this user where yoloom keeps what it can fetch or make again."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def user_cache() -> Path:
    r"""Return `YOLOOM_CACHE`, or the system's place for the caches of a program. Creates nothing.

    `~/.cache/yoloom` (or below `XDG_CACHE_HOME`) on Linux, `~/Library/Caches/yoloom` on macOS,
    `%LOCALAPPDATA%\yoloom\Cache` on Windows. The environment is read at each call. Thread safety: any number of
    threads.

    Raises:
        RuntimeError: This user has no home folder.
    """
    if own := os.environ.get("YOLOOM_CACHE"):
        return Path(own)
    from platformdirs import user_cache_dir  # here: most processes that never open a model never need it

    folder = Path(user_cache_dir("yoloom", appauthor=False))
    # A relative XDG_CACHE_HOME counts as none, by its specification; and without a home folder "~" stays in the path.
    return folder if folder.is_absolute() else Path.home() / ".cache" / "yoloom"


def check_own(folder: Path) -> None:
    """Raise OSError for a folder of the cache that is a symbolic link: what lies behind it may be anything."""
    if folder.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link", str(folder))


def own_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder of the cache that match `pattern`, none behind a symbolic link."""
    if folder.is_symlink():
        return []
    return [path for path in folder.glob(pattern) if not path.is_symlink()]
