"""Peak memory of reading and converting a checkpoint, as a multiple of its file.

Regime: a fresh process for each file, which imports everything first, notes its peak, reads the checkpoint and converts
it into the cache as `YOLO(...)` does before a runtime compiles it, and notes its peak again. Pages of the mapped file
count, as the system counts them. Method and end: ru_maxrss never falls, so only what lies above the peak of the imports
is seen.

    python benchmarks/opening.py .oracle/files
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import measure

FILES = ("best.pt", "yolov8n.pt")
PROGRAM = """
import json, resource, sys
from pathlib import Path
from yoloom.store.conversions import checkpoint_file
import yoloom.formats.read

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

before = peak()
checkpoint_file(Path({path!r})).network()
print(json.dumps([before, peak()]))
"""


def grown(path: Path) -> int:
    """Bytes by which the peak of a fresh process grew."""
    with tempfile.TemporaryDirectory() as cache:
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(path=str(path.resolve()))],
            env={**os.environ, "YOLOOM_CACHE": cache},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    before, after = json.loads(run.stdout)
    return int(after - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="?", default=Path(".oracle/files"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    result: dict[str, object] = {}
    for name in FILES:
        size = (asked.files / name).stat().st_size
        runs = [grown(asked.files / name) for _ in range(asked.runs)]
        measure.log(f"{name}: {size / 1e6:.1f} MB, peak grows by {[round(run / 1e6, 1) for run in runs]} MB")
        result[name] = {"bytes": size, "growth_over_file": measure.spread([run / size for run in runs])}
    measure.finish("opening", result, asked.results)


if __name__ == "__main__":
    main()
