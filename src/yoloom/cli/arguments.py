"""The command line: its parser, and the arguments that several commands share.

Each module in `yoloom.cli.commands` is one command and has two functions, `add_arguments(parser)` and `run(arguments)`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn

from yoloom._version import __version__
from yoloom.cli.exit_codes import HELP, ExitCode
from yoloom.formats.model import LAYOUTS
from yoloom.runtime.precision import PRECISIONS
from yoloom.runtime.registry import BACKENDS

DEFAULT_DEVICE = "cpu"


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add MODEL and the options that say how it is opened."""
    add_model_file(parser)
    add_runtime(parser)
    parser.add_argument(
        "--layout", help=f"{', '.join(LAYOUTS)}: if the file does not prove its output, see docs/formats.md"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU budget (default: all CPUs of this process)")


def add_model_file(parser: argparse.ArgumentParser) -> None:
    """Add MODEL alone."""
    parser.add_argument("model", metavar="MODEL", help="a .pt or .onnx file, an OpenVINO folder, or a published name")


def add_runtime(adder: argparse._ActionsContainer) -> None:
    """Add `--task`, `--device`, `--backend` and `--precision` to a parser or a group."""
    adder.add_argument("--task", help="task of the model, if the file does not say (detect, segment, ...)")
    adder.add_argument(
        "--device", default=DEFAULT_DEVICE, help="cpu, cuda, cuda:1, or the number of a GPU (default: cpu)"
    )
    adder.add_argument("--backend", help=f"{', '.join(BACKENDS)} (default: the device's own)")
    adder.add_argument("--precision", help=f"{', '.join(PRECISIONS)} (default: fp32 on a CPU, fp16 on a GPU)")


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {text}")
    return number


def counts(text: str) -> list[int]:
    """Parse numbers of callers: "1,2,8,64"."""
    try:
        return [positive(count) for count in text.split(",")]
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, in {text!r}: expected numbers such as 1,2,8") from None


def sizes(text: str) -> list[int]:
    """Parse an image size: "640" or "480,640" (height, width)."""
    return [int(side) for side in text.split(",")]


COMMANDS: Mapping[str, str] = {
    "predict": "detect objects in images; results go to stdout, everything else to stderr",
    "info": "describe a model file, and what holds when threads share it",
    "tune": "measure how a model runs fastest on this machine, and remember it",
    "export": "convert a model for other programs; the path of the new file goes to stdout",
    "cache": "list the converted checkpoints and measured plans that are kept, or remove them",
    "demo": "share the bundled model between threads, and compare with a sequential run",
    "verify": "check that a shared model gives the same answers as one that is used alone",
    "bench": "measure a model on this machine, next to the bare runtime",
}
"""Name of each command, which is also the name of its module → one line of help."""


class Parser(argparse.ArgumentParser):
    """Argument parser that reports a mistake in one line.

    Args:
        epilog: text below the help; the exit codes by default.
        settings: for argparse's own parser.
    """

    def __init__(self, epilog: str = HELP, **settings: object) -> None:
        super().__init__(
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **settings,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """Write `message` to stderr and end the process with the exit code of wrong usage."""
        self.exit(ExitCode.USAGE, f"error: {message} (see {self.prog} --help)\n")


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line `argv`, by default this process's own.

    Only the chosen command's module is imported: help stays quick.

    Returns:
        The values of the command's arguments, `command` with its name, and `run` with the function that runs it.

    Raises:
        SystemExit: after `--help` or `--version`, and when the command line is wrong.
    """
    argv = sys.argv[1:] if argv is None else argv
    parser = Parser(prog="yoloom", description="Thread-safe YOLO inference.")
    parser.add_argument("--version", action="version", version=f"yoloom {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)  # no option before it takes a value
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if name == chosen:
            module = import_module(f"yoloom.cli.commands.{name}")
            module.add_arguments(command)
            command.add_argument("--debug", action="store_true", help="show the traceback of an error")
            command.set_defaults(run=module.run)
    return parser.parse_args(argv)
