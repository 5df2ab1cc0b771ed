"""`yoloom tune MODEL`: which plan is fastest on this machine? It is kept for `YOLO(path, plan="auto")`."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
from pathlib import Path
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.stderr import tell
from yoloom.cli.table import print_facts, print_table
from yoloom.engine.tuning.plans import Subject, plans, tune
from yoloom.engine.tuning.tuner import Tuning
from yoloom.formats.read import read_model
from yoloom.runtime.registry import find_backend
from yoloom.store.conversions import convert
from yoloom.store.hub import resolve
from yoloom.system.cpus import cpu_threads


def run(arguments: argparse.Namespace) -> ExitCode:
    """Measure, say what was found, and keep it."""
    threads = cpu_threads(arguments.threads)
    backend = find_backend(arguments.backend, "cpu")
    model = read_model(resolve(arguments.model), arguments.task, None, functools.partial(convert, one_to_one=False))
    subject = Subject(model, backend, threads)
    tell(f"measuring for about {arguments.seconds:g} seconds; nothing else should compute meanwhile")
    tuning = tune(subject, arguments.seconds)
    kept = plans().keep(subject, tuning)
    if arguments.json:
        sys.stdout.write(json.dumps(_facts(tuning, kept), indent=2) + "\n")
    else:
        _print(tuning, kept)
    return ExitCode.OK


def _facts(tuning: Tuning, kept: Path | None) -> dict[str, Any]:
    return {
        "plan": dataclasses.asdict(tuning.plan),
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


def _print(tuning: Tuning, kept: Path | None) -> None:
    rows = [(found.streams, found.lanes, found.batch, found.images_per_s, found.ratio) for found in tuning.candidates]
    print_table(sys.stdout, ("streams", "lanes", "batch", "images/s", "of default"), rows)
    print_facts(sys.stdout, [("chosen", tuning.plan.because), ("kept in", "nothing" if kept is None else kept)])
