"""Wishes of a user for the profile that serves many callers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.validation import number, positive, shown

MAX_LANES = 1024
MAX_BATCH = 256
MAX_WAIT_MS = 10_000.0


@dataclass(frozen=True)
class Plan:
    """How a network is compiled and run for many callers. None leaves a number to the runtime.

    Results have the same bits with every plan on a CPU; for GPUs see `YOLO.guarantee`.

    Thread safety: any number of threads (immutable).

    Attributes:
        streams: Images computed at once, each with its share of the CPU budget.
        lanes: Contexts in use; one more than there are streams keeps them busy while Python fetches a result.
        batch: Most images that a lane runs at once, all of one size. None takes the size that the graph was exported
            for, or 1 on a CPU, and a device's own sizes there.
        because: Reason for these numbers.
        max_wait_ms: How long the first ready request may wait for others while a lane is idle, in milliseconds.

    Raises:
        InvalidOption: A number is none, or out of its range.
    """

    streams: int | None = None
    lanes: int | None = None
    batch: int | None = None
    because: str = field(default="the runtime's own choice", compare=False)
    max_wait_ms: float | None = None

    def __post_init__(self) -> None:
        for name, most in (("streams", MAX_LANES), ("lanes", MAX_LANES), ("batch", MAX_BATCH)):
            value: Any = getattr(self, name)
            if value is not None:
                count = positive(name, value)
                if count > most:
                    raise InvalidOption(f"{name} must be at most {most}, got {shown(value)}.")
                object.__setattr__(self, name, count)
        if self.max_wait_ms is not None:
            wait_ms = number("max_wait_ms", self.max_wait_ms)
            if not (math.isfinite(wait_ms) and 0 <= wait_ms <= MAX_WAIT_MS):
                raise InvalidOption(f"max_wait_ms must be from 0 to {MAX_WAIT_MS:g}, got {shown(self.max_wait_ms)}.")
            object.__setattr__(self, "max_wait_ms", float(wait_ms))
        if not isinstance(self.because, str):
            raise InvalidOption(f"because must be a text, got {shown(self.because)}.")


DEFAULT_PLAN = Plan()
