"""How many requests may wait, and what happens to one that finds no place."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.validation import positive, shown

QUEUE_SIZE = 1024
MAX_QUEUE_SIZE = 2**20


class OnFull(enum.Enum):
    """What happens to a request that finds no place in the queue."""

    WAIT = "wait"  # its caller waits for a place, until its deadline
    REJECT = "reject"  # it ends with QueueFull
    DROP_OLDEST = "drop_oldest"  # the oldest request of the client that has most waiting ends with Dropped
    LATEST = "latest"  # always, not only when full: what its own client has waiting ends with Dropped


@dataclass(frozen=True)
class QueuePolicy:
    """The queue of a model. Immutable: shared freely.

    size: requests that may wait at once, of all handles on the file together. on_full: "wait", "reject", "drop_oldest"
    or "latest" (see `OnFull`); a call can choose for itself. Raises InvalidOption.
    """

    size: int = QUEUE_SIZE
    on_full: str = OnFull.WAIT.value

    def __post_init__(self) -> None:
        size = positive("size", self.size)
        if size > MAX_QUEUE_SIZE:
            raise InvalidOption(f"size must be at most {MAX_QUEUE_SIZE}, got {shown(self.size)}.")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "on_full", on_full(self.on_full).value)


def on_full(value: Any) -> OnFull:
    """The policy of this name. Raises InvalidOption."""
    try:
        return OnFull(value)
    except (ValueError, TypeError):
        names = ", ".join(repr(policy.value) for policy in OnFull)
        raise InvalidOption(f"on_full must be one of {names}, got {shown(value)}.") from None


DEFAULT_QUEUE = QueuePolicy()
