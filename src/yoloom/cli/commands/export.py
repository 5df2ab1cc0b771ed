"""`yoloom export MODEL [OUTPUT]`: convert a model for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from yoloom.cli.exit_codes import ExitCode
from yoloom.facade.export_model import export_model, parse_export_options
from yoloom.store.hub import resolve

OPTIONS = ("format", "imgsz", "dynamic", "half", "batch", "nms")
"""Arguments that are options of the export."""


def run(arguments: argparse.Namespace) -> ExitCode:
    """Write the model, and its path to stdout."""
    # A wrong option is reported before a model is downloaded.
    options = parse_export_options({name: getattr(arguments, name) for name in OPTIONS})
    target = None if arguments.output is None else Path(arguments.output)
    sys.stdout.write(f"{export_model(resolve(arguments.model), options, target)}\n")
    return ExitCode.OK
