"""Reads every file of a folder as a checkpoint, and prints what happened meanwhile as JSON.

For each file: the error's class or None, the audit events, the seconds of this process, and the most memory that
was taken. Runs in a process of its own, because an audit hook can not be taken away again.
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

from yoloom.errors import ModelError
from yoloom.formats.checkpoint.parse import read_checkpoint

events: list[tuple[str, str]] = []
listening = False


def listen(event: str, arguments: tuple[Any, ...]) -> None:
    if listening and event != "builtins.id":  # raised a hundred thousand times, and harmless
        events.append((event, repr(arguments)[:200]))


def read(path: Path, listens: bool) -> str | None:
    global listening
    try:
        listening = listens
        read_checkpoint(path)
    except ModelError as error:
        return type(error).__name__
    finally:
        listening = False
    return None


def examine(path: Path) -> dict[str, Any]:
    events.clear()
    started = time.process_time()
    error = read(path, listens=True)
    seconds = time.process_time() - started
    return {"error": error, "seconds": seconds, "events": list(events), "peak": peak(path)}


def peak(path: Path) -> int:
    tracemalloc.start()
    read(path, listens=False)  # together, both would take minutes
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return taken


def main() -> None:
    sys.addaudithook(listen)
    print(json.dumps({path.name: examine(path) for path in sorted(Path(sys.argv[1]).iterdir())}))


if __name__ == "__main__":
    main()
