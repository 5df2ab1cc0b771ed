"""Entry point of the command `yoloom`, outside of the package: importing that would cost a question half a second."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def is_question(words: Sequence[str]) -> bool:
    """Return whether a command line asks for help or the version only, so that no command is going to run."""
    options = words[: words.index("--")] if "--" in words else words
    asks_first = ("help", "version", "-V", "--version")
    return not words or words[0] in asks_first or "-h" in options or "--help" in options


def main() -> int:
    """Run `yoloom.cli.main`; when it is only asked something, `import yoloom` leaves out what that does not need."""
    if is_question(sys.argv[1:]):
        sys.yoloom_question = True  # type: ignore[attr-defined]
    from yoloom.cli.main import main as run

    return run()
