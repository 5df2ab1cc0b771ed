"""`yoloom tune MODEL`: measure which plan is fastest on this machine, and keep it for `YOLO(path, plan="auto")`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.stderr import report_line
from yoloom.cli.table import print_facts, print_table
from yoloom.engine.tuning.plans import Subject, plans, tune
from yoloom.engine.tuning.tuner import Tuning
from yoloom.errors import UnsupportedOption
from yoloom.formats.read import describe
from yoloom.runtime.precision import find_precision
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import CPU_BACKENDS, find_backend, parse_device
from yoloom.store.locate import locate
from yoloom.system.cpus import cpu_threads


def run(arguments: argparse.Namespace) -> ExitCode:
    """Measure, keep the fastest plan, and show what was measured."""
    threads = cpu_threads(arguments.threads)
    device = parse_device(arguments.device)
    if device != "cpu":
        raise UnsupportedOption(
            f"plans are measured for CPUs, got --device {arguments.device}: a GPU takes batch= and max_wait_ms= of "
            "YOLO(...), see docs/gpu.md."
        )
    backend = find_backend(arguments.backend or CPU_BACKENDS[0], device)
    precision = find_precision(arguments.precision, backend)
    model = describe(locate(arguments.model), arguments.task, layout=arguments.layout)
    subject = Subject(model, backend, threads, precision)
    report_line(f"measuring for about {arguments.seconds:g} seconds; nothing else should use the CPUs meanwhile")
    watched = sys.stderr is not None and sys.stderr.isatty()
    tuning = tune(subject, arguments.seconds, report_line if watched else lambda _words: None)
    kept = plans().keep(subject, tuning)
    if arguments.json:
        sys.stdout.write(json.dumps(_facts(tuning, precision, kept), indent=2) + "\n")
    else:
        columns = ("streams", "lanes", "batch", "images/s", "of default")
        rows = [(one.streams, one.lanes, one.batch, one.images_per_s, one.ratio) for one in tuning.candidates]
        print_table(sys.stdout, columns, rows)
        print_facts(
            sys.stdout,
            [
                ("precision", precision.value),
                ("chosen", tuning.plan.because),
                ("kept in", "nothing" if kept is None else kept),
            ],
        )
    return ExitCode.OK


def _facts(tuning: Tuning, precision: Precision, kept: Path | None) -> dict[str, Any]:
    return {
        "plan": dataclasses.asdict(tuning.plan),
        "precision": precision.value,
        "candidates": [
            {
                "streams": candidate.streams,
                "lanes": candidate.lanes,
                "batch": candidate.batch,
                "images_per_s": round(candidate.images_per_s, 2),
                "ratio": round(candidate.ratio, 3),
            }
            for candidate in tuning.candidates
        ],
        "seconds": round(tuning.seconds, 1),
        "kept": None if kept is None else str(kept),
    }
