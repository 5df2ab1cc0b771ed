"""Names the contenders for each number of callers, pairs them with their rivals, and compares their turns."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from yoloom.bench.bare import BareRuntime, Image, in_turns
from yoloom.bench.callers import Sample, Seconds, Work, run_callers
from yoloom.bench.rounds import Series, Turn, ratios
from yoloom.yolo import YOLO


def model_turn(model: YOLO, images: Sequence[Image], callers: int, seconds: float, own_seconds: Seconds) -> Sample:
    """Take one turn of `callers` threads that share `model`, each with options at their defaults."""

    def caller(number: int) -> Work:
        turns = in_turns(images, number)
        return lambda: model.predict(next(turns), verbose=False)

    return run_callers([caller(number) for number in range(callers)], seconds, own_seconds)


def ours(callers: int) -> str:
    """Return the name of the shared model with so many callers."""
    return f"yoloom {callers}"


def bare(callers: int) -> str:
    """Return the name of the bare loop with so many callers."""
    return "bare latency 1" if callers == 1 else f"bare throughput {callers}"


def bare_turns(
    runtime: BareRuntime, images: Sequence[Image], callers: Sequence[int], seconds: float
) -> dict[str, Turn]:
    """Return the bare loops by name: with as many callers, with as many as the runtime calls optimal, and one more."""
    counts = {*callers} if set(callers) == {1} else {*callers, *_ceiling_counts(runtime.optimal)}
    return {bare(count): functools.partial(runtime.turn, images, count, seconds) for count in sorted(counts)}


def side_by_side(model_turns: Mapping[int, Turn], bare_loops: Mapping[str, Turn]) -> dict[str, Turn]:
    """Return all turns by name, rivals next to each other, in the same seconds."""
    turns: dict[str, Turn] = {}
    for count, turn in sorted(model_turns.items()):
        turns[ours(count)] = turn
        turns[bare(count)] = bare_loops[bare(count)]
    return {**turns, **{name: loop for name, loop in bare_loops.items() if name not in turns}}


def compare(series: Mapping[str, Series], callers: Sequence[int], optimal: int) -> dict[str, Any]:
    """Return by number of callers the ratio of ours to the ceiling, and to the bare loop with the same number."""
    compared = {}
    for count in callers:
        rivals = {bare(count)} if count == 1 else {bare(count), *map(bare, _ceiling_counts(optimal))}
        ceiling = max((name for name in sorted(rivals) if name in series), key=lambda name: series[name].median_rate)
        compared[str(count)] = {
            "over_same_callers": ratios(series[ours(count)], series[bare(count)]),
            "ceiling": ceiling,
            "over_ceiling": ratios(series[ours(count)], series[ceiling]),
        }
    return compared


def _ceiling_counts(optimal: int) -> list[int]:
    return [count for count in (optimal, optimal + 1) if count > 1]
