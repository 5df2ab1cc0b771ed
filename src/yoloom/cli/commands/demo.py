"""`yoloom demo`: threads share one model, with different options, and get what a sequential run gets.

The pictures are drawn on the spot (`yoloom.scenes`) and the model comes with the package.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yoloom.assets import DEMO_MODEL
from yoloom.cli.commands.shared_run import Job, Run, run_jobs
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.memory import MIB, resident_bytes
from yoloom.cli.progress import progress_bar
from yoloom.cli.stderr import tell
from yoloom.cli.table import print_facts
from yoloom.results.drawing.contact_sheet import Image, contact_sheet
from yoloom.results.export_results import save_image
from yoloom.scenes import scene
from yoloom.yolo import YOLO

SHOWN_SEEDS = (3_000_007, 3_000_041, 3_000_015, 3_000_037, 3_000_048, 3_000_027)
FIRST_SEED = 3_000_100
SHEET_COLUMNS = 3
TILE_WH = (480, 360)

OPTIONS: tuple[Mapping[str, Any], ...] = (
    {},
    {"conf": 0.6, "imgsz": 320},
    {"classes": ["car", "house", "boat"]},
    {"max_det": 3, "imgsz": 480},
    {"conf": 0.05, "iou": 0.4, "imgsz": 320},
    {"imgsz": (320, 480), "classes": ["apple", "fish", "rocket"]},
    {"conf": 0.4, "iou": 0.9, "imgsz": 480},
    {"agnostic_nms": True, "imgsz": 256},
)
"""What the threads ask for, in turn: had they a state to mix up, the bits would differ."""


def run(arguments: argparse.Namespace) -> ExitCode:
    """Race, compare, draw, and say how it went."""
    threads = arguments.threads
    jobs = _jobs(arguments.images, threads)
    with YOLO(DEMO_MODEL) as model:
        _warm_up(model, jobs)
        before = resident_bytes()
        shared = _run(f"{threads} threads, one model", model, jobs, threads)
        alone = _run("one after the other", model, jobs, 1)
        print_facts(sys.stdout, _facts(shared, alone, threads, before))
        sys.stdout.flush()
        saved = _save_pictures(model, Path(arguments.output))
    sys.stdout.write("".join(f"{path}\n" for path in ("", *saved)))
    return _verdict(shared.identical_to(alone), len(jobs))


def _jobs(count: int, threads: int) -> list[Job]:
    """Every thread gets every picture, with options of its own."""
    pictures = _draw_scenes(-(-count // threads))
    return [Job(pictures[index // threads], OPTIONS[index % threads % len(OPTIONS)]) for index in range(count)]


def _draw_scenes(count: int) -> list[Image]:
    pictures = []
    with progress_bar("drawing scenes", count) as advance:
        for number in range(count):
            pictures.append(scene(FIRST_SEED + number).image)
            advance(number + 1)
    return pictures


def _warm_up(model: YOLO, jobs: Sequence[Job]) -> None:
    """Until both forms are compiled and every lane was busy: they are the model's, and no thread's, memory."""
    some = jobs[: 2 * len(OPTIONS)]
    with progress_bar("warming up", len(some)) as advance:
        while len(model.statistics().forms) < 2:
            run_jobs(model, some, 2, advance)
        run_jobs(model, some, model.statistics().lanes, advance)


def _run(what: str, model: YOLO, jobs: Sequence[Job], threads: int) -> Run:
    with progress_bar(what, len(jobs)) as advance:
        return run_jobs(model, jobs, threads, advance)


def _facts(shared: Run, alone: Run, threads: int, before: int) -> list[tuple[str, str]]:
    count = len(shared.outcomes)
    return [
        ("images", str(count)),
        ("threads", f"{threads}, sharing one model, with {min(threads, len(OPTIONS))} sets of options"),
        ("images/s", f"{shared.images_per_second:.1f} ({alone.images_per_second:.1f} one after the other)"),
        ("latency p50, p99", f"{shared.latency_ms(50):.1f} ms, {shared.latency_ms(99):.1f} ms"),
        ("identical to a sequential run", f"{shared.identical_to(alone)}/{count}"),
        ("memory", _memory(shared.peak_bytes, before, threads)),
    ]


def _memory(peak: int, before: int, threads: int) -> str:
    if not peak:
        return "not told by this system"
    extra = max(0, peak - before) / threads
    return f"{peak / MIB:.0f} MiB in all, {extra / MIB:.1f} MiB of it for each thread and its image"


def _save_pictures(model: YOLO, folder: Path) -> list[str]:
    plots, saved = [], []
    for seed in until_interrupted(SHOWN_SEEDS):
        [results] = model.predict(scene(seed).image)
        plots.append(results.plot())
        saved.append(save_image(plots[-1], folder / f"scene-{seed}.jpg"))
    sheet = contact_sheet(plots, SHEET_COLUMNS, TILE_WH)
    return [*saved, *(save_image(picture, folder / "demo.png") for picture in until_interrupted([sheet]))]


def _verdict(identical: int, count: int) -> ExitCode:
    if identical == count:
        return ExitCode.OK
    tell(f"error: {count - identical} of {count} results differ from the sequential run; please report this.")
    return ExitCode.SOME_FAILED
