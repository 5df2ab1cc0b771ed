"""`yoloom bench MODEL`: measure a model on this machine, next to the bare runtime."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from yoloom.assets import PICTURES
from yoloom.bench.bench_report import BenchLevel, BenchReport
from yoloom.bench.contenders import Image
from yoloom.bench.measure import BenchSettings, measure_model
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_all_inputs
from yoloom.cli.stderr import report_line
from yoloom.cli.table import print_facts, print_table
from yoloom.errors import InvalidOption
from yoloom.images.decode import decode_image
from yoloom.results.save import save_image
from yoloom.runtime.plan import Plan
from yoloom.telemetry.charts import LineChart, render_image

BUNDLED = 2  # pictures that come with the package, for a bench without --images
COLUMNS = ("callers", "images/s", "bare", "ratio", "p50 ms", "p99 ms", "bare p50", "cpu ms/image", "memory MiB")


def run(arguments: argparse.Namespace) -> ExitCode:
    """Measure, and write a table or one JSON object, and a picture if one was asked for."""
    if arguments.png is not None:  # before minutes are spent
        if Path(arguments.png).suffix.lower() != ".png":
            raise InvalidOption(f"--png {arguments.png}: expected a name that ends in .png.")
        if not Path(arguments.png).absolute().parent.is_dir():
            raise InvalidOption(f"--png {arguments.png}: there is no such folder.")
    options = _opening_options(arguments)
    paths = find_all_inputs(arguments.images) or PICTURES[:BUNDLED]
    images = [np.ascontiguousarray(decode_image(path)) for path in paths]
    settings = BenchSettings(tuple(arguments.threads), arguments.seconds, arguments.rounds)
    watched = sys.stderr is not None and sys.stderr.isatty()
    report = measure_model(arguments.model, options, images, settings, report_line if watched else lambda _line: None)
    if arguments.png is not None:
        report_line(f"plot: {save_image(picture(report), Path(arguments.png))}")
    if arguments.json:
        sys.stdout.write(f"{json.dumps(report.to_dict())}\n")
    else:
        print_facts(sys.stdout, _facts(report))
        sys.stdout.write("\n")
        print_table(sys.stdout, COLUMNS, [_row(level) for level in report.levels])
    return ExitCode.OK


def picture(report: BenchReport) -> Image:
    """Draw rates and latencies by number of callers, side by side."""
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
    return render_image(
        [
            LineChart(rates, "callers", "images/s", f"{name}: throughput", log_x=True),
            LineChart(latencies, "callers", "ms", "latency", log_x=True),
        ]
    )


def _opening_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments that `YOLO` is opened with: only those that were given."""
    if arguments.workers is not None and arguments.batch is not None:
        raise InvalidOption("--batch is for the threads of one process: leave it out, or --workers.")
    options = {
        "task": arguments.task,
        "backend": arguments.backend,
        "device": arguments.device,
        "threads": arguments.cpus,
        "workers": arguments.workers,
        "precision": arguments.precision,
        "plan": None if arguments.batch is None else Plan(batch=arguments.batch),
    }
    return {name: value for name, value in options.items() if value is not None}


def _facts(report: BenchReport) -> list[tuple[str, str]]:
    runtime, start, memory = report.runtime, report.start_s, "not available on this system"
    if report.open_mib is not None and report.empty_mib is not None:
        memory = f"{report.open_mib:.0f} MiB when open, {report.empty_mib:.0f} of it before"
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
        ("memory", memory),
    ]


def _row(level: BenchLevel) -> tuple[object, ...]:
    memory = "" if level.memory_mib is None else round(level.memory_mib)
    rates = (
        level.images_per_s,
        level.bare_images_per_s,
        f"{level.ratio:.2f} ({level.ratio_min:.2f}-{level.ratio_max:.2f})",
    )
    latencies = round(level.p50_ms, 1), round(level.p99_ms, 1), round(level.bare_p50_ms, 1)
    return (level.callers, *rates, *latencies, round(level.cpu_ms_per_image, 1), memory)
