"""Contenders that take turns: what slows the machine for a while slows them all, and a ratio stays what it is.

Only the standard library, see `callers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from yoloom.bench.callers import Sample, percentile, spread

CALM = 0.04
"""A turn counts at once when others took no more than this part of the machine."""

RETRIES = 3

Turn = Callable[[], Sample]
Say = Callable[[str], None]


@dataclass
class Series:
    """The turns of one contender. One thread at a time."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [sample.images_per_s for sample in self.samples]

    @property
    def median_rate(self) -> float:
        return spread(self.rates)["median"]

    def report(self) -> dict[str, Any]:
        latencies = sorted(latency for sample in self.samples for latency in sample.latencies_ms)
        return {
            "images_per_s": spread(self.rates),
            "p50_ms": percentile(latencies, 50),
            "p99_ms": percentile(latencies, 99),
            "cpu_ms_per_image": spread([sample.cpu_ms for sample in self.samples]),
            "taken_by_others": spread([sample.elsewhere for sample in self.samples]),
        }


def interleave(
    contenders: Mapping[str, Turn], rounds: int, say: Say = lambda _line: None, retries: int = RETRIES
) -> dict[str, Series]:
    """Give each contender a turn in each round; rounds begin with different ones, so that no place is always first."""
    series = {name: Series() for name in contenders}
    for number in range(rounds):
        for name in shifted(list(contenders), number, rounds):
            sample = calmest(contenders[name], retries)
            series[name].samples.append(sample)
            say(f"round {number + 1}/{rounds}  {told(name, sample)}")
    return series


def shifted(names: Sequence[str], number: int, rounds: int) -> list[str]:
    """The names in the order of round `number`."""
    shift = number * len(names) // rounds
    return [*names[shift:], *names[:shift]]


def told(name: str, sample: Sample) -> str:
    """A turn in one line."""
    return (
        f"{name:28} {sample.images_per_s:7.2f} images/s  {sample.cpu_ms:6.1f} cpu ms"
        f"  {sample.elsewhere:4.0%} taken by others"
    )


def calmest(turn: Turn, retries: int = RETRIES) -> Sample:
    """A turn; one that others disturbed is repeated a few times, and the least disturbed counts."""
    best = turn()
    for _ in range(retries):
        if best.elsewhere <= CALM:
            break
        best = min(best, turn(), key=lambda sample: sample.elsewhere)
    return best


def ratios(series: Series, rival: Series) -> dict[str, float]:
    """Ours over theirs, round by round: what slows the machine for a while slows both."""
    return spread([ours / theirs for ours, theirs in zip(series.rates, rival.rates, strict=True)])
