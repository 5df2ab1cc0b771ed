"""`yoloom predict MODEL SOURCE...`: detect objects in images."""

from __future__ import annotations

import argparse
import ast
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from yoloom.cli.arguments import add_model, sizes
from yoloom.cli.command_line import OTHER_OPTION
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import Input, find_inputs
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.stderr import progress_bar, report_line
from yoloom.cli.writers import FORMATS
from yoloom.errors import YoloomError
from yoloom.options import PredictOptions, parse_options
from yoloom.results.results import Results
from yoloom.values import counted
from yoloom.yolo import YOLO

Failures = dict[str, YoloomError]
"""Source → the error that kept it from having results."""

OPTIONS = (
    *("conf", "iou", "imgsz", "classes", "max_det", "agnostic_nms", "retina_masks"),
    *("save", "save_txt", "save_conf", "save_crop", "line_width", "project", "name", "exist_ok", "save_dir"),
)
"""Arguments that are options of `YOLO.predict`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom predict`."""
    add_model(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="run the model in N processes (default: in this one)")
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="image, folder, pattern in quotes; - for stdin")
    parser.add_argument("--format", choices=FORMATS, default="table", help="format of the results (default: table)")
    default = PredictOptions()
    detect = parser.add_argument_group("what is detected")
    detect.add_argument("--conf", type=float, metavar="0..1", help=f"lowest confidence (default: {default.conf})")
    detect.add_argument("--iou", type=float, metavar="0..1", help=f"most overlap, for NMS (default: {default.iou})")
    detect.add_argument("--imgsz", type=sizes, metavar="N or H,W", help="input size in pixels (default: the model's)")
    detect.add_argument("--classes", type=classes, action="extend", metavar="A,B", help="ids or names to keep")
    detect.add_argument("--max-det", type=int, metavar="N", help=f"most boxes an image (default: {default.max_det})")
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


def run(arguments: argparse.Namespace) -> ExitCode:
    """Predict all images of the sources, write their results, and list the sources that failed at the end."""
    options = {name: value for name in OPTIONS if (value := getattr(arguments, name)) is not None}
    options |= {name: value for name, value in arguments.option if name != "stream"}  # it is one in any case
    parse_options(options)  # a wrong option is reported before a model is downloaded
    inputs = find_inputs(arguments.source, None if sys.stdin is None else sys.stdin.buffer)
    failures: Failures = {**inputs.missing}
    if inputs.images:
        with YOLO(
            arguments.model,
            arguments.task,
            backend=arguments.backend,
            device=arguments.device,
            threads=arguments.threads,
            precision=arguments.precision,
            layout=arguments.layout,
            workers=arguments.workers,
        ) as model:
            failures |= _predict(model, inputs.images, arguments.format, options)
    if failures:
        report_line(f"error: {len(failures)} of {len(inputs.images) + len(inputs.missing)} inputs failed:")
    for source, error in failures.items():
        report_line(f"  {source}: {str(error).removeprefix(f'{source}: ')}")
    if not inputs.images:
        return ExitCode.NO_INPUT
    return ExitCode.SOME_FAILED if failures else ExitCode.OK


def _predict(model: YOLO, images: Sequence[Input], form: str, options: Mapping[str, Any]) -> Failures:
    """Write the results of each image as soon as it has them, and return the errors of those that have none."""
    failures: Failures = {}
    saved_to: str | None = None
    detections, started = 0, time.perf_counter()
    bar_shown = not sys.stdout.isatty()  # on one terminal, rows that appear one by one would be mixed up with it
    with (
        model.map(images, errors="return", **options) as outcomes,
        FORMATS[form](sys.stdout) as write,
        progress_bar("predict", len(images), bar_shown) as advance,
    ):
        for done, (image, outcome) in enumerate(until_interrupted(zip(images, outcomes, strict=True)), 1):
            if isinstance(outcome, Results):
                write(outcome)
                saved_to = outcome.save_dir
                detections += len(outcome)
            else:
                failures[str(image)] = outcome
            advance(done)
    seconds, predicted = time.perf_counter() - started, len(images) - len(failures)
    line = f"{counted(predicted, 'image')}, {counted(detections, 'detection')}, {seconds:.2f} s"
    line += f", {predicted / max(seconds, 1e-9):.1f} images/s"
    report_line(f"{line}, saved to {saved_to}" if saved_to else line)
    return failures
