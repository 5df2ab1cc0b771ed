"""The command line: which command it names, and its words as argparse takes them.

```
detect predict model=best.pt --imgsz 320 320 a.jpg conf=0.4      as typed
predict │ --task=detect best.pt --imgsz=320,320 a.jpg --conf=0.4   the command │ the words of its own parser
```

Each module in `yoloom.cli.commands` runs one command: `run(arguments)`. Its arguments are in `command_arguments`.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import NoReturn

from yoloom._version import __version__
from yoloom.cli.exit_codes import HELP, ExitCode

COMMANDS: Mapping[str, str] = {
    "predict": "detect objects in images; results go to stdout, everything else to stderr",
    "info": "describe a model file, and what holds when threads share it; without one, this installation",
    "tune": "measure how a model runs fastest on this machine, and remember it",
    "export": "convert a model for other programs; the path of the new file goes to stdout",
    "cache": "list the converted checkpoints and measured plans that are kept, or remove them",
    "demo": "share the bundled model between threads, and compare with a sequential run",
    "verify": "check that a shared model gives the same answers as one that is used alone",
    "bench": "measure a model on this machine, next to the bare runtime",
    "completion": "write the script by which a shell completes commands and options",
}
"""Name of each command, which is also the name of its module → one line of help."""

EXAMPLES = """\
examples:
  yoloom predict yolo11n.pt photos/ --conf 0.4 --save
  yoloom predict model=best.pt source=a.jpg format=jsonl
  yoloom bench best.pt --threads 1,2,8
  yoloom help predict

"""

TASKS = ("detect", "segment", "pose", "obb", "classify")
"""Words that may stand before the command, as with Ultralytics."""

NUMBERS: Mapping[str, float] = {"--imgsz": 2, "--classes": math.inf}
"""Options that may be followed by several whole numbers → how many at most."""

_ASSIGNMENT = re.compile(r"([A-Za-z][\w-]*)=(.*)", re.DOTALL)


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

    def option(self, name: str) -> argparse.Action | None:
        """Find the option of that name, such as "--conf"."""
        return self._option_string_actions.get(name)

    @property
    def options(self) -> list[str]:
        """The names of all options that are shown in the help."""
        actions = self._option_string_actions.items()
        return [name for name, action in actions if action.help is not argparse.SUPPRESS]

    def options_for(self, destination: str) -> dict[str, argparse.Action]:
        """Find the options that set a value of the namespace: name → option."""
        return {name: one for name, one in self._option_string_actions.items() if one.dest == destination}

    @property
    def positions(self) -> list[str]:
        """The names of the arguments without a name of their own on the command line."""
        return [action.dest for action in self._get_positional_actions()]


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line `argv`, by default this process's own.

    Only the chosen command's module is imported, when its words are right: help stays quick.

    Returns:
        The values of the command's arguments, `command` with its name, and `run` with the function that runs it.

    Raises:
        SystemExit: after help or the version, and when the command line is wrong.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    first = words[0] if words else "help"
    if first in ("-V", "--version", "version"):
        whole_parser().parse_args(["--version"])
    if first in ("-h", "--help") or words in ([], ["help"]):
        whole_parser().parse_args(["--help"])
    name, words = split_command([*words[1:2], "--help"] if first == "help" else words)
    parser = command_parser(name)
    if {"-h", "--help"} & {*words[: words.index("--") if "--" in words else None]}:
        parser.parse_args(["--help"])
    arguments = parser.parse_intermixed_args(WordReader(parser, words).plain_words())
    arguments.run = import_module(f"yoloom.cli.commands.{name}").run
    return arguments


def whole_parser(loaded: bool = False) -> Parser:
    """Make the parser of all commands, for the help and for completion; `loaded` gives the commands their arguments."""
    parser = Parser(prog="yoloom", description="Thread-safe YOLO inference.", epilog=EXAMPLES + HELP)
    parser.add_argument("-V", "--version", action="version", version=f"yoloom {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=Parser)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if loaded:
            fill_parser(command, name)
    return parser


def command_parser(name: str) -> Parser:
    """Make the parser of one command."""
    return fill_parser(Parser(prog=f"yoloom {name}"), name)


def fill_parser(parser: Parser, name: str) -> Parser:
    """Give a parser all that belongs to one command."""
    from yoloom.cli.command_arguments import ADD_ARGUMENTS  # the help of all commands does not need it

    parser.description = f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}."
    ADD_ARGUMENTS[name](parser)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(command=name)
    return parser


def split_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """Take the command out of the words; options and a task may stand before it.

    Raises:
        SystemExit: when there is none.
    """
    before: list[str] = []
    is_value = False
    for index, word in enumerate(words):
        name = word.removeprefix("mode=")
        if name in COMMANDS:
            return name, [*before, *words[index + 1 :]]
        if not (word in TASKS or word.startswith("-") or is_value or (name == word and _ASSIGNMENT.fullmatch(word))):
            _refuse_command(name)
        before.append(f"--task={word}" if word in TASKS else word)
        is_value = word.startswith("--") and "=" not in word
    return _refuse_command("")


def _refuse_command(word: str) -> NoReturn:
    """End with what may have been meant: a command that is spelled otherwise, one of Ultralytics, or a model."""
    from yoloom.facade.elsewhere import MEMBERS

    near = difflib.get_close_matches(word, COMMANDS, n=1)
    parser = Parser(prog="yoloom")
    if not word:
        parser.error(f"expected a COMMAND: {', '.join(COMMANDS)}")
    if word in MEMBERS:
        parser.error(f"'yoloom {word}' is not available in yoloom: {MEMBERS[word]}")
    if word.endswith((".pt", ".onnx")):
        parser.error(f"expected a COMMAND before {word!r}, such as 'yoloom predict {word}'")
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COMMANDS)}"
    parser.error(f"there is no command {word!r}; {hint}")


class WordReader:
    """Writes `name=value` and several numbers behind an option as argparse takes them.

    Thread safety: one thread, once.
    """

    def __init__(self, parser: Parser, words: Sequence[str]) -> None:
        self._parser = parser
        self._rest = list(words)
        self._models: list[str] = []
        self._plain: list[str] = []
        self._sources: list[str] = []

    def plain_words(self) -> list[str]:
        """Return the words of the command's parser. Raises SystemExit for an option that does not exist."""
        while self._rest and self._rest[0] != "--":
            word = self._rest.pop(0)
            assigned = _ASSIGNMENT.fullmatch(word)
            if word.startswith("-") and not re.fullmatch(r"-[\d.]*", word):
                self._read_option(word)
            elif assigned and not os.path.lexists(word):
                self._read_assignment(assigned[1].replace("-", "_"), assigned[2])
            else:
                self._plain.append(word)
        return [*self._models, *self._plain, *self._sources, *self._rest]

    def _read_option(self, word: str) -> None:
        """Read an option, and what belongs to it."""
        name, is_assigned, _ = word.partition("=")
        option = self._parser.option(name)
        if option is None:
            _refuse_option(self._parser, name)
        if is_assigned or option.nargs == 0 or not self._rest:
            self._plain.append(word)
            return
        values = [self._rest.pop(0)]
        most = NUMBERS.get(name, 1)
        while len(values) < most and values[-1].isdecimal() and self._rest and self._rest[0].isdecimal():
            values.append(self._rest.pop(0))
        self._plain += [name, ",".join(values)]

    def _read_assignment(self, name: str, value: str) -> None:
        """Read `name=value`: an argument without a name of its own, or an option."""
        positions = self._parser.positions
        many = "inputs" in positions  # of verify: a model, and then pictures
        if name == "model" and (many or name in positions):
            self._models.append(value)
        elif name in positions or (name == "source" and many):
            self._sources.append(value)
        else:
            self._plain += _assigned_option(self._parser, name, value)


def _assigned_option(parser: Parser, name: str, value: str) -> list[str]:
    """Return the words for `name=value`."""
    from yoloom.cli.command_arguments import OTHER_OPTION

    options = parser.options_for(name)
    if not options:
        if parser.option(OTHER_OPTION) is None:
            _refuse_option(parser, f"--{name.replace('_', '-')}")
        return [f"{OTHER_OPTION}={name}={value}"]
    if value.lower() == "none":
        return []
    written, option = next(iter(options.items()))
    if option.nargs != 0:
        inner = re.sub(r"['\"\s]", "", value[1:-1]) if re.fullmatch(r"\[.*\]|\(.*\)", value) else value
        return [f"{written}={inner}"]
    wanted = {"true": True, "1": True, "false": False, "0": False}.get(value.lower())
    if wanted is None:
        parser.error(f"{name} must be True or False, got {value!r}")
    if isinstance(option, argparse.BooleanOptionalAction):
        return [written if wanted else f"--no-{written[2:]}"]
    return [written for written, option in options.items() if option.const is wanted]


def _refuse_option(parser: Parser, written: str) -> NoReturn:
    """End with the option that may have been meant."""
    from yoloom.options import OTHER_NAMES

    name = written.strip("-")
    known = f"--{OTHER_NAMES.get(name.replace('-', '_'), name)}"
    near = [known] if known in parser.options else difflib.get_close_matches(f"--{name}", parser.options, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    parser.error(f"there is no option {written}{hint}")
