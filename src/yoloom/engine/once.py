"""Something that may happen once, whoever comes first."""

from __future__ import annotations

import threading


class Once:
    """True for the first `take`, False for all others. Shared freely; safe in finalizers, for it never waits."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def take(self) -> bool:
        return self._lock.acquire(blocking=False)

    @property
    def taken(self) -> bool:
        return self._lock.locked()
