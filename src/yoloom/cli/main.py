"""`yoloom`: reads the command line, runs a command, and turns how it ended into an exit code."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, TextIO

from yoloom.cli.exit_codes import ExitCode, exit_code
from yoloom.cli.parser import build_parser
from yoloom.cli.stderr import tell, tell_warnings
from yoloom.errors import YoloomError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv` and return its exit code: 0 all good, 1 some images failed (the others have results),
    2 wrong usage, 3 the model can not be used, 4 no input found, 5 the output can not be written, 130 Ctrl-C, 141 the
    reader of stdout went away; 10 to 14 what `verify` has found.
    """
    _write_utf8(sys.stdout)
    tell_warnings()
    try:
        code = run_command(argv)
        if code is ExitCode.HUNG:
            _leave_at_once(code)
        return code
    except KeyboardInterrupt:
        tell("interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _abandon_stdout()
        return ExitCode.PIPE_CLOSED


def run_command(argv: Sequence[str] | None = None) -> ExitCode:
    """`main` for a caller in this process: nothing but stdout and stderr is touched."""
    arguments = build_parser().parse_args(argv)
    if sys.stdout is None:  # closed when Python started
        tell("error: the output can not be written: stdout is closed.")
        return ExitCode.OUTPUT
    try:
        code: ExitCode = import_module(f"yoloom.cli.commands.{arguments.command}").run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (YoloomError, OSError) as error:
        if arguments.debug:
            raise
        return _told(error)
    return code


def _leave_at_once(code: ExitCode) -> NoReturn:
    """End although threads of a model that hangs may never: Python would wait for them at its exit."""
    sys.stdout.flush()
    os._exit(code)


def _told(error: YoloomError | OSError) -> ExitCode:
    if not isinstance(error, YoloomError) and _is_of_stdout(error):
        _abandon_stdout()
        tell(f"error: the output can not be written: {error.strerror or error}.")
        return ExitCode.OUTPUT
    tell(f"error: {' '.join(str(error).split())}")
    return exit_code(error)


def _is_of_stdout(error: OSError) -> bool:
    """Whether a write to stdout failed: files have a name, and those for results have errors of ours."""
    return error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def _write_utf8(stream: TextIO | None) -> None:
    """The same bytes on every platform; a file name that is no text comes out as the bytes it is."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def _abandon_stdout() -> None:
    """Let what is still buffered go nowhere, or Python would complain at its exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
