"""`yoloom bench MODEL`: how fast is it on this machine, and how close to the bare runtime?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from yoloom.bench.bare import Image
from yoloom.bench.measure import BenchSettings, measure_model
from yoloom.bench.report import BenchReport, Level
from yoloom.bench.rounds import Say
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_inputs
from yoloom.cli.stderr import tell
from yoloom.cli.table import print_facts, print_table
from yoloom.engine.lanes.plan import Plan
from yoloom.errors import InvalidOption
from yoloom.images.decode import decode_image
from yoloom.results.export_results import save_image
from yoloom.scenes import scene
from yoloom.telemetry.bench_chart import Chart, draw_charts

SCENE_SEEDS = (3_000_007, 3_000_041)
COLUMNS = ("callers", "images/s", "bare", "ratio", "p50 ms", "p99 ms", "bare p50", "cpu ms/image", "memory MiB")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Measure, and show it as a table or one JSON object; the picture of it where one is asked for."""
    _check_picture(arguments.png)  # before minutes are spent
    asked = _asked(arguments)
    images = _images(arguments.images)
    how = BenchSettings(tuple(arguments.threads), arguments.seconds, arguments.rounds)
    with _progress() as say:
        report = measure_model(arguments.model, asked, images, how, say)
    if arguments.png is not None:
        tell(f"plot: {save_image(picture(report), Path(arguments.png))}")
    if arguments.json:
        sys.stdout.write(f"{json.dumps(report.to_dict())}\n")
    else:
        print_facts(sys.stdout, _facts(report))
        sys.stdout.write("\n")
        print_table(sys.stdout, COLUMNS, [_row(level) for level in report.levels])
    return ExitCode.OK


def picture(report: BenchReport) -> Image:
    """Rates and latencies by callers, side by side."""
    rates = {
        "yoloom": [(float(level.callers), level.images_per_s) for level in report.levels],
        "bare runtime": [(float(level.callers), level.bare_images_per_s) for level in report.levels],
    }
    latencies = {
        "p50": [(float(level.callers), level.p50_ms) for level in report.levels],
        "p99": [(float(level.callers), level.p99_ms) for level in report.levels],
        "bare p50": [(float(level.callers), level.bare_p50_ms) for level in report.levels],
    }
    name = Path(report.model).name
    return draw_charts([Chart(f"{name}: throughput", "images/s", rates), Chart("latency", "ms", latencies)])


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `YOLO` is opened with: only what was asked for."""
    if arguments.workers is not None and arguments.batch is not None:
        raise InvalidOption("--batch is for the threads of one process: leave it out, or --workers.")
    given = {
        "task": arguments.task,
        "backend": arguments.backend,
        "threads": arguments.cpus,
        "workers": arguments.workers,
        "precision": arguments.precision,
        "plan": None if arguments.batch is None else Plan(batch=arguments.batch),
    }
    return {name: value for name, value in given.items() if value is not None}


def _images(given: Sequence[str]) -> list[Image]:
    """Decoded before, as arrays; bundled scenes when none are named."""
    if not given:
        return [scene(seed).image for seed in SCENE_SEEDS]
    inputs = find_inputs(given)
    for error in inputs.missing.values():
        raise error
    return [np.ascontiguousarray(decode_image(path)) for path in inputs.images]


def _check_picture(path: str | None) -> None:
    if path is None:
        return
    if Path(path).suffix.lower() != ".png":
        raise InvalidOption(f"--png {path}: expected a name that ends in .png.")
    if not Path(path).absolute().parent.is_dir():
        raise InvalidOption(f"--png {path}: there is no such folder.")


@contextmanager
def _progress() -> Iterator[Say]:
    """Each turn as a line, where somebody watches."""
    watched = sys.stderr is not None and sys.stderr.isatty()
    yield tell if watched else lambda _line: None


def _facts(report: BenchReport) -> list[tuple[str, str]]:
    runtime, start = report.runtime, report.start_s
    return [
        ("model", report.model),
        ("opened with", ", ".join(f"{name}={value}" for name, value in report.asked.items())),
        ("runtime", f"{runtime['backend']} {runtime['version']}, {runtime['device']}, {runtime['precision']}"),
        ("machine", f"{report.machine['cpu']}, {report.machine['cores']} CPUs"),
        ("turns", f"{report.rounds} of {report.seconds:g} s for each row and contender, in turn"),
        (
            "taken by others",
            f"{report.taken_by_others:.0%} of the machine at most; above a few per cent, measure again",
        ),
        ("start to first result", f"{start['total']:.2f} s (import {start['import']:.2f}, open {start['open']:.2f})"),
        ("memory", _memory(report)),
    ]


def _memory(report: BenchReport) -> str:
    if report.open_mib is None or report.empty_mib is None:
        return "not told by this system"
    return f"{report.open_mib:.0f} MiB when open, {report.empty_mib:.0f} of it before"


def _row(level: Level) -> tuple[object, ...]:
    memory = "" if level.memory_mib is None else round(level.memory_mib)
    rates = (
        level.images_per_s,
        level.bare_images_per_s,
        f"{level.ratio:.2f} ({level.ratio_min:.2f}-{level.ratio_max:.2f})",
    )
    latencies = round(level.p50_ms, 1), round(level.p99_ms, 1), round(level.bare_p50_ms, 1)
    return (level.callers, *rates, *latencies, round(level.cpu_ms_per_image, 1), memory)
