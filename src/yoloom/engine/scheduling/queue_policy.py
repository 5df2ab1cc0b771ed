"""The size of the queue, and the fate of a request that finds no place."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.system.memory import available_memory_bytes
from yoloom.validation import positive, shown

QUEUE_SIZE = 1024
MAX_QUEUE_SIZE = 2**20

MEMORY_SHARE = 0.25
"""Part of the memory of this process that decoded pictures may fill by default. A guess: a runtime needs its buffers,
and the program has pictures of its own."""


class OnFull(enum.Enum):
    """Fate of a request that finds no place in the queue."""

    WAIT = "wait"  # its caller waits for a place, until its deadline
    REJECT = "reject"  # it ends with QueueFull
    DROP_OLDEST = "drop_oldest"  # the oldest request of the client that has most waiting ends with Dropped
    LATEST = "latest"  # always, not only when full: the waiting requests of its own client end with Dropped


@dataclass(frozen=True)
class QueuePolicy:
    """The queue of a model.

    Thread safety: any number of threads (immutable).

    Attributes:
        size: Requests that may wait at once, of all handles on the file together.
        on_full: "wait", "reject", "drop_oldest" or "latest", see `OnFull`; a call can choose for itself.
        max_bytes: Bytes of decoded pictures that may wait, run, or be on their way to their callers; None for a quarter
            of the memory that this process may use. A picture larger than that runs when it is alone.

    Raises:
        InvalidOption: A number is none or out of its range, or the name is unknown.
    """

    size: int = QUEUE_SIZE
    on_full: str = OnFull.WAIT.value
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        size = positive("size", self.size)
        if size > MAX_QUEUE_SIZE:
            raise InvalidOption(f"size must be at most {MAX_QUEUE_SIZE}, got {shown(self.size)}.")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "on_full", on_full(self.on_full).value)
        if self.max_bytes is not None:
            object.__setattr__(self, "max_bytes", positive("max_bytes", self.max_bytes))

    @property
    def bytes_bound(self) -> float:
        """The bound in bytes, also when it follows from the memory of this process."""
        if self.max_bytes is not None:
            return self.max_bytes
        available = available_memory_bytes()
        return math.inf if available is None else int(available * MEMORY_SHARE)


def on_full(value: Any) -> OnFull:
    """Find the policy of a name. Raises InvalidOption."""
    try:
        return OnFull(value)
    except (ValueError, TypeError):
        names = ", ".join(repr(policy.value) for policy in OnFull)
        raise InvalidOption(f"on_full must be one of {names}, got {shown(value)}.") from None


DEFAULT_QUEUE = QueuePolicy()
