"""Counts durations in fixed memory: buckets on a logarithmic scale, from a microsecond to ten hours.

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

GROWTH = 1.06
"""Upper edge of a bucket over its lower edge. The geometric middle is within sqrt(1.06) - 1 = 2.96 % of both."""

SMALLEST_MS = 1e-3
LARGEST_MS = 36e6
_PER_LOG = 1 / math.log(GROWTH)
_BUCKETS = math.ceil(math.log(LARGEST_MS / SMALLEST_MS) * _PER_LOG) + 2


@dataclass(frozen=True)
class Distribution:
    """Spread of durations, in milliseconds; all are 0 when `count` is. Immutable: shared freely.

    The percentiles are within 3 %. Below a microsecond they read as a microsecond at most, above ten hours as ten
    hours.

    Attributes:
        count: of durations.
        mean_ms: exact.
        p50_ms: the smallest duration that 50 % did not exceed.
        p95_ms: the smallest duration that 95 % did not exceed.
        p99_ms: the smallest duration that 99 % did not exceed.
        max_ms: exact.
    """

    count: int = 0
    mean_ms: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Histogram:
    """Counts durations in buckets. Thread safety: any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all that follows
        self._counts = np.zeros(_BUCKETS, np.int64)
        self._sum_ms = 0.0
        self._max_ms = 0.0

    def add(self, duration_ms: float) -> None:
        """Count one duration. A negative one counts as 0."""
        duration_ms = max(duration_ms, 0.0)
        # The bucket of one number, as `record` finds it for an array, in a tenth of the time.
        inside = min(duration_ms, LARGEST_MS)
        bucket = 1 + int(math.log(inside / SMALLEST_MS) * _PER_LOG) if inside > SMALLEST_MS else 0
        with self._lock:
            self._counts[bucket] += 1
            self._sum_ms += duration_ms
            self._max_ms = max(self._max_ms, duration_ms)

    def record(self, durations_ms: Sequence[float]) -> None:
        """Count many durations, each for a tenth of the cost of `add`. Negative ones count as 0."""
        if not durations_ms:
            return
        at_least_zero = np.maximum(np.asarray(durations_ms, np.float64), 0.0)
        inside = np.clip(at_least_zero, SMALLEST_MS, LARGEST_MS)
        # Bucket k > 0 holds SMALLEST_MS · GROWTH^(k-1) to SMALLEST_MS · GROWTH^k.
        above = 1 + (np.log(inside / SMALLEST_MS) * _PER_LOG).astype(np.intp)
        counts = np.bincount(np.where(at_least_zero > SMALLEST_MS, above, 0), minlength=_BUCKETS)
        sum_ms, max_ms = float(at_least_zero.sum()), float(at_least_zero.max())
        with self._lock:
            self._counts += counts
            self._sum_ms += sum_ms
            self._max_ms = max(self._max_ms, max_ms)

    def merge(self, other: Histogram) -> None:
        """Add all that another histogram has counted until now."""
        with other._lock:  # one lock after the other: two histograms may be merged into each other at once
            counts, sum_ms, max_ms = other._counts.copy(), other._sum_ms, other._max_ms
        with self._lock:
            self._counts += counts
            self._sum_ms += sum_ms
            self._max_ms = max(self._max_ms, max_ms)

    def distribution(self) -> Distribution:
        """Return the spread of all that was counted until now."""
        with self._lock:
            reached, sum_ms, max_ms = self._counts.cumsum(), self._sum_ms, self._max_ms
        count = int(reached[-1])
        if not count:
            return Distribution()
        quantiles = []
        for percent in (50, 95, 99):
            rank = -(-count * percent // 100)  # rounded up, in whole numbers
            bucket = int(np.searchsorted(reached, rank))
            # The geometric middle of the bucket's edges.
            middle_ms = float(SMALLEST_MS * GROWTH ** (bucket - 0.5)) if bucket else SMALLEST_MS
            quantiles.append(min(middle_ms, max_ms))
        p50_ms, p95_ms, p99_ms = quantiles
        return Distribution(count, sum_ms / count, p50_ms, p95_ms, p99_ms, max_ms)
