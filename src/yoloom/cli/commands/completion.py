"""`yoloom completion SHELL`: write the script by which a shell completes commands and options."""

from __future__ import annotations

import argparse
import sys

from yoloom.cli.command_line import whole_parser
from yoloom.cli.exit_codes import ExitCode
from yoloom.errors import BackendUnavailable


def run(arguments: argparse.Namespace) -> ExitCode:
    """Write the script to stdout."""
    try:
        import shtab
    except ImportError as error:
        raise BackendUnavailable(
            f"completion needs the package shtab: pip install 'yoloom[completion]' ({error})."
        ) from error
    sys.stdout.write(shtab.complete(whole_parser(loaded=True), arguments.shell))
    return ExitCode.OK
