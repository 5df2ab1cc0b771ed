"""What the benchmarks share: turns of `yoloom.bench`, told on stderr, and one JSON line that names the machine.

Only the standard library, so that a rival can be measured by the same code in an environment of its own.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lone_bench  # noqa: F401  before the next ones
from yoloom.bench import process_tree
from yoloom.bench import rounds as turns
from yoloom.bench.bench_report import machine, versions_of
from yoloom.bench.callers import Clocks, Sample, Work, percentile, run_callers, short, spread
from yoloom.bench.rounds import CALM, RETRIES, Series, Turn, ratios

__all__ = [
    "CALM",
    "RETRIES",
    "Clocks",
    "Sample",
    "Series",
    "Turn",
    "Work",
    "finish",
    "interleave",
    "log",
    "machine",
    "memory_mib",
    "percentile",
    "ratios",
    "run_callers",
    "short",
    "spread",
    "versions",
]


def interleave(contenders: Mapping[str, Turn], rounds: int) -> dict[str, Series]:
    """`turns.interleave`, with a line on stderr for each turn."""
    return turns.interleave(contenders, rounds, log)


def memory_mib() -> float:
    """What this process holds: its own pages and its share of shared ones, in MiB (Linux)."""
    return process_tree.memory_mib(os.getpid(), tree=False) or 0.0


def versions(*packages: str) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    return versions_of(packages)


def finish(name: str, result: Mapping[str, Any], results_folder: Path | None) -> None:
    """Write the JSON line, the last of stdout, and keep it as a file when a folder is given."""
    today = dt.datetime.now(dt.timezone.utc).date()
    line = {"benchmark": name, **result, "machine": machine(), "date": today.isoformat()}
    if results_folder is not None:
        results_folder.mkdir(parents=True, exist_ok=True)
        (results_folder / f"{name}.json").write_text(json.dumps(line, indent=1) + "\n")
    print(json.dumps(line), flush=True)


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
