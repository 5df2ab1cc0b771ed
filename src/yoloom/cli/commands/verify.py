"""`yoloom verify MODEL [IMAGE...]`: check that a shared model gives the same answers as one that is used alone."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from yoloom.cli.arguments import DEFAULT_DEVICE
from yoloom.cli.exit_codes import ExitCode
from yoloom.cli.inputs import find_all_inputs
from yoloom.cli.stderr import report_line
from yoloom.cli.table import print_facts, print_table
from yoloom.errors import InvalidOption
from yoloom.verify.check_settings import parse_settings
from yoloom.verify.report import Report
from yoloom.verify.run import check
from yoloom.verify.target import Target, target_of
from yoloom.verify.target_import import make_target
from yoloom.verify.text_report import LEVEL_COLUMNS, details_of, facts_of, level_rows, verdict_line
from yoloom.verify.verdict import Verdict
from yoloom.yolo import YOLO

OPTIONS = ("threads", "asyncio", "seconds", "rounds", "seed", "tolerance", "hang_after", "cases")
"""Arguments that are options of `yoloom.verify.check`."""

CODES = {
    Verdict.PASS: ExitCode.OK,
    Verdict.CROSS_TALK: ExitCode.WRONG_ANSWERS,
    Verdict.REORDERED: ExitCode.WRONG_ANSWERS,
    Verdict.SWALLOWED: ExitCode.WRONG_ANSWERS,
    Verdict.TORN: ExitCode.WRONG_ANSWERS,
    Verdict.CHANGED: ExitCode.WRONG_ANSWERS,
    Verdict.CHANGED_INPUT: ExitCode.WRONG_ANSWERS,
    Verdict.EXCEPTIONS: ExitCode.RAISED,
    Verdict.HANG: ExitCode.HUNG,
    Verdict.LEAK: ExitCode.LEAKED,
    Verdict.LATE: ExitCode.LATE,
    Verdict.UNSTEADY: ExitCode.UNDECIDED,
    Verdict.INCONCLUSIVE: ExitCode.UNDECIDED,
}
"""Verdict → exit code."""


def run(arguments: argparse.Namespace) -> ExitCode:
    """Check, and report: the verdict is the last line on stderr."""
    options = {name: value for name in OPTIONS if (value := getattr(arguments, name)) is not None}
    parse_settings(**options)  # a wrong option is reported before a model is downloaded
    model: str | None = None  # with --target all positions are images
    named: list[str] = arguments.inputs
    if arguments.target is None:
        if not named:
            raise InvalidOption("expected a MODEL, or --target package.module:factory.")
        model, *named = named
    if arguments.report is not None:  # before minutes are spent
        page = Path(arguments.report)
        if not page.absolute().parent.is_dir():
            raise InvalidOption(f"--report {arguments.report}: there is no such folder.")
        if page.is_dir():
            raise InvalidOption(
                f"--report {arguments.report} is a folder: name a file in it, such as {page / 'out.html'}."
            )
    # One that is missing is an error, because the check would be of something else.
    images = find_all_inputs(named) or None
    watched = sys.stderr is not None and sys.stderr.isatty()
    with ExitStack() as stack:
        # What a target prints goes to stderr: stdout is for the report.
        with redirect_stdout(sys.stderr) if sys.stderr is not None else nullcontext():
            fresh = stack.enter_context(_instances(arguments, model))
            report = check(None, images, **options, fresh=fresh, say=report_line if watched else lambda _line: None)
        _write(report, arguments)
        if report.verdict is Verdict.HANG:
            stack.pop_all()  # closing the target would wait for the request that hangs
    return CODES[report.verdict]


@contextmanager
def _instances(arguments: argparse.Namespace, model: str | None) -> Iterator[Callable[[], Any]]:
    """Give a function that opens the model, or makes the target, once more. The last model is closed at the end."""
    opened: list[YOLO] = []

    def make_another() -> Any:
        created = make_target(arguments.target, arguments.target_arg)
        # A factory may return a callable of any name: the report has the name that the caller knows.
        return created if isinstance(created, (Target, YOLO)) else replace(target_of(created), name=arguments.target)

    def open_another() -> YOLO:
        while opened:  # first, or the next one would share its engine
            opened.pop().close(drain=False)
        opened.append(
            YOLO(
                model or "",
                arguments.task,
                backend=arguments.backend,
                device=arguments.device,
                workers=arguments.workers,
                precision=arguments.precision,
            )
        )
        return opened[0]

    if model is None:
        for name in ("workers", "task", "precision", "backend", "device"):
            if getattr(arguments, name) not in (None, DEFAULT_DEVICE):
                raise InvalidOption(f"--{name} is for a MODEL; a target gets its arguments by --target-arg.")
        sys.path.insert(0, str(Path.cwd()))  # as with python -m: a target is often a file in the working folder
        yield make_another
        return
    if re.fullmatch(r"[A-Za-z_][\w.]+:[A-Za-z_][\w.]*", model) and not Path(model).exists():
        raise InvalidOption(f"there is no model {model!r}. To check a target of that name: --target {model}.")
    try:
        yield open_another
    finally:
        while opened:
            opened.pop().close(drain=False)


def _write(report: Report, arguments: argparse.Namespace) -> None:
    """Write the page if one was asked for, the report to stdout, and the verdict to stderr."""
    if arguments.report is not None:
        path = Path(arguments.report)
        try:
            path.write_text(report.to_html(), encoding="utf-8")
        except OSError as error:
            raise InvalidOption(f"--report {path} can not be written: {error.strerror or error}.") from error
        report_line(f"report: {path}")
    if arguments.json:
        sys.stdout.write(f"{report.to_json()}\n")
    else:
        print_facts(sys.stdout, facts_of(report))
        if report.levels:
            sys.stdout.write("\n")
            print_table(sys.stdout, LEVEL_COLUMNS, level_rows(report))
        sys.stdout.write("".join(f"{line}\n" for line in details_of(report)))
    sys.stdout.flush()
    report_line(verdict_line(report))
