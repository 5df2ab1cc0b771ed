"""The size of the queue, in requests and in bytes, and the fate of a request that finds no place by default."""

from __future__ import annotations

import math
from dataclasses import dataclass

from yoloom.engine.scheduling.request_terms import OnFull
from yoloom.errors import InvalidOption
from yoloom.system.memory import available_memory_bytes
from yoloom.validation import positive, shown

QUEUE_SIZE = 1024
MAX_QUEUE_SIZE = 2**20

MEMORY_SHARE = 0.25
"""Part of the memory of this process that decoded pictures may fill by default. A guess: a runtime needs its buffers,
and the program has pictures of its own."""


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
    on_full: str = OnFull.WAIT
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        size = positive("size", self.size)
        if size > MAX_QUEUE_SIZE:
            raise InvalidOption(f"size must be at most {MAX_QUEUE_SIZE}, got {shown(self.size)}.")
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "on_full", OnFull(self.on_full))
        if self.max_bytes is not None:
            object.__setattr__(self, "max_bytes", positive("max_bytes", self.max_bytes))

    @property
    def bytes_bound(self) -> float:
        """The bound in bytes, also when it follows from the memory of this process."""
        if self.max_bytes is not None:
            return self.max_bytes
        available = available_memory_bytes()
        return math.inf if available is None else int(available * MEMORY_SHARE)


DEFAULT_QUEUE = QueuePolicy()
