"""`yoloom export MODEL [OUTPUT]`: a model as a file for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from yoloom.cli.exit_codes import ExitCode
from yoloom.facade.export import export_model, parse_export_options
from yoloom.store.hub import resolve


def run(arguments: argparse.Namespace) -> ExitCode:
    """Write the model, and its path to stdout."""
    names = ("format", "imgsz", "dynamic", "half", "batch", "nms")
    # A wrong option is told before a model is fetched.
    options = parse_export_options({name: getattr(arguments, name) for name in names})
    target = None if arguments.output is None else Path(arguments.output)
    sys.stdout.write(f"{export_model(resolve(arguments.model), options, target)}\n")
    return ExitCode.OK
