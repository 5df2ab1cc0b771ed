"""`yoloom cache`: which converted checkpoints are kept, and `--clear` to remove them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.table import print_facts, print_table
from yoloom.conversion_cache import Entry, conversion_cache
from yoloom.errors import InvalidOption


def run(arguments: argparse.Namespace) -> ExitCode:
    """Show the entries, or those that were removed."""
    cache = conversion_cache()
    if cache is None:
        raise InvalidOption("this user has no home folder for a cache: set YOLOOM_CACHE to a folder.")
    entries = cache.clear() if arguments.clear else cache.entries()
    if arguments.json:
        _print_json(str(cache.folder), cache.limit_bytes, entries, arguments.clear)
        return ExitCode.OK
    if entries and not arguments.clear:
        print_table(sys.stdout, ("checkpoint", "MB", "last used"), [_row(entry) for entry in entries])
    total = f"{len(entries)} entries, {_megabytes(entries)} MB"
    facts = [("folder", str(cache.folder)), ("removed" if arguments.clear else "total", total)]
    print_facts(sys.stdout, [*facts, ("limit", f"{cache.limit_bytes / 1e6:.1f} MB (YOLOOM_CACHE_BYTES)")])
    return ExitCode.OK


def _print_json(folder: str, limit_bytes: int, entries: Sequence[Entry], cleared: bool) -> None:
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
    }
    sys.stdout.write(json.dumps(facts, indent=2) + "\n")


def _row(entry: Entry) -> tuple[str, str, str]:
    return entry.name, _megabytes([entry]), _ago(time.time() - entry.used)


def _megabytes(entries: Sequence[Entry]) -> str:
    return f"{sum(entry.size for entry in entries) / 1e6:.1f}"


def _ago(seconds: float) -> str:
    """In the largest unit that fits."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} seconds ago"
