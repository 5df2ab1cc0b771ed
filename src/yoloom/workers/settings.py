"""The settings of a model's worker processes: how many there are, and how patient their parent is with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from yoloom.errors import BackendUnavailable, InvalidOption
from yoloom.runtime.registry import parse_device
from yoloom.validation import number, positive, shown

MAX_RESTARTS = 10**6


@dataclass(frozen=True)
class Workers:
    """The worker processes of a model, for `YOLO(path, workers=Workers(...))`. Immutable.

    Thread safety: any number of threads.

    Args:
        count: How many processes, at most one for each thread of the budget.
        restarts: How many processes that ended are replaced within `within_s`, all workers together. After that there
            are fewer workers until the time has passed.
        within_s: The time, in seconds, in which restarts are counted.
        silence_s: Seconds without a sign of life after which a worker is killed and replaced.
        run_limit_s: Seconds on one image after which a worker is killed and replaced.
        devices: Devices that the workers take in turn, as `YOLO(path, device=...)` takes one: `[0, 1]` for two GPUs.
            None for the device of the model.

    Raises:
        InvalidOption: A value is out of its range.
        UnknownDevice: A device is none.
    """

    count: int
    restarts: int = 5
    within_s: float = 60.0
    silence_s: float = 5.0
    run_limit_s: float = 300.0
    devices: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", positive("workers", self.count))
        if type(self.restarts) is not int or not 0 <= self.restarts <= MAX_RESTARTS:
            raise InvalidOption(f"restarts must be a whole number of 0 to {MAX_RESTARTS}, got {shown(self.restarts)}.")
        for name in ("within_s", "silence_s", "run_limit_s"):
            value = getattr(self, name)
            seconds = number(name, value)
            if not 0 < seconds < math.inf:
                raise InvalidOption(f"{name} must be a positive number of seconds, got {shown(value)}.")
            object.__setattr__(self, name, seconds)
        if self.devices is not None:
            if isinstance(self.devices, str) or not isinstance(self.devices, Sequence) or not self.devices:
                raise InvalidOption(f"devices must be a list of devices, got {shown(self.devices)}: [0, 1].")
            object.__setattr__(self, "devices", tuple(map(parse_device, self.devices)))


def parse_workers(value: Any, threads: int) -> Workers | None:
    """Convert the argument of `YOLO(path, workers=...)`: None, a number, or `Workers`.

    Args:
        value: The argument.
        threads: The CPU budget, of which each worker gets an equal share.

    Raises:
        InvalidOption: It is none of those, or more workers than threads.
        BackendUnavailable: The system has no worker processes.
    """
    if value is None:
        return None
    if find_spec("fcntl") is None:  # Windows
        raise BackendUnavailable("worker processes need a POSIX system, such as Linux or macOS: leave workers out.")
    workers = value if isinstance(value, Workers) else Workers(value)
    check_count(workers.count, threads)
    return workers


def check_count(count: int, threads: int) -> None:
    """Raise InvalidOption for more workers than there are threads to share out."""
    if count > threads:
        raise InvalidOption(
            f"workers must be at most {threads}, which is the CPU budget in threads, got {count}: ask for fewer, or "
            f"open the model with threads={count}."
        )
