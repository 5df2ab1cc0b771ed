"""Entry point of `yoloom`: runs the command of the command line, and turns how it ended into an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TextIO

from yoloom.cli.command_line import parse_arguments
from yoloom.cli.exit_codes import ExitCode, exit_code
from yoloom.cli.stderr import report_line, show_warnings
from yoloom.errors import YoloomError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command of `argv`, by default of this process's own command line.

    Returns:
        The exit code: 0 all good, 1 some images failed (the others have results), 2 wrong usage, 3 the model can not
        be used, 4 no input found, 5 the output can not be written, 10 to 14 verdicts of `verify`, 130 Ctrl-C, 141 the
        reader of stdout went away.

    Thread safety: owned by the main thread.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The same bytes on every platform; a file name that is not valid text comes out as the bytes it is.
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    try:
        arguments = parse_arguments(argv)
        show_warnings()
        code = run_parsed(arguments)
        if code is ExitCode.HUNG:
            # Python would wait at its exit for the threads of a model that hangs, which may never end.
            sys.stdout.flush()
            os._exit(code)
        return code
    except KeyboardInterrupt:
        report_line("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _discard(sys.stdout)
        return ExitCode.PIPE_CLOSED


def run_command(argv: Sequence[str] | None = None) -> ExitCode:
    """Run a command as `main` does, but touch nothing of this process except stdout and stderr.

    Raises:
        SystemExit: after help or the version, and when the command line is wrong.
        BrokenPipeError: when the reader of stdout went away.
        KeyboardInterrupt: after Ctrl-C.
        YoloomError, OSError: with `--debug`, instead of the exit code.
    """
    return run_parsed(parse_arguments(argv))


def run_parsed(arguments: Namespace) -> ExitCode:
    """Run the command that was parsed. Raises what `run_command` does, but no SystemExit."""
    if sys.stdout is None:  # it was closed when Python started
        report_line("error: the output can not be written: stdout is closed.")
        return ExitCode.OUTPUT
    try:
        code: ExitCode = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        raise
    except (YoloomError, OSError) as error:
        if arguments.debug:
            raise
        # A write to stdout failed: files have a name, and those for results raise errors of the package.
        lost = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
        if isinstance(error, YoloomError) or error.filename is not None or error.errno not in lost:
            report_line(f"error: {' '.join(str(error).split())}")
            return exit_code(error)
        _discard(sys.stdout)
        report_line(f"error: the output can not be written: {error.strerror or error}.")
        return ExitCode.OUTPUT


def _discard(stdout: TextIO) -> None:
    """Send what is still buffered to the null device: a failing flush at exit would make Python complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stdout.fileno())
