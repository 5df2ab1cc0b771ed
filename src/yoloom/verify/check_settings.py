"""Validates the arguments of a check, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.validation import number, positive, shown

THREADS = (1, 2, 8, 64)
SECONDS = 20.0
CASES = 36
LAPS = 6
FEWEST_LAPS = 2
HANG_AFTER_S = 30.0
OVERLAP = 0.75  # a guess: seconds that overlapping requests take, for each second that they take alone


@dataclass(frozen=True)
class CheckSettings:
    """How to check. Immutable: shared freely.

    Attributes:
        threads: callers at once, each number in turn.
        asyncio: whether as many tasks ask too.
        seconds: for all concurrent runs together.
        rounds: so many laps in place of `seconds`.
        seed: of cases, order, pauses and cancellations.
        tolerance: None for the target's own, see `Answer.difference`.
        hang_after: seconds; None for as long as the queue allows for.
        cases: how many different ones.
    """

    threads: tuple[int, ...]
    asyncio: bool
    seconds: float
    rounds: int | None
    seed: int
    tolerance: float | None
    hang_after: float | None
    cases: int

    @property
    def levels(self) -> list[tuple[str, int]]:
        """Mode and callers of each crowd of a lap."""
        modes = ("threads", "asyncio") if self.asyncio else ("threads",)
        return [(mode, callers) for mode in modes for callers in self.threads]

    def laps(self, usual_s: float) -> int:
        """Return how many laps fit when each caller asks at least once. usual_s: of one request alone."""
        if self.rounds is not None:
            return self.rounds
        lap_s = OVERLAP * usual_s * sum(callers for _, callers in self.levels)
        return max(FEWEST_LAPS, min(LAPS, int(self.seconds / lap_s) if lap_s else LAPS))

    def hang_after_s(self, callers: int = 1, slowest_s: float = 0.0) -> float:
        """Return how long a request may be under way: all callers could be served twice, slowly."""
        if self.hang_after is not None:
            return self.hang_after
        return max(HANG_AFTER_S, 4 * callers * slowest_s)


def parse_settings(
    threads: Any = THREADS,
    asyncio: bool = False,
    seconds: Any = SECONDS,
    rounds: Any = None,
    seed: Any = 0,
    tolerance: Any = None,
    hang_after: Any = None,
    cases: Any = CASES,
) -> CheckSettings:
    """Validate the arguments of `check`. Raises InvalidOption."""
    counts = threads if isinstance(threads, Sequence) and not isinstance(threads, str) else [threads]
    if not counts:
        raise InvalidOption("threads must be one number or several, got none.")
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise InvalidOption(f"seed must be a whole number, got {shown(seed)}.")
    if tolerance is not None and not 0 <= number("tolerance", tolerance) < math.inf:
        raise InvalidOption(f"tolerance must be 0 or more, got {shown(tolerance)}.")
    return CheckSettings(
        threads=tuple(positive("threads", count) for count in counts),
        asyncio=asyncio,
        seconds=_seconds("seconds", seconds, "in {} s nothing can be shown. Give some, or rounds instead"),
        rounds=None if rounds is None else positive("rounds", rounds),
        seed=seed,
        tolerance=None if tolerance is None else number("tolerance", tolerance),
        hang_after=None if hang_after is None else _seconds("hang_after", hang_after, "no request ends within {} s"),
        cases=positive("cases", cases),
    )


def _seconds(name: str, value: Any, reason: str) -> float:
    seconds = number(name, value)
    if not 0 < seconds < math.inf:
        raise InvalidOption(f"{name} must be a positive number: {reason.format(f'{seconds:g}')}.")
    return seconds
