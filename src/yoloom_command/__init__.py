"""Entry point of the command `yoloom`, outside of the package: importing that would cost a question half a second."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def is_question(words: Sequence[str]) -> bool:
    """Return whether a command line asks for the help of all commands, or the version: no command is imported."""
    return words in ([], ["help"]) or words[0] in ("-h", "--help", "-V", "--version", "version")


def main() -> int:
    """Run `yoloom.cli.main`; when it is only asked something, `import yoloom` leaves out what that does not need."""
    if is_question(sys.argv[1:]):
        sys.yoloom_question = True  # type: ignore[attr-defined]
    from yoloom.cli.main import main as run

    return run()
