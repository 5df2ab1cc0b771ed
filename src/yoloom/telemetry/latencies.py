"""How long requests took, in memory that does not grow with their number."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

SHORTEST_S = 1e-6
STEPS_PER_OCTAVE = 16  # one bucket is 4.4 % wide
BUCKETS = 32 * STEPS_PER_OCTAVE  # up to more than an hour


class Latencies:
    """Counts by length, on a scale of logarithms. One thread at a time."""

    def __init__(self) -> None:
        self._counts = np.zeros(BUCKETS, np.int64)

    def __len__(self) -> int:
        return int(self._counts.sum())

    def add(self, seconds: float) -> None:
        place = int(STEPS_PER_OCTAVE * math.log2(max(seconds, SHORTEST_S) / SHORTEST_S))
        self._counts[min(place, BUCKETS - 1)] += 1

    def merge(self, other: Latencies) -> None:
        self._counts += other._counts

    def percentile_s(self, percent: float) -> float:
        """In seconds, the middle of a bucket; NaN without any."""
        total = len(self)
        if not total:
            return math.nan
        wanted = max(1, math.ceil(total * percent / 100))
        place = int(np.searchsorted(np.cumsum(self._counts), wanted))
        return SHORTEST_S * float(2 ** ((place + 0.5) / STEPS_PER_OCTAVE))


def merged(some: Iterable[Latencies]) -> Latencies:
    """All of them together, in new counts."""
    together = Latencies()
    for one in some:
        together.merge(one)
    return together
