"""The arguments of each command, apart from the modules that run them: help does not wait for what they import."""

from __future__ import annotations

import argparse
import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

from yoloom.cli.arguments import add_model, add_model_file, add_runtime, counts, positive, sizes
from yoloom.cli.exit_codes import VERDICTS

OTHER_OPTION = "--option"
"""The option by which a command takes those of `YOLO.predict` that it has none for."""

# What the modules of the commands know too, and a test compares with theirs: help does not wait for their imports.
CONF, IOU, MAX_DET = 0.25, 0.7, 300
RESULT_FORMATS = ("table", "json", "jsonl", "csv")
"""The names of `writers.FORMATS`."""

MODEL_FORMATS = ("onnx", "openvino")
"""Those of the export."""

TUNING_S = 12.0
"""The seconds of a tuning, as of the library."""

USAGE = """\
yoloom verify [options] MODEL [IMAGE ...]
       yoloom verify [options] --target MODULE:FACTORY [--target-arg VALUE] [IMAGE ...]"""

USE = """
use:
  eval "$(yoloom completion bash)"                       in ~/.bashrc
  eval "$(yoloom completion zsh)"                        in ~/.zshrc, after compinit
  yoloom completion fish > ~/.config/fish/completions/yoloom.fish
"""


SHELLS = ("bash", "zsh", "fish")


def add_predict_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom predict`."""
    add_model(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="run the model in N processes (default: in this one)")
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="image, folder, pattern in quotes; - for stdin")
    parser.add_argument(
        "--format", choices=RESULT_FORMATS, default="table", help="format of the results (default: table)"
    )
    detect = parser.add_argument_group("what is detected")
    detect.add_argument("--conf", type=float, metavar="0..1", help=f"lowest confidence (default: {CONF})")
    detect.add_argument("--iou", type=float, metavar="0..1", help=f"most overlap, for NMS (default: {IOU})")
    detect.add_argument("--imgsz", type=sizes, metavar="N or H,W", help="input size in pixels (default: the model's)")
    detect.add_argument("--classes", type=classes, action="extend", metavar="A,B", help="ids or names to keep")
    detect.add_argument("--max-det", type=int, metavar="N", help=f"most boxes an image (default: {MAX_DET})")
    detect.add_argument("--agnostic-nms", action="store_true", help="boxes of different classes suppress each other")
    detect.add_argument("--retina-masks", action="store_true", help="masks in the size of the picture")
    detect.add_argument(
        OTHER_OPTION,
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of YOLO.predict; NAME=VALUE alone is one too",
    )
    save = parser.add_argument_group("what is saved")
    save.add_argument("--save", action=argparse.BooleanOptionalAction, help="annotated pictures")
    save.add_argument("--save-txt", action="store_true", help="labels/NAME.txt: class and box of each detection")
    save.add_argument("--save-conf", action="store_true", help="add the confidence to labels/NAME.txt")
    save.add_argument("--save-crop", action="store_true", help="crops/CLASS/NAME.jpg: the pixels of each box")
    save.add_argument("--line-width", type=int, metavar="N", help="of the boxes in pixels (default: by the picture)")
    save.add_argument("--project", metavar="FOLDER", help="folder to save in (default: runs/detect)")
    save.add_argument("--name", help="subfolder of it for this run (default: predict, predict-2, ...)")
    save.add_argument("--exist-ok", action="store_true", help="use that subfolder again instead of numbering")
    save.add_argument("--save-dir", metavar="FOLDER", help="the folder itself, in place of project and name")


def add_info_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom info`."""
    add_model(parser, is_needed=False)
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def add_tune_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom tune`."""
    add_model(parser)
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=TUNING_S,
        metavar="S",
        help=f"about how long (default: {TUNING_S:g})",
    )
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom export`."""
    parser.add_argument("model", metavar="MODEL", help="a .pt file, a published name, or an .onnx file for OpenVINO")
    parser.add_argument(
        "output",
        nargs="?",
        metavar="OUTPUT",
        help="NAME.onnx or a folder (default: next to the model; in the working folder for a published name)",
    )
    parser.add_argument(
        "--format", choices=MODEL_FORMATS, default="onnx", help="format of the new file (default: onnx)"
    )
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


def add_cache_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom cache`."""
    parser.add_argument("--clear", action="store_true", help="remove all of them; models that are open are unaffected")
    parser.add_argument("--json", action="store_true", help="write one JSON object")


def add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom demo`."""
    parser.add_argument("--threads", type=positive, default=8, metavar="N", help="threads on one model (default: 8)")
    parser.add_argument("--images", type=positive, default=96, metavar="N", help="predictions in all (default: 96)")
    parser.add_argument(
        "--output", default="demo-output", metavar="FOLDER", help="folder for the pictures (default: demo-output)"
    )


def add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom verify`."""
    parser.usage = USAGE
    parser.epilog = f"{parser.epilog}{VERDICTS}"
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="MODEL, IMAGE",
        help="a model as for predict; then images, folders or patterns (default: bundled scenes)",
    )
    parser.add_argument("--threads", type=counts, metavar="N,N", help="callers at once, one level each (1,2,8,64)")
    parser.add_argument("--asyncio", action="store_true", help="also as many asyncio tasks, through predict_async")
    parser.add_argument("--workers", type=positive, metavar="N", help="open MODEL with N worker processes")
    add_runtime(parser)
    length = parser.add_argument_group("how long")
    length.add_argument("--seconds", type=float, metavar="S", help="about how long in all (default: 20)")
    length.add_argument("--rounds", type=positive, metavar="R", help="rounds, each with about every case, instead")
    length.add_argument("--hang-after", type=float, metavar="S", help="seconds that one request may take (default: 30)")
    cases = parser.add_argument_group("what is asked")
    cases.add_argument("--cases", type=positive, metavar="N", help="about how many different requests there are")
    cases.add_argument("--seed", type=int, metavar="K", help="seed of cases, order, pauses and cancellations")
    cases.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="accept |a - b| <= T * max(1, |b|) (default: the model's)",
    )
    target = parser.add_argument_group("a model of another library")
    target.add_argument(
        "--target",
        metavar="MODULE:FACTORY",
        help="function that returns a predict(image, **options), instead of MODEL",
    )
    target.add_argument(
        "--target-arg",
        action="append",
        default=[],
        metavar="VALUE",
        help="argument for the factory, or NAME=VALUE; repeatable",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="write one JSON object to stdout")
    output.add_argument("--report", metavar="OUT.html", help="also write one page with plots")


def add_bench_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom bench`."""
    add_model_file(parser)
    opening = parser.add_argument_group("how it is opened")
    add_runtime(opening)
    opening.add_argument("--cpus", type=positive, metavar="N", help="CPU budget (default: all CPUs of this process)")
    opening.add_argument("--workers", type=positive, metavar="N", help="worker processes (default: none)")
    opening.add_argument("--batch", type=positive, metavar="N", help="most images in one batch (default: 1)")
    load = parser.add_argument_group("how it is measured")
    load.add_argument(
        "--threads", type=counts, default=[1, 2, 4, 8], metavar="N,N", help="callers at once, one level each (1,2,4,8)"
    )
    load.add_argument("--images", nargs="+", default=[], metavar="IMAGE", help="images (default: bundled scenes)")
    load.add_argument("--seconds", type=length, default=2.0, metavar="S", help="length of one turn (default: 2)")
    load.add_argument("--rounds", type=positive, default=3, metavar="N", help="turns of each contender (default: 3)")
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="write one JSON object, as the last line of stdout")
    output.add_argument("--png", metavar="FILE", help="also write a picture of rates and latencies")


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom completion`."""
    parser.epilog = f"{parser.epilog}{USE}"
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to complete")


def classes(text: str) -> list[int | str]:
    """Parse ids and names of classes: "0,person"."""
    items = [item for item in map(str.strip, text.split(",")) if item]
    if not items:
        raise argparse.ArgumentTypeError(f"expected ids or names, such as 0,person, got {text!r}")
    return [int(item) if item.isdecimal() else item for item in items]


def assignment(text: str) -> tuple[str, Any]:
    """Parse an option of `YOLO.predict`: "show_labels=False"."""
    name, is_assigned, value = text.partition("=")
    if not is_assigned:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as show_labels=False, got {text!r}")
    if value.lower() in ("true", "false", "none"):
        value = value.capitalize()
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def seconds(text: str) -> float:
    """Parse how long to measure."""
    number = float(text)
    if not 0.1 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"expected 0.1 to 3600, got {text}")
    return number


def length(text: str) -> float:
    """Parse the length of a turn in seconds."""
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a time above 0 seconds, got {text}")
    return seconds


ADD_ARGUMENTS: Mapping[str, Callable[[argparse.ArgumentParser], None]] = {
    "predict": add_predict_arguments,
    "info": add_info_arguments,
    "tune": add_tune_arguments,
    "export": add_export_arguments,
    "cache": add_cache_arguments,
    "demo": add_demo_arguments,
    "verify": add_verify_arguments,
    "bench": add_bench_arguments,
    "completion": add_completion_arguments,
}
"""Name of a command → function that adds its arguments to a parser."""
