"""`yoloom verify MODEL [IMAGE...]`: does it answer as alone when it is shared?"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_inputs
from yoloom.cli.stderr import tell
from yoloom.cli.table import print_facts, print_table
from yoloom.errors import InvalidOption
from yoloom.runtime.precision import PRECISIONS
from yoloom.verify.report import Report
from yoloom.verify.run import check
from yoloom.verify.settings import parse_settings
from yoloom.verify.target import Target, target_of
from yoloom.verify.target_import import make_target
from yoloom.verify.text_report import LEVEL_COLUMNS, details_of, facts_of, level_rows, verdict_line
from yoloom.verify.verdict import Verdict
from yoloom.yolo import YOLO

_TARGET = re.compile(r"[A-Za-z_][\w.]+:[A-Za-z_][\w.]*")

CODES = {
    Verdict.PASS: ExitCode.OK,
    Verdict.CROSS_TALK: ExitCode.WRONG_ANSWERS,
    Verdict.TORN: ExitCode.WRONG_ANSWERS,
    Verdict.CHANGED: ExitCode.WRONG_ANSWERS,
    Verdict.CHANGED_INPUT: ExitCode.WRONG_ANSWERS,
    Verdict.EXCEPTIONS: ExitCode.RAISED,
    Verdict.HANG: ExitCode.HUNG,
    Verdict.LEAK: ExitCode.LEAKED,
    Verdict.UNSTEADY: ExitCode.UNDECIDED,
    Verdict.INCONCLUSIVE: ExitCode.UNDECIDED,
}


def run(arguments: argparse.Namespace) -> ExitCode:
    """Check, and say how it went: the verdict is the last line on stderr."""
    options = _options(arguments)
    parse_settings(**options)  # a wrong one is told before a model is fetched
    model, images = _positions(arguments)
    _check_page(arguments.report)
    sources = _images(images)
    with ExitStack() as opened:
        with _prints_on_stderr():  # stdout is the report's
            target = opened.enter_context(_opened(arguments, model))
            report = check(target, sources, **options, say=_say)
        _write(report, arguments)
        if report.verdict is Verdict.HANG:
            opened.pop_all()  # closing it would wait for the same
    return CODES[report.verdict]


def _positions(arguments: argparse.Namespace) -> tuple[str | None, list[str]]:
    """The model and the images: with --target all positions are images."""
    given: list[str] = arguments.inputs
    if arguments.target is not None:
        return None, given
    if not given:
        raise InvalidOption("expected a MODEL, or --target package.module:factory.")
    return given[0], given[1:]


def _images(given: list[str]) -> list[str] | None:
    """All images that were named; one that is missing is an error, because the check would be of something else."""
    inputs = find_inputs(given)
    for error in inputs.missing.values():
        raise error
    return inputs.images or None


@contextmanager
def _opened(arguments: argparse.Namespace, model: str | None) -> Iterator[Any]:
    if model is None:
        _refuse_options_of_yolo(arguments)
        sys.path.insert(0, str(Path.cwd()))  # as with python -m: a target is often a file beside
        yield _named(arguments.target, make_target(arguments.target, arguments.target_arg))
        return
    _check_is_no_target(model)
    precision: Any = arguments.precision or PRECISIONS[0]
    opened = YOLO(model, arguments.task, backend=arguments.backend, workers=arguments.workers, precision=precision)
    try:
        yield opened
    finally:
        opened.close(drain=False)


def _named(path: str, made: Any) -> Target:
    """Called what the caller calls it: a factory's callable has any name."""
    target = target_of(made)
    return target if isinstance(made, (Target, YOLO)) else replace(target, name=path)


def _check_is_no_target(model: str) -> None:
    if _TARGET.fullmatch(model) and not Path(model).exists():
        raise InvalidOption(f"there is no model {model!r}. To check a target of that name: --target {model}.")


@contextmanager
def _prints_on_stderr() -> Iterator[None]:
    with redirect_stdout(sys.stderr) if sys.stderr is not None else nullcontext():
        yield


def _refuse_options_of_yolo(arguments: argparse.Namespace) -> None:
    for name in ("workers", "task", "precision"):
        if getattr(arguments, name) is not None:
            raise InvalidOption(f"--{name} is for a MODEL; a target takes what it needs by --target-arg.")


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("threads", "asyncio", "seconds", "rounds", "seed", "tolerance", "hang_after", "cases")
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _check_page(path: str | None) -> None:
    """Before minutes are spent: can the page be written where it shall be?"""
    if path is None:
        return
    if not Path(path).absolute().parent.is_dir():
        raise InvalidOption(f"--report {path}: there is no such folder.")
    if Path(path).is_dir():
        raise InvalidOption(f"--report {path} is a folder: name a file in it, such as {Path(path) / 'out.html'}.")


def _say(words: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        tell(words)


def _write(report: Report, arguments: argparse.Namespace) -> None:
    if arguments.report is not None:
        _write_page(Path(arguments.report), report)
    if arguments.json:
        sys.stdout.write(f"{report.to_json()}\n")
    else:
        print_facts(sys.stdout, facts_of(report))
        if report.levels:
            sys.stdout.write("\n")
            print_table(sys.stdout, LEVEL_COLUMNS, level_rows(report))
        sys.stdout.write("".join(f"{line}\n" for line in details_of(report)))
    sys.stdout.flush()
    tell(verdict_line(report))


def _write_page(path: Path, report: Report) -> None:
    try:
        path.write_text(report.to_html(), encoding="utf-8")
    except OSError as error:
        raise InvalidOption(f"--report {path} can not be written: {error.strerror or error}.") from error
    tell(f"report: {path}")
