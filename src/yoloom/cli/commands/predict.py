"""`yoloom predict MODEL SOURCE...`: detect objects in images."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from yoloom.cli.arguments import add_model, sizes
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_inputs
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.stderr import progress_bar, report_line
from yoloom.cli.writers import FORMATS
from yoloom.errors import YoloomError
from yoloom.options import PredictOptions, parse_options
from yoloom.results.results import Results
from yoloom.yolo import YOLO

Failures = dict[str, YoloomError]
"""Source → the error that kept it from having results."""

OPTIONS = (
    *("conf", "iou", "imgsz", "classes", "max_det"),
    *("save", "save_txt", "save_conf", "save_crop", "project", "name", "exist_ok"),
)
"""Arguments that are options of `YOLO.predict`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `yoloom predict`."""
    add_model(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="run the model in N processes (default: in this one)")
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="an image, a folder, or a pattern in quotes")
    parser.add_argument("--format", choices=FORMATS, default="table", help="format of the results (default: table)")
    default = PredictOptions()
    detect = parser.add_argument_group("what is detected")
    detect.add_argument("--conf", type=float, metavar="0..1", help=f"lowest confidence (default: {default.conf})")
    detect.add_argument("--iou", type=float, metavar="0..1", help=f"most overlap, for NMS (default: {default.iou})")
    detect.add_argument("--imgsz", type=sizes, metavar="N or H,W", help="input size in pixels (default: the model's)")
    detect.add_argument("--classes", type=classes, action="extend", metavar="A,B", help="ids or names to keep")
    detect.add_argument("--max-det", type=int, metavar="N", help=f"most boxes an image (default: {default.max_det})")
    save = parser.add_argument_group("what is saved")
    save.add_argument("--save", action=argparse.BooleanOptionalAction, help="annotated pictures")
    save.add_argument("--save-txt", action="store_true", help="labels/NAME.txt: class and box of each detection")
    save.add_argument("--save-conf", action="store_true", help="add the confidence to labels/NAME.txt")
    save.add_argument("--save-crop", action="store_true", help="crops/CLASS/NAME.jpg: the pixels of each box")
    save.add_argument("--project", metavar="FOLDER", help="folder to save in (default: runs/detect)")
    save.add_argument("--name", help="subfolder of it for this run (default: predict, predict-2, ...)")
    save.add_argument("--exist-ok", action="store_true", help="use that subfolder again instead of numbering")


def classes(text: str) -> list[int | str]:
    """Parse ids and names of classes: "0,person"."""
    items = [item for item in map(str.strip, text.split(",")) if item]
    if not items:
        raise argparse.ArgumentTypeError(f"expected ids or names, such as 0,person, got {text!r}")
    return [int(item) if item.isdecimal() else item for item in items]


def run(arguments: argparse.Namespace) -> ExitCode:
    """Predict all images of the sources, write their results, and list the sources that failed at the end."""
    options = {name: value for name in OPTIONS if (value := getattr(arguments, name)) is not None}
    parse_options(options)  # a wrong option is reported before a model is downloaded
    inputs = find_inputs(arguments.source)
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


def _predict(model: YOLO, images: Sequence[str], form: str, options: Mapping[str, Any]) -> Failures:
    """Write the results of each image as soon as it has them, and return the errors of those that have none."""
    failures: Failures = {}
    saved_to: str | None = None
    # On one terminal, rows that appear one by one would be mixed up with the bar.
    bar_shown = form == "table" or not sys.stdout.isatty()
    with (
        model.map(images, errors="return", **options) as outcomes,
        FORMATS[form](sys.stdout) as write,
        progress_bar("predict", len(images), bar_shown) as advance,
    ):
        for done, (image, outcome) in enumerate(until_interrupted(zip(images, outcomes, strict=True)), 1):
            if isinstance(outcome, Results):
                write(outcome)
                saved_to = outcome.save_dir
            else:
                failures[image] = outcome
            advance(done)
    if saved_to:
        report_line(f"saved to {saved_to}")
    return failures
