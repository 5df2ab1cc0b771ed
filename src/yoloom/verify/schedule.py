"""Plans the requests of each caller from a seed, and deals out the time for the concurrent runs."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yoloom.sync.clock import Clock, monotonic

MAX_PAUSE_S = 0.004
MAX_LIMIT_S = 0.02
LONGEST_STREAM = 4
LEAST_AT_ONCE_S = 2.0
"""A check of fewer seconds has them all for the concurrent runs."""


class RequestKind(enum.Enum):
    """Ways to send a case to the target.

    MAP: as a stream of several pictures with the same options. CANCEL: submitted, and cancelled after a moment.
    DEADLINE: with a very short timeout.
    """

    PREDICT = "predict"
    SUBMIT = "submit"
    MAP = "map"
    CANCEL = "cancel"
    DEADLINE = "deadline"


WEIGHTS = {
    RequestKind.PREDICT: 10,
    RequestKind.SUBMIT: 4,
    RequestKind.MAP: 2,
    RequestKind.CANCEL: 2,
    RequestKind.DEADLINE: 1,
}


@dataclass(frozen=True)
class CallerStep:
    """One request of a caller. Immutable.

    Attributes:
        cases: their numbers: several for a stream, else one.
        kind: how it is sent.
        pause_s: seconds to wait before it.
        limit_s: seconds until it is cancelled or its deadline passes, where its kind has such a thing.
    """

    cases: tuple[int, ...]
    kind: RequestKind
    pause_s: float = 0.0
    limit_s: float = 0.0

    @property
    def case(self) -> int:
        """The first case, or the only one."""
        return self.cases[0]


def steps(
    seed: str,
    caller: int,
    cases: int,
    kinds: Sequence[RequestKind] = (RequestKind.PREDICT,),
    option_sets: int = 1,
) -> Iterator[CallerStep]:
    """Yield the steps of one caller, endlessly: a function of the arguments and of nothing else.

    All cases come up before one comes again.

    Args:
        seed: of the whole crowd, whose callers begin with different cases.
        caller: number of the caller in its crowd.
        cases: how many there are: each picture with the same sets of options.
        kinds: to choose from, by `WEIGHTS`.
        option_sets: how many sets there are. The pictures of a stream have one in common.
    """
    rng = random.Random(f"{seed}/{caller}")  # noqa: S311  must repeat, and guards nothing
    # The first case comes from the crowd's seed, so that no two callers begin with the same one while there are enough.
    order = [random.Random(seed).sample(range(cases), cases)[caller % cases]]  # noqa: S311
    weights = [WEIGHTS[kind] for kind in kinds]
    while True:
        for case in order:
            kind = rng.choices(kinds, weights)[0]
            pause_s = rng.uniform(0, MAX_PAUSE_S) if rng.random() < 0.25 else 0.0
            length = rng.randint(1, LONGEST_STREAM) if kind is RequestKind.MAP else 1
            stream = tuple((case + option_sets * place) % cases for place in range(length))
            yield CallerStep(stream, kind, pause_s, rng.uniform(0, MAX_LIMIT_S))
        order = rng.sample(range(cases), cases)


def seconds_at_once(asked_s: float, passed_s: float) -> float:
    """Return how long the concurrent runs take of the seconds of a check, of which some have passed.

    They are what a check is for: however long it took to prepare them, half of the seconds are theirs, and the first
    `LEAST_AT_ONCE_S`.
    """
    return max(asked_s / 2, min(asked_s, LEAST_AT_ONCE_S), asked_s - passed_s)


class TimeBudget:
    """Seconds for a number of levels in turn; each gets an even part of the time that those before it have left.

    Thread safety: one thread at a time.
    """

    def __init__(self, seconds: float | None, levels: int, clock: Clock = monotonic) -> None:
        """Start the clock.

        Args:
            seconds: for all levels together, None for no limit.
            levels: how many will ask for their part.
            clock: seconds, rising.
        """
        self._clock = clock
        self._until = None if seconds is None else clock() + seconds
        self._levels = levels

    def next_s(self) -> float | None:
        """Return the part of the level that begins now: 0 when others have used it up, None for no limit."""
        left = self._left_s()
        part = None if left is None else left / self._levels
        self._levels = max(1, self._levels - 1)
        return part

    @property
    def is_used_up(self) -> bool:
        """Whether no time is left."""
        return self._left_s() == 0

    def _left_s(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - self._clock())
