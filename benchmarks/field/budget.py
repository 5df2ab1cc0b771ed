"""The time that all of it may take, and the turns that fit into what is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SLACK = 1.2  # a guess: what disturbed turns and their repetitions take more
SHORTEST_S = 0.5  # of a turn: a call or two of the slowest

Turn = tuple[str, int]
"""A contender and a number of callers."""


class Budget:
    """So many seconds from now on. One thread."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._seconds, self._started = clock, seconds, clock()

    @property
    def left_s(self) -> float:
        return self._seconds - (self._clock() - self._started)

    def is_used_by(self, share: float) -> bool:
        """Whether that part of it, 0 to 1, has passed."""
        return self.left_s <= self._seconds * (1 - share)


@dataclass(frozen=True)
class Schedule:
    """So many rounds of turns of so many seconds. left_out: turns that there is no time for. Immutable."""

    rounds: int
    seconds: float
    left_out: tuple[Turn, ...]


def schedule(overheads: Mapping[Turn, float], left_s: float, rounds: int, seconds: float) -> Schedule:
    """The most rounds, and in them the longest turns, that fit; at the most what was asked for, at least one round.

    overheads: seconds that each turn takes beyond its length, for the calls that are under way at its end. The longest
    are left out when not even one round of the shortest turns fits.
    """
    staying = dict(sorted(overheads.items(), key=lambda turn: turn[1]))
    shortest = min(seconds, SHORTEST_S)
    left_out: list[Turn] = []
    while staying:
        for count in range(rounds, 0, -1):
            fitting = (left_s / (count * SLACK) - sum(staying.values())) / len(staying)
            if fitting >= shortest:
                return Schedule(count, min(seconds, round(fitting, 1)), tuple(left_out))
        left_out.append(staying.popitem()[0])
    return Schedule(1, shortest, tuple(left_out))
