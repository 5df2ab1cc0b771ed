"""`yoloom info MODEL`: what is this file, and what holds when it is shared?"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.stderr import tell
from yoloom.cli.table import print_facts
from yoloom.facade.cpu_budget import cpu_budget
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Guarantee
from yoloom.runtime.registry import find_backend
from yoloom.values import counted
from yoloom.yolo import YOLO


def run(arguments: argparse.Namespace) -> ExitCode:
    """Open the model and say what is known about it."""
    with YOLO(
        arguments.model,
        arguments.task,
        backend=arguments.backend,
        threads=arguments.threads,
        precision=arguments.precision,
    ) as model:
        facts = _facts(model, model.statistics().threads)
    for warning in facts["budget"]["warnings"]:
        tell(f"warning: {warning}")
    if arguments.json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        print_facts(sys.stdout, _in_words(facts))
    return ExitCode.OK


def _facts(model: YOLO, threads: int) -> dict[str, Any]:
    statistics, guarantee = model.statistics(), model.guarantee()
    return {
        **_file_facts(model.model),
        "threads": threads,
        "forms": list(statistics.forms),
        "lanes": statistics.lanes,
        "precisions": _offered(guarantee),
        "budget": dataclasses.asdict(cpu_budget()),
        "guarantee": dataclasses.asdict(guarantee),
        "metadata": dict(model.model.metadata),
    }


def _offered(guarantee: Guarantee) -> list[str]:
    """The precisions that this machine computes natively with the model's backend."""
    return [one.value for one in find_backend(guarantee.backend, guarantee.device).precisions()]


def _file_facts(model: Model) -> dict[str, Any]:
    height, width = model.input.hw or (None, None)
    return {
        "file": str(model.graph.path),
        "format": "checkpoint" if model.graph.conversion else model.graph.format,
        "bytes": sum(path.stat().st_size for path in model.graph.files),
        "task": model.task,
        "names": dict(model.names),
        "input": [model.input.batch, 3, height, width],
        "dynamic": model.dynamic,
        "imgsz": list(model.imgsz_hw),
        "stride": model.stride,
        "layout": model.layout.value,
    }


def _in_words(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    promise = facts["guarantee"]
    return [
        ("file", facts["file"]),
        ("format", f"{facts['format']}, {facts['bytes'] / 1e6:.1f} MB"),
        ("task", facts["task"]),
        ("names", _pairs(facts["names"])),
        ("input", " x ".join(str(side or "any") for side in facts["input"])),
        ("exported for", f"{' x '.join(map(str, facts['imgsz']))} pixels, {_freedom(facts)}"),
        ("output layout", facts["layout"]),
        ("backend", f"{promise['backend']} {promise['version']}, {promise['device']}"),
        ("precision", f"{promise['precision']} (this machine offers {' and '.join(facts['precisions'])})"),
        ("CPU budget", f"{counted(facts['threads'], 'thread')} on {_room(facts['budget'])}"),
        (
            "compiled for",
            f"{' and '.join(facts['forms'])} ({counted(facts['lanes'], 'lane')}; more once requests meet)",
        ),
        ("when shared", f"{_promised(promise)}: {promise['because']}"),
        *((f"metadata {key}", text) for key, text in facts["metadata"].items() if key != "names"),
    ]


def _pairs(names: Mapping[int, str]) -> str:
    return ", ".join(f"{index} {name}" for index, name in names.items())


def _room(budget: Mapping[str, Any]) -> str:
    quota = "no quota" if budget["quota"] is None else f"a quota of {budget['quota']:g}"
    cpus = f"{counted(budget['cpus'], 'CPU')} ({budget['affinity']} by affinity, {quota})"
    return f"{cpus}; OpenCV has {counted(budget['opencv_threads'], 'thread')} of its own"


def _freedom(facts: Mapping[str, Any]) -> str:
    return f"takes any multiple of {facts['stride']}" if facts["dynamic"] else "fixed"


def _promised(promise: Mapping[str, Any]) -> str:
    return "same bits as alone" if promise["bit_identical"] else f"same within {promise['tolerance']:g}"
