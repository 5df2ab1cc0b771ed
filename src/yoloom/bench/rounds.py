"""Lets contenders take turns: a slow minute of the machine slows them all, and their ratio stays what it is.

Only the standard library, see `callers`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yoloom.bench.callers import Sample, percentile, spread

CALM = 0.04
"""A turn counts at once when others took no more than this part of the machine."""

RETRIES = 3

Turn = Callable[[], Sample]
Progress = Callable[[str], None]
"""Gets a line about each turn."""


@dataclass
class Series:
    """The turns of one contender. Thread safety: one thread at a time."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        """Images per second of each turn."""
        return [sample.images_per_s for sample in self.samples]

    def report(self) -> dict[str, Any]:
        """Return rates, latencies and CPU time, as in the JSON of a benchmark."""
        latencies = sorted(latency for sample in self.samples for latency in sample.latencies_ms)
        return {
            "images_per_s": spread(self.rates),
            "p50_ms": percentile(latencies, 50),
            "p99_ms": percentile(latencies, 99),
            "cpu_ms_per_image": spread([sample.cpu_ms for sample in self.samples]),
            "taken_by_others": spread([sample.elsewhere for sample in self.samples]),
        }


def interleave(
    contenders: Mapping[str, Turn],
    rounds: int,
    progress: Progress = lambda _line: None,
    retries: int = RETRIES,
    all_retries: int | None = None,
) -> dict[str, Series]:
    """Give each contender a turn in each round; rounds begin with different ones, so that none is always first.

    Args:
        contenders: their turns, by name.
        rounds: how many turns each contender gets.
        progress: gets a line about each turn.
        retries: of a turn that others disturbed, see `calmest`.
        all_retries: of all turns together, so that a busy machine does not make it take twice as long; None for any.
    """
    series = {name: Series() for name in contenders}
    begun = counted = 0

    def take(turn: Turn) -> Sample:
        nonlocal begun
        begun += 1
        return turn()

    for number in range(rounds):
        for name in shifted(list(contenders), number, rounds):
            spare = retries if all_retries is None else min(retries, all_retries - (begun - counted))
            sample = calmest(functools.partial(take, contenders[name]), spare)
            counted += 1
            series[name].samples.append(sample)
            progress(f"round {number + 1}/{rounds}  {report_line(name, sample)}")
    return series


def shifted(names: Sequence[str], number: int, rounds: int) -> list[str]:
    """Return the names in the order of round `number`."""
    shift = number * len(names) // rounds
    return [*names[shift:], *names[:shift]]


def report_line(name: str, sample: Sample) -> str:
    """Return a turn in one line."""
    return (
        f"{name:28} {sample.images_per_s:7.2f} images/s  {sample.cpu_ms:6.1f} cpu ms"
        f"  {sample.elsewhere:4.0%} taken by others"
    )


def calmest(turn: Turn, retries: int = RETRIES) -> Sample:
    """Take a turn; one that others disturbed is repeated a few times, and the least disturbed counts."""
    best = turn()
    for _ in range(retries):
        if best.elsewhere <= CALM:
            break
        best = min(best, turn(), key=lambda sample: sample.elsewhere)
    return best


def ratios(series: Series, rival: Series) -> dict[str, float]:
    """Return the spread of the ratios of both rates, round by round: a slow minute of the machine slows both."""
    return spread([ours / theirs for ours, theirs in zip(series.rates, rival.rates, strict=True)])
