"""Files as versions: which one is there, how large it is, and how a new one takes its place."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path


def file_identity(files: tuple[Path, ...]) -> Hashable:
    """Return what tells one version of the files from another: place, inode, size and time of change.

    Raises:
        OSError: One of them can not be looked at.
    """
    stats = [(os.path.realpath(path), path.stat()) for path in files]
    return tuple((real, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns) for real, stat in stats)


def files_bytes(files: tuple[Path, ...]) -> int:
    """Return the bytes that the files take on disk, without those that can not be looked at."""
    total = 0
    for path in files:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write a file or a folder to; in the end it takes the place of `path`.

    Whoever looks at `path` meanwhile sees the old one, whole, or the new one, whole. When the block raises, or writes
    nothing, `path` stays as it was, and nothing is left beside it.

    Raises:
        OSError: The folder can not take it.
    """
    # The random part makes the name this writer's own: threads and processes that write `path` at the same time never
    # meet in one part, and the last of them to finish wins.
    part, old = (path.with_name(f".{path.name}.{secrets.token_hex(8)}.{kind}") for kind in ("part", "old"))
    try:
        yield part
        if path.is_dir():
            path.rename(old)  # no system replaces a folder in one step
            try:
                part.rename(path)
            except OSError:
                old.rename(path)
                raise
        else:
            part.replace(path)
    finally:
        for rest in (part, old):
            if rest.is_dir() and not rest.is_symlink():
                shutil.rmtree(rest)
            else:
                rest.unlink(missing_ok=True)
