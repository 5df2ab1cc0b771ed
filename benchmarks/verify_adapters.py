"""What `yoloom verify` says of other libraries as people share them, by the adapters that come with it.

Regime: CPU, a trained YOLOv8s (two classes), two photographs; 1, 2 and 6 threads in turn on one shared object, for
twenty seconds in all; each contender in a process of its own, one after another, in the oracle's environment. An answer
is wrong when its bits are not those of the same call alone. Ultralytics and yoloom get options with each call, and
pictures of their own sizes; the raw runtimes take none, and squares of 320 pixels. How many answers are wrong depends
on timing: another run gives another number, and zero is that of one run.

    tools/make_oracle.sh files
    python benchmarks/verify_adapters.py --results benchmarks/results      # about two minutes
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imagesize

import measure
import yoloom

TOOLS = Path(__file__).resolve().parent.parent / "tools"
START = "import sys, cpu_torchvision; from yoloom.cli.main import main; sys.exit(main())"
PHOTOGRAPHS = ("bus.jpg", "zidane.jpg")
CALLERS = (1, 2, 6)
ADAPTERS = "yoloom.verify.adapters"
CONTENDERS: Mapping[str, tuple[str, ...]] = {
    "Ultralytics, one `YOLO`": ("ultralytics", "best.pt"),
    "OpenVINO, one `CompiledModel` called as `compiled(image)`": ("openvino", "best_dynamic.onnx", "imgsz=320"),
    "OpenVINO, an infer request for each call": ("openvino", "best_dynamic.onnx", "imgsz=320", "request=each"),
    "ONNX Runtime, one `InferenceSession`": ("onnxruntime", "best_dynamic.onnx", "imgsz=320"),
    "yoloom, one `YOLO`": ("best.pt",),
}
"""The adapter and its arguments; for yoloom the model alone."""

PACKAGES = ("numpy", "openvino", "onnxruntime", "torch", "ultralytics")
PATIENCE_S = 500.0
QUICK = ("--seconds", 0.5, "--cases", 6)


def verify_in_oracle(
    oracle: Path, folder: Path, *arguments: object, patience_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """`yoloom verify` in the environment that has Ultralytics, which lacks one small package of ours.

    folder: for a link to that package, and where the command runs. Raises TimeoutExpired.
    """
    package = Path(imagesize.__file__).parent
    link = folder / package.name
    if not link.exists():
        link.symlink_to(package)
    paths = [Path(yoloom.__file__).absolute().parents[1], TOOLS, folder]
    settings = {"YOLO_CONFIG_DIR": str(oracle.absolute()), "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    return subprocess.run(
        [oracle.absolute() / "bin" / "python", "-c", START, "verify", *map(str, arguments)],
        check=False,
        cwd=folder,
        env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        encoding="utf-8",
        timeout=patience_s,
    )


def report_of(
    oracle: Path, folder: Path, how: Sequence[str], load: Sequence[object], patience_s: float
) -> dict[str, Any]:
    """The report as its JSON. Raises RuntimeError with the command's words when there is none, or TimeoutExpired."""
    files = oracle.absolute() / "files"
    pictures = [files / name for name in PHOTOGRAPHS]
    threads = ",".join(map(str, CALLERS))
    command = (*_target(files, how), *pictures, "--threads", threads, *load, "--json")
    done = verify_in_oracle(oracle, folder, *command, patience_s=patience_s)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(how)}: {done.stderr[-1000:]}")
    return dict(json.loads(done.stdout))


def _target(files: Path, how: Sequence[str]) -> list[object]:
    if len(how) == 1:
        return [files / how[0]]
    adapter, path, *named = how
    arguments = [word for argument in (files / path, *named) for word in ("--target-arg", argument)]
    return ["--target", f"{ADAPTERS}:{adapter}", *arguments]


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the page tells of a report."""
    counts = ("callers", "requests", "mismatches", "exceptions")
    return {
        "verdict": report["verdict"],
        "faults": report["faults"],
        "exceptions": [
            {name: failure[name] for name in ("kind", "count", "message")} for failure in report["exceptions"]
        ],
        "levels": [{name: level[name] for name in counts} for level in report["levels"]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oracle", type=Path, default=Path(".oracle"), help="folder of Ultralytics and the files")
    parser.add_argument("--seconds", type=float, default=20.0, help="of concurrent runs of each")
    parser.add_argument("--quick", action="store_true", help="to see that it works: figures are not kept")
    parser.add_argument("--minutes", type=float, default=60.0, help="in all: after that it fails, and keeps nothing")
    parser.add_argument("--results", type=Path, help="folder that keeps the JSON")
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    load = QUICK if asked.quick else ("--seconds", asked.seconds)
    contenders, versions = {}, measure.versions("yoloom")
    for name, how in CONTENDERS.items():
        with tempfile.TemporaryDirectory() as folder:
            patience_s = min(PATIENCE_S, until - time.monotonic())
            report = report_of(asked.oracle, Path(folder), how, load, patience_s)
        contenders[name] = summary(report)
        versions |= {package: report["machine"][package] for package in PACKAGES if package in report["machine"]}
        measure.log(f"{name:60} {contenders[name]['verdict']}")
    result = {"seconds": asked.seconds, "callers": CALLERS, "contenders": contenders, "versions": versions}
    measure.finish("verify", result, None if asked.quick else asked.results)


if __name__ == "__main__":
    main()
