"""`yoloom export MODEL [OUTPUT]`: convert a model for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from yoloom.cli.arguments import sizes
from yoloom.cli.exit_codes import ExitCode
from yoloom.facade.export_model import FORMATS, export_model, parse_export_options
from yoloom.store.hub import resolve

OPTIONS = ("format", "imgsz", "dynamic", "half", "batch", "nms")
"""Arguments that are options of the export."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom export`."""
    parser.add_argument("model", metavar="MODEL", help="a .pt file, a published name, or an .onnx file for OpenVINO")
    parser.add_argument(
        "output",
        nargs="?",
        metavar="OUTPUT",
        help="NAME.onnx or a folder (default: next to the model; in the working folder for a published name)",
    )
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="format of the new file (default: onnx)")
    parser.add_argument("--imgsz", type=sizes, metavar="N or H,W", help="input in pixels (default: as trained)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--dynamic", action="store_true", default=None, help="accept any batch, height and width")
    size.add_argument(
        "--static", dest="dynamic", action="store_false", default=None, help="accept this one size (the default)"
    )
    parser.add_argument("--batch", type=int, metavar="N", help="images at once, when static (default: 1)")
    parser.add_argument("--half", action="store_true", help="store weights as 16-bit floats, in half the size")
    parser.add_argument(
        "--no-nms", dest="nms", action="store_false", default=None, help="use the head that needs no NMS (v10, 26)"
    )


def run(arguments: argparse.Namespace) -> ExitCode:
    """Write the model, and its path to stdout."""
    # A wrong option is reported before a model is downloaded.
    options = parse_export_options({name: getattr(arguments, name) for name in OPTIONS})
    target = None if arguments.output is None else Path(arguments.output)
    sys.stdout.write(f"{export_model(resolve(arguments.model), options, target)}\n")
    return ExitCode.OK
