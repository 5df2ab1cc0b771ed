"""Exit codes: how a command ended, as a number for shells and scripts."""

from __future__ import annotations

import enum

from yoloom.errors import (
    BackendUnavailable,
    EngineError,
    InvalidOption,
    ModelError,
    NoImagesFound,
    SourceNotFound,
    TargetError,
    UnsupportedFeature,
    UnsupportedSource,
)


class ExitCode(enum.IntEnum):
    """Exit code of the process. SOME_FAILED: the other images have their results."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    MODEL = 3
    NO_INPUT = 4
    OUTPUT = 5
    WRONG_ANSWERS = 10
    RAISED = 11
    HUNG = 12
    LEAKED = 13
    UNDECIDED = 14
    LATE = 15
    INTERRUPTED = 130  # 128 + SIGINT, as shells do
    PIPE_CLOSED = 141  # 128 + SIGPIPE


HELP = """\
exit codes:
  0    all good
  1    some images failed and are listed on stderr; the others have results
  2    wrong usage, or an option that is not available here
  3    the model can not be used
  4    no input found
  5    the output can not be written: stdout is closed, or its disk is full
  130  interrupted by Ctrl-C
  141  the reader of stdout went away
"""

VERDICTS = """
verdicts:
  10   wrong answers: cross-talk, reordered, swallowed, torn, changed after delivery, or input pictures changed
  11   exceptions that do not occur when it runs alone
  12   a request hung; the stacks of all threads are printed
  13   memory, threads or open files grow under the same load
  14   undecided: not deterministic even alone, or all answers are the same
  15   answers came far later than others, which the load does not explain
"""

_BY_ERROR: tuple[tuple[tuple[type[Exception], ...], ExitCode], ...] = (
    ((SourceNotFound, NoImagesFound, UnsupportedSource), ExitCode.NO_INPUT),
    ((InvalidOption, UnsupportedFeature, BackendUnavailable), ExitCode.USAGE),
    ((ModelError, EngineError, TargetError), ExitCode.MODEL),
)


def exit_code(error: Exception) -> ExitCode:
    """Return the exit code for a command that `error` ended."""
    return next((code for kinds, code in _BY_ERROR if isinstance(error, kinds)), ExitCode.SOME_FAILED)
