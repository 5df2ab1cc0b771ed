"""Durations in fixed memory: buckets on a logarithmic scale, from a microsecond to ten hours.

```
bucket       0        1        2                    k                     417
 ms     0 ─ 0.001 ─ 0.00106 ─ 0.00112 ─ ... ─ 0.001 · 1.06^k ─ ... ─ over ten hours
```

A quantile is the middle of the bucket that it falls into, so it is at most 3 % off.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.06
"""Upper edge of a bucket over its lower edge. The geometric middle is within sqrt(1.06) - 1 = 2.96 % of both."""

SMALLEST_MS = 1e-3
LARGEST_MS = 36e6
_PER_LOG = 1 / math.log(GROWTH)
_BUCKETS = math.ceil(math.log(LARGEST_MS / SMALLEST_MS) * _PER_LOG) + 2


@dataclass(frozen=True)
class Distribution:
    """How durations were spread, in milliseconds. Immutable: shared freely.

    p50_ms, p95_ms, p99_ms: the smallest duration that so many percent did not exceed, within 3 %; below a microsecond
    it reads as a microsecond at most, above ten hours as ten hours. mean_ms and max_ms are exact. All are 0 when count
    is.
    """

    count: int = 0
    mean_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Histogram:
    """Counts durations. Shared freely. Counting many at once costs a tenth of counting one by one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._sum_ms = 0.0
        self._max_ms = 0.0

    def record(self, durations_ms: Sequence[float]) -> None:
        """Count durations. A negative one counts as 0."""
        if not durations_ms:
            return
        at_least_zero = np.maximum(np.asarray(durations_ms, np.float64), 0.0)
        counts = np.bincount(_buckets(at_least_zero), minlength=_BUCKETS)
        sum_ms, max_ms = float(at_least_zero.sum()), float(at_least_zero.max())
        with self._lock:
            self._counts += counts
            self._sum_ms += sum_ms
            self._max_ms = max(self._max_ms, max_ms)

    def distribution(self) -> Distribution:
        """What was recorded until now."""
        with self._lock:
            reached, sum_ms, max_ms = self._counts.cumsum(), self._sum_ms, self._max_ms
        count = int(reached[-1])
        if not count:
            return Distribution()
        p50_ms, p95_ms, p99_ms = (min(_quantile(reached, percent), max_ms) for percent in (50, 95, 99))
        return Distribution(count, sum_ms / count, p50_ms, p95_ms, p99_ms, max_ms)


def _buckets(durations_ms: NDArray[np.float64]) -> NDArray[np.intp]:
    """(N,) durations → (N,) buckets."""
    inside = np.clip(durations_ms, SMALLEST_MS, LARGEST_MS)
    above = 1 + (np.log(inside / SMALLEST_MS) * _PER_LOG).astype(np.intp)
    return np.where(durations_ms > SMALLEST_MS, above, 0)


def _quantile(reached: NDArray[np.int64], percent: int) -> float:
    """reached: for each bucket, how many durations are in it or below."""
    rank = -(-int(reached[-1]) * percent // 100)  # rounded up, in whole numbers
    bucket = int(np.searchsorted(reached, rank))
    return float(SMALLEST_MS * GROWTH ** (bucket - 0.5)) if bucket else SMALLEST_MS
