"""Measure one model on this machine: rates, latencies, the bare runtime's ceiling, memory, and start-up."""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from yoloom.bench import process_tree, report
from yoloom.bench.bare import BareRuntime, Image
from yoloom.bench.callers import short
from yoloom.bench.contenders import bare, bare_turns, compare, model_turn, ours, side_by_side
from yoloom.bench.report import BenchReport, Level
from yoloom.bench.rounds import Say, Series, Turn, interleave
from yoloom.bench.startup import start_seconds
from yoloom.engine.lanes.plan import Plan
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.yolo import YOLO


@dataclass(frozen=True)
class BenchSettings:
    """How to measure. Immutable: shared freely. seconds: of one turn of one contender."""

    callers: tuple[int, ...] = (1, 2, 4, 8)
    seconds: float = 2.0
    rounds: int = 3


def measure_model(
    path: str, asked: Mapping[str, Any], images: Sequence[Image], how: BenchSettings, say: Say
) -> BenchReport:
    """Open `path` with the arguments `asked`, and let it and the bare runtime take turns. Raises what `YOLO` raises."""
    pid = os.getpid()
    empty_mib = process_tree.memory_mib(pid)
    with YOLO(path, **asked) as model:
        open_mib = process_tree.memory_mib(pid)
        model_turns = {count: _turn(model, images, count, how.seconds, pid) for count in sorted(set(how.callers))}
        memory_mib = _warm_up(model_turns, pid, say)  # before the bare loops' memory is in this process too
        start_s = start_seconds(pickle.dumps(model), images[0])
        runtime = _bare_runtime(model)
        bare_loops = bare_turns(runtime, images, how.callers, how.seconds)
        for loop in bare_loops.values():
            loop()
        series = interleave(side_by_side(model_turns, bare_loops), how.rounds, say, retries=1)
        promise = asdict(model.guarantee())
    return BenchReport(
        model=os.fspath(path),
        asked=_asked(asked),
        runtime={name: promise[name] for name in ("backend", "version", "device", "precision")},
        images=len(images),
        rounds=how.rounds,
        seconds=how.seconds,
        levels=tuple(_levels(series, model_turns, memory_mib, runtime.optimal)),
        start_s=dict(start_s),
        empty_mib=_short(empty_mib),
        open_mib=_short(open_mib),
        taken_by_others=short(max(sample.elsewhere for one in series.values() for sample in one.samples)),
        machine=report.machine(),
        versions=report.versions_of(),
    )


def _asked(given: Mapping[str, Any]) -> dict[str, Any]:
    """As plain values: of a plan what was set, by its names."""
    plain: dict[str, Any] = {}
    for name, value in given.items():
        if isinstance(value, Plan):
            parts = {part: getattr(value, part) for part in ("streams", "lanes", "batch")}
            plain |= {part: number for part, number in parts.items() if number is not None}
        else:
            plain[name] = value if isinstance(value, (str, int)) else repr(value)
    return plain


def _turn(model: YOLO, images: Sequence[Image], callers: int, seconds: float, pid: int) -> Turn:
    own_seconds = functools.partial(process_tree.cpu_seconds, pid)  # worker processes are its own too
    return functools.partial(model_turn, model, images, callers, seconds, own_seconds)


def _warm_up(turns: Mapping[int, Turn], pid: int, say: Say) -> dict[int, float | None]:
    """Memory in MiB after a turn of each number of callers, in rising order."""
    memory = {}
    for count, turn in turns.items():
        turn()
        memory[count] = _short(process_tree.memory_mib(pid))
        say(f"warm-up  {ours(count)}")
    return memory


def _bare_runtime(model: YOLO) -> BareRuntime:
    promise, threads = model.guarantee(), model.statistics().threads
    return BareRuntime(
        model.model, find_backend(promise.backend, promise.device), threads, Precision(promise.precision)
    )


def _levels(
    series: Mapping[str, Series], callers: Mapping[int, Turn], memory_mib: Mapping[int, float | None], optimal: int
) -> list[Level]:
    compared = compare(series, list(callers), optimal)
    return [_level(series, count, compared[str(count)], memory_mib[count]) for count in callers]


def _level(series: Mapping[str, Series], count: int, compared: Mapping[str, Any], memory_mib: float | None) -> Level:
    mine, theirs = series[ours(count)].report(), series[compared["ceiling"]].report()
    same, ratio = series[bare(count)].report(), compared["over_ceiling"]
    return Level(
        callers=count,
        images_per_s=mine["images_per_s"]["median"],
        p50_ms=mine["p50_ms"],
        p99_ms=mine["p99_ms"],
        cpu_ms_per_image=mine["cpu_ms_per_image"]["median"],
        bare=compared["ceiling"],
        bare_images_per_s=theirs["images_per_s"]["median"],
        bare_p50_ms=same["p50_ms"],
        bare_p99_ms=same["p99_ms"],
        ratio=ratio["median"],
        ratio_min=ratio["min"],
        ratio_max=ratio["max"],
        memory_mib=memory_mib,
    )


def _short(mib: float | None) -> float | None:
    return None if mib is None else short(mib)
