"""Does what a process holds at rest go up, lap after lap, under the same load? Pure."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yoloom.verify.resources import Resources

MIB = 2**20
LEAST_LAPS = 5
"""Below, a first lap that warms up can not be told from growth."""

MEMORY_FLOOR = 16 * MIB
MEMORY_SHARE = 0.04
GOES_ON = 0.5  # of the growth in the laps before
BLOCKS_FLOOR = 2000
BLOCKS_PER_REQUEST = 0.5


@dataclass(frozen=True)
class Leak:
    """what: grows. total: from the second lap to the last. per_request: on average. Immutable: shared freely."""

    what: str
    total: float
    per_request: float


def find_leaks(laps: Sequence[Resources]) -> list[Leak]:
    """What has grown steadily. Nothing is said of fewer than LEAST_LAPS laps."""
    if len(laps) < LEAST_LAPS:
        return []
    settled = laps[1:]  # the first one fills caches
    requests = max(1, settled[-1].requests - settled[0].requests)
    floors: dict[str, tuple[Callable[[Resources], int], float]] = {
        "bytes of memory": (lambda lap: lap.memory_bytes, max(MEMORY_FLOOR, MEMORY_SHARE * settled[0].memory_bytes)),
        "blocks of Python objects": (lambda lap: lap.blocks, max(BLOCKS_FLOOR, BLOCKS_PER_REQUEST * requests)),
        "threads": (lambda lap: lap.threads, len(settled) - 1),
        "file descriptors": (lambda lap: lap.descriptors, len(settled) - 1),
    }
    leaks = []
    for what, (measure, floor) in floors.items():
        values = [measure(lap) for lap in settled]
        if grows(values, floor):
            total = float(values[-1] - values[0])
            leaks.append(Leak(what, total, total / requests))
    return leaks


def confirmed(suspected: Sequence[Leak], again: Sequence[Leak]) -> list[Leak]:
    """Of the leaks in as many laps again, those that go on: a cache that fills up slows down, and stops."""
    before = {leak.what: leak.total for leak in suspected}
    return [leak for leak in again if leak.total >= GOES_ON * before.get(leak.what, math.inf)]


def grows(values: Sequence[float], floor: float) -> bool:
    """Whether `values` rise by `floor` at least, by their median slope, in all steps but one, and to the end."""
    ups = sum(later > earlier for earlier, later in itertools.pairwise(values))
    slopes = [
        (values[later] - values[earlier]) / (later - earlier)
        for earlier, later in itertools.combinations(range(len(values)), 2)
    ]
    rise = statistics.median(slopes) * (len(values) - 1)
    late = values[-1] - values[len(values) // 2]
    return rise >= floor and ups >= len(values) - 2 and late > 0.2 * rise
