"""Measures one model on this machine: rates, latencies, the bare runtime's ceiling, memory, and start-up."""

from __future__ import annotations

import functools
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from yoloom.bench import bench_report, process_tree
from yoloom.bench.bench_report import BenchLevel, BenchReport
from yoloom.bench.callers import short
from yoloom.bench.contenders import BareRuntime, Image, bare, bare_turns, compare, model_turn, ours, side_by_side
from yoloom.bench.rounds import Progress, Turn, interleave
from yoloom.bench.startup import start_seconds
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.yolo import YOLO

SPARE = 0.15
"""The part of the turns that may be taken again because others disturbed them: the whole keeps to the time asked."""


@dataclass(frozen=True)
class BenchSettings:
    """How to measure. Immutable: shared freely.

    Attributes:
        callers: numbers of callers to measure with.
        seconds: of one turn of one contender.
        rounds: turns of each contender.
    """

    callers: tuple[int, ...] = (1, 2, 4, 8)
    seconds: float = 2.0
    rounds: int = 3


def measure_model(
    path: str, options: Mapping[str, Any], images: Sequence[Image], settings: BenchSettings, progress: Progress
) -> BenchReport:
    """Open a model, and let it and the bare runtime take turns.

    Args:
        path: of the model's file.
        options: `YOLO` is opened with these.
        images: (H, W, 3) uint8 BGR each.
        settings: how to measure.
        progress: gets a line for each turn.

    Raises:
        YoloomError: as `YOLO` and its calls do.
    """
    pid = os.getpid()
    empty_mib = process_tree.memory_mib(pid)
    with YOLO(path, **options) as model:
        open_mib = process_tree.memory_mib(pid)
        own_seconds = functools.partial(process_tree.cpu_seconds, pid)  # worker processes are its own too
        model_turns: dict[int, Turn] = {
            count: functools.partial(model_turn, model, images, count, settings.seconds, own_seconds)
            for count in sorted(set(settings.callers))
        }
        memory_mib = {}
        for count, turn in model_turns.items():  # before the bare loops' memory is in this process too
            turn()
            memory_mib[count] = _short(process_tree.memory_mib(pid))
            progress(f"warm-up  {ours(count)}")
        start_s = start_seconds(pickle.dumps(model), images[0])
        guarantee = model.guarantee()
        backend = find_backend(guarantee.backend, model.device)
        runtime = BareRuntime(model.model, backend, model.statistics().threads, Precision(guarantee.precision))
        bare_loops = bare_turns(runtime, images, settings.callers, settings.seconds)
        for loop in bare_loops.values():
            loop()
        contenders = side_by_side(model_turns, bare_loops)
        turns = settings.rounds * len(contenders)
        progress(f"{turns} turns, about {turns * settings.seconds:.0f} s")
        spare = int(SPARE * (turns + len(contenders)))  # the others were the warm-ups
        series = interleave(contenders, settings.rounds, progress, retries=1, all_retries=spare)
        promise = asdict(model.guarantee())
    compared = compare(series, list(model_turns), runtime.optimal)
    levels = []
    for count in model_turns:
        rival = compared[str(count)]
        mine, theirs = series[ours(count)].report(), series[rival["ceiling"]].report()
        same, ratio = series[bare(count)].report(), rival["over_ceiling"]
        levels.append(
            BenchLevel(
                callers=count,
                images_per_s=mine["images_per_s"]["median"],
                p50_ms=mine["p50_ms"],
                p99_ms=mine["p99_ms"],
                cpu_ms_per_image=mine["cpu_ms_per_image"]["median"],
                bare=rival["ceiling"],
                bare_images_per_s=theirs["images_per_s"]["median"],
                bare_p50_ms=same["p50_ms"],
                bare_p99_ms=same["p99_ms"],
                ratio=ratio["median"],
                ratio_min=ratio["min"],
                ratio_max=ratio["max"],
                memory_mib=memory_mib[count],
            )
        )
    return BenchReport(
        model=os.fspath(path),
        asked=_plain(options),
        runtime={name: promise[name] for name in ("backend", "version", "device", "precision")},
        images=len(images),
        rounds=settings.rounds,
        seconds=settings.seconds,
        levels=tuple(levels),
        start_s=dict(start_s),
        empty_mib=_short(empty_mib),
        open_mib=_short(open_mib),
        taken_by_others=short(max(sample.elsewhere for one in series.values() for sample in one.samples)),
        machine=bench_report.machine(),
        versions=bench_report.versions_of(),
    )


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As plain values: of a plan only the parts that were set, by their names."""
    plain: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, Plan):
            parts = {part: getattr(value, part) for part in ("streams", "lanes", "batch")}
            plain |= {part: number for part, number in parts.items() if number is not None}
        else:
            plain[name] = value if isinstance(value, (str, int)) else repr(value)
    return plain


def _short(mib: float | None) -> float | None:
    return None if mib is None else short(mib)
