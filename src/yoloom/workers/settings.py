"""How many worker processes a model has, and how patient their parent is with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from yoloom.errors import BackendUnavailable, InvalidOption
from yoloom.validation import number, positive, shown

MAX_RESTARTS = 10**6


@dataclass(frozen=True)
class Workers:
    """The worker processes of a model. Immutable: shared freely.

    count: how many, at most one for each thread of the budget. restarts, within_s: so many that ended are replaced
    within so many seconds, all workers together; then there are fewer until that time has passed. silence_s: a worker
    without a sign of life for so long is ended, and replaced. run_limit_s: and one that works longer on one image.
    Raises InvalidOption.
    """

    count: int
    restarts: int = 5
    within_s: float = 60.0
    silence_s: float = 5.0
    run_limit_s: float = 300.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "count", positive("workers", self.count))
        object.__setattr__(self, "restarts", _restarts(self.restarts))
        for name in ("within_s", "silence_s", "run_limit_s"):
            object.__setattr__(self, name, _seconds(name, getattr(self, name)))


def asked_workers(asked: Any, threads: int) -> Workers | None:
    """What `YOLO(path, workers=...)` was given: None, a number, or `Workers`.

    threads: the CPU budget, of which each worker gets an equal share. Raises InvalidOption or BackendUnavailable.
    """
    if asked is None:
        return None
    if find_spec("fcntl") is None:  # Windows
        raise BackendUnavailable("worker processes need a POSIX system, such as Linux or macOS: leave workers out.")
    workers = asked if isinstance(asked, Workers) else Workers(asked)
    check_count(workers.count, threads)
    return workers


def check_count(count: int, threads: int) -> None:
    """Raises InvalidOption for more workers than there are threads to share out."""
    if count > threads:
        raise InvalidOption(
            f"workers must be at most {threads}, which is the CPU budget in threads, got {count}: ask for fewer, or "
            f"open the model with threads={count}."
        )


def _restarts(asked: Any) -> int:
    if type(asked) is int and 0 <= asked <= MAX_RESTARTS:
        return asked
    raise InvalidOption(f"restarts must be a whole number of 0 to {MAX_RESTARTS}, got {shown(asked)}.")


def _seconds(name: str, asked: Any) -> float:
    seconds = number(name, asked)
    if not 0 < seconds < math.inf:
        raise InvalidOption(f"{name} must be a positive number of seconds, got {shown(asked)}.")
    return seconds
