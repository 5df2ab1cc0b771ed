"""How a check is asked for, checked before anything runs."""

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
PATIENCE_S = 30.0
ALONE = 0.75  # a guess: how long requests take that overlap, for each second that they take alone


@dataclass(frozen=True)
class Settings:
    """Immutable. tolerance, hang_after: None for what suits the target. rounds: takes the place of seconds."""

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

    def laps(self, mean_s: float) -> int:
        """As many as fit when each caller asks at least once."""
        if self.rounds is not None:
            return self.rounds
        one_s = ALONE * mean_s * sum(callers for _, callers in self.levels)
        return max(FEWEST_LAPS, min(LAPS, int(self.seconds / one_s) if one_s else LAPS))

    def patience_s(self, callers: int = 1, slowest_s: float = 0.0) -> float:
        """How long a request may be under way: all callers could be served twice, slowly."""
        if self.hang_after is not None:
            return self.hang_after
        return max(PATIENCE_S, 4 * callers * slowest_s)


def parse_settings(
    threads: Any = THREADS,
    asyncio: bool = False,
    seconds: Any = SECONDS,
    rounds: Any = None,
    seed: Any = 0,
    tolerance: Any = None,
    hang_after: Any = None,
    cases: Any = CASES,
) -> Settings:
    """Raises InvalidOption."""
    return Settings(
        threads=_levels(threads),
        asyncio=asyncio,
        seconds=_seconds("seconds", seconds, "in {} s nothing can be shown. Give some, or rounds instead"),
        rounds=None if rounds is None else positive("rounds", rounds),
        seed=_seed(seed),
        tolerance=None if tolerance is None else _tolerance(tolerance),
        hang_after=None if hang_after is None else _seconds("hang_after", hang_after, "no request ends within {} s"),
        cases=positive("cases", cases),
    )


def _levels(threads: Any) -> tuple[int, ...]:
    counts = threads if isinstance(threads, Sequence) and not isinstance(threads, str) else [threads]
    if not counts:
        raise InvalidOption("threads must be one number or several, got none.")
    return tuple(positive("threads", count) for count in counts)


def _seconds(name: str, value: Any, otherwise: str) -> float:
    seconds = number(name, value)
    if not 0 < seconds < math.inf:
        raise InvalidOption(f"{name} must be a positive number: {otherwise.format(f'{seconds:g}')}.")
    return seconds


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidOption(f"seed must be a whole number, got {shown(value)}.")
    return value


def _tolerance(value: Any) -> float:
    tolerance = number("tolerance", value)
    if not 0 <= tolerance < math.inf:
        raise InvalidOption(f"tolerance must be 0 or more, got {shown(value)}.")
    return tolerance
