"""`yoloom cache`: list the converted checkpoints and measured plans that are kept, or remove them (`--clear`)."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.table import print_facts, print_table
from yoloom.engine.tuning.plan_cache import PlanEntry, plan_cache
from yoloom.errors import InvalidOption
from yoloom.store.conversion_cache import Entry, conversion_cache


def run(arguments: argparse.Namespace) -> ExitCode:
    """Show the entries, or with `--clear` those that were removed."""
    cache, measured = conversion_cache(), plan_cache()
    if cache is None or measured is None:
        raise InvalidOption("this user has no home folder for a cache: set YOLOOM_CACHE to a folder.")
    for folder in (cache.folder, measured.folder):
        if folder.is_symlink():
            raise InvalidOption(
                f"{folder} is a symbolic link, which is not followed: nothing behind it is listed or removed. Remove "
                "the link, or set YOLOOM_CACHE to the folder that you mean."
            )
    entries = cache.clear() if arguments.clear else cache.entries()
    plans = measured.clear() if arguments.clear else measured.entries()
    if arguments.json:
        _print_json(str(cache.folder), cache.limit_bytes, entries, plans, arguments.clear)
        return ExitCode.OK
    if entries and not arguments.clear:
        rows = [(entry.name, f"{entry.size / 1e6:.1f}", _ago(time.time() - entry.used)) for entry in entries]
        print_table(sys.stdout, ("checkpoint", "MB", "last used"), rows)
    if plans and not arguments.clear:
        print_facts(sys.stdout, [(f"plan of {entry.name}", entry.plan.because) for entry in plans])
    total = f"{len(entries)} entries, {sum(entry.size for entry in entries) / 1e6:.1f} MB"
    total += f"; {len(plans)} plans" if plans else ""
    facts = [("folder", str(cache.folder)), ("removed" if arguments.clear else "total", total)]
    print_facts(sys.stdout, [*facts, ("limit", f"{cache.limit_bytes / 1e6:.1f} MB (YOLOOM_CACHE_BYTES)")])
    return ExitCode.OK


def _print_json(
    folder: str, limit_bytes: int, entries: Sequence[Entry], plans: Sequence[PlanEntry], cleared: bool
) -> None:
    now = time.time()
    facts: dict[str, Any] = {
        "folder": folder,
        "limit_bytes": limit_bytes,
        "removed" if cleared else "entries": [
            {
                "checkpoint": entry.name,
                "file": entry.path.name,
                "bytes": entry.size,
                "unused_s": round(max(now - entry.used, 0.0), 3),
            }
            for entry in entries
        ],
        "total_bytes": sum(entry.size for entry in entries),
        "plans": [{"model": entry.name, **dataclasses.asdict(entry.plan)} for entry in plans],
    }
    sys.stdout.write(json.dumps(facts, indent=2) + "\n")


def _ago(seconds: float) -> str:
    """Format an age in the largest unit of which it has two."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} seconds ago"
