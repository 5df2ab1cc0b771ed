"""`yoloom info [MODEL]`: describe a model file, and what holds when threads share it; or this installation."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.installation import installation_facts, installation_rows
from yoloom.cli.stderr import report_line
from yoloom.cli.table import print_facts
from yoloom.facade.cpu_budget import cpu_budget
from yoloom.runtime.registry import find_backend
from yoloom.values import counted
from yoloom.yolo import YOLO


def run(arguments: argparse.Namespace) -> ExitCode:
    """Open the model and show what is known about it; without one, show what a report of a bug should begin with."""
    if arguments.model is None:
        installed = installation_facts()
        if arguments.json:
            sys.stdout.write(json.dumps(installed, indent=2) + "\n")
        else:
            print_facts(sys.stdout, installation_rows(installed))
        return ExitCode.OK
    with YOLO(
        arguments.model,
        arguments.task,
        backend=arguments.backend,
        device=arguments.device,
        threads=arguments.threads,
        precision=arguments.precision,
        layout=arguments.layout,
    ) as model:
        facts = _facts(model)
    for warning in facts["budget"]["warnings"]:
        report_line(f"warning: {warning}")
    if arguments.json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        print_facts(sys.stdout, _rows(facts))
    return ExitCode.OK


def _facts(model: YOLO) -> dict[str, Any]:
    """Collect what `--json` writes."""
    file, statistics, guarantee = model.model, model.statistics(), model.guarantee()
    height, width = file.input.hw or (None, None)
    return {
        "file": str(file.graph.path),
        "format": "checkpoint" if file.graph.is_checkpoint else file.graph.format,
        "bytes": sum(path.stat().st_size for path in file.graph.files),
        "task": file.task,
        "names": dict(file.names),
        "input": [file.input.batch, 3, height, width],
        "dynamic": file.dynamic,
        "imgsz": list(file.imgsz_hw),
        "stride": file.stride,
        "layout": file.layout.value,
        "threads": statistics.threads,
        "forms": list(statistics.forms),
        "lanes": statistics.lanes,
        "precisions": [one.value for one in find_backend(guarantee.backend, model.device).precisions()],
        "budget": dataclasses.asdict(cpu_budget()),
        "guarantee": dataclasses.asdict(guarantee),
        "metadata": dict(file.metadata),
    }


def _rows(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Say the facts for people, in pairs of a name and a text."""
    promise = facts["guarantee"]
    freedom = f"accepts any multiple of {facts['stride']}" if facts["dynamic"] else "fixed"
    same = "same bits as alone" if promise["bit_identical"] else f"same within {promise['tolerance']:g}"
    lanes = f"{counted(facts['lanes'], 'lane')}; more once requests meet"
    budget = facts["budget"]
    quota = "no quota" if budget["quota"] is None else f"a quota of {budget['quota']:g}"
    room = (
        f"{counted(budget['cpus'], 'CPU')} ({budget['affinity']} by affinity, {quota}); OpenCV has "
        f"{counted(budget['opencv_threads'], 'thread')} of its own"
    )
    return [
        ("file", facts["file"]),
        ("format", f"{facts['format']}, {facts['bytes'] / 1e6:.1f} MB"),
        ("task", facts["task"]),
        ("names", ", ".join(f"{index} {name}" for index, name in facts["names"].items())),
        ("input", " x ".join(str(side or "any") for side in facts["input"])),
        ("exported for", f"{' x '.join(map(str, facts['imgsz']))} pixels, {freedom}"),
        ("output layout", facts["layout"]),
        ("backend", f"{promise['backend']} {promise['version']}, {promise['device']}"),
        ("precision", f"{promise['precision']} (this machine offers {' and '.join(facts['precisions'])})"),
        ("CPU budget", f"{counted(facts['threads'], 'thread')} on {room}"),
        ("compiled for", f"{' and '.join(facts['forms'])} ({lanes})"),
        ("when shared", f"{same}: {promise['because']}"),
        *((f"metadata {key}", text) for key, text in facts["metadata"].items() if key != "names"),
    ]
