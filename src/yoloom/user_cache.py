"""The folder of this user where yoloom keeps what it can fetch or make again."""

from __future__ import annotations

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
