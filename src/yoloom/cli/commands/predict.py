"""`yoloom predict MODEL SOURCE...`: what is in these images?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_inputs
from yoloom.cli.interrupt import until_interrupted
from yoloom.cli.progress import progress_bar
from yoloom.cli.stderr import tell
from yoloom.cli.writers import FORMATS
from yoloom.errors import YoloomError
from yoloom.options import parse_options
from yoloom.results.results import Results
from yoloom.yolo import YOLO

Failures = dict[str, YoloomError]


def run(arguments: argparse.Namespace) -> ExitCode:
    """Predict every image that the sources stand for; those that fail are listed at the end."""
    options = prediction_options(arguments)
    parse_options(options)  # a wrong option is told before a model is fetched
    inputs = find_inputs(arguments.source)
    failures: Failures = {**inputs.missing}
    if inputs.images:
        with YOLO(
            arguments.model,
            arguments.task,
            backend=arguments.backend,
            threads=arguments.threads,
            precision=arguments.precision,
            workers=arguments.workers,
        ) as model:
            failures |= _predict(model, inputs.images, arguments.format, options)
    _tell_failures(failures, len(inputs.images) + len(inputs.missing))
    if not inputs.images:
        return ExitCode.NO_INPUT
    return ExitCode.SOME_FAILED if failures else ExitCode.OK


def prediction_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options of `YOLO.predict` that were given."""
    names = (
        *("conf", "iou", "imgsz", "classes", "max_det"),
        *("save", "save_txt", "save_conf", "save_crop", "project", "name", "exist_ok"),
    )
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _predict(model: YOLO, images: Sequence[str], form: str, options: Mapping[str, Any]) -> Failures:
    failures: Failures = {}
    saved_to: str | None = None
    # Rows that appear one by one on the same terminal would run into the bar.
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
        tell(f"saved to {saved_to}")
    return failures


def _tell_failures(failures: Failures, total: int) -> None:
    if failures:
        tell(f"error: {len(failures)} of {total} inputs failed:")
    for source, error in failures.items():
        tell(f"  {source}: {str(error).removeprefix(f'{source}: ')}")
