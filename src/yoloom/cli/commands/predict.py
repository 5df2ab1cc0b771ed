"""`yoloom predict MODEL SOURCE...`: detect objects in images."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import Input, find_inputs
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.stderr import progress_bar, report_line
from yoloom.cli.writers import FORMATS
from yoloom.errors import YoloomError
from yoloom.options import parse_options
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
