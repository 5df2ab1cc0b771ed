"""The commands and their arguments."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from yoloom._version import __version__
from yoloom.cli.exit_codes import HELP, VERDICTS, ExitCode
from yoloom.cli.writers import FORMATS
from yoloom.engine.tuning.tuner import SECONDS
from yoloom.facade.export import FORMATS as EXPORT_FORMATS
from yoloom.options import PredictOptions
from yoloom.runtime.precision import PRECISIONS
from yoloom.runtime.registry import BACKENDS


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(ExitCode.USAGE, f"error: {message} (see {self.prog} --help)\n")


def build_parser() -> Parser:
    """The parser of the whole command line; `command` in what it returns is the one that was chosen."""
    parser = Parser(
        prog="yoloom",
        description="Thread-safe YOLO inference.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"yoloom {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_predict(_command(commands, "predict", "find what is in images; results go to stdout, all else to stderr"))
    _add_info(_command(commands, "info", "say what a model file is, and what holds when threads share it"))
    _add_tune(_command(commands, "tune", "measure how many callers are best served on this machine, and keep it"))
    _add_export(_command(commands, "export", "write a model for other programs; its path goes to stdout"))
    _add_cache(_command(commands, "cache", "say which conversions and measured plans are kept, or remove them"))
    _add_demo(_command(commands, "demo", "let threads share the bundled model, and compare with a sequential run"))
    _add_verify(_command(commands, "verify", "say whether a model that is shared answers as it does alone", VERDICTS))
    _add_bench(_command(commands, "bench", "measure a model on this machine, beside the bare runtime"))
    return parser


def _command(commands: argparse._SubParsersAction[Parser], name: str, what: str, more_help: str = "") -> Parser:
    parser = commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=HELP + more_help,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    return parser


def _add_predict(parser: Parser) -> None:
    _add_model(parser)
    parser.add_argument("--workers", type=int, metavar="N", help="run the model in N processes (default: in this one)")
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="an image, a folder, or a pattern in quotes")
    parser.add_argument("--format", choices=FORMATS, default="table", help="of the results (default: table)")
    _add_judgement(parser.add_argument_group("what counts"))
    _add_saving(parser.add_argument_group("what is saved"))


def _add_info(parser: Parser) -> None:
    _add_model(parser)
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def _add_tune(parser: Parser) -> None:
    _add_model(parser)
    parser.add_argument(
        "--seconds", type=seconds, default=SECONDS, metavar="S", help=f"to measure for, about (default: {SECONDS:g})"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def _add_export(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .pt file, a published name, or an .onnx file for OpenVINO")
    parser.add_argument(
        "output",
        nargs="?",
        metavar="OUTPUT",
        help="NAME.onnx or a folder (default: beside the model, or here for a published one)",
    )
    parser.add_argument("--format", choices=EXPORT_FORMATS, default="onnx", help="to write (default: onnx)")
    parser.add_argument("--imgsz", type=sizes, metavar="N or H,W", help="input in pixels (default: the training's)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--dynamic", action="store_true", default=None, help="take any batch, height and width")
    size.add_argument(
        "--static", dest="dynamic", action="store_false", default=None, help="take this one size (the default)"
    )
    parser.add_argument("--batch", type=int, metavar="N", help="images at once, when static (default: 1)")
    parser.add_argument("--half", action="store_true", help="weights of 16 bits, in half the size")
    parser.add_argument(
        "--no-nms", dest="nms", action="store_false", default=None, help="the head that needs no NMS (v10, 26)"
    )


def _add_cache(parser: Parser) -> None:
    parser.add_argument("--clear", action="store_true", help="remove them all; models that are open go on")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def _add_demo(parser: Parser) -> None:
    parser.add_argument("--threads", type=positive, default=8, metavar="N", help="that share the model (default: 8)")
    parser.add_argument("--images", type=positive, default=96, metavar="N", help="predictions in all (default: 96)")
    parser.add_argument(
        "--output", default="demo-output", metavar="FOLDER", help="for the pictures (default: demo-output)"
    )


def _add_verify(parser: Parser) -> None:
    parser.usage = (
        "yoloom verify [options] MODEL [IMAGE ...]\n"
        "       yoloom verify [options] --target MODULE:FACTORY [--target-arg VALUE] [IMAGE ...]"
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="MODEL, IMAGE",
        help="a model as for predict; then images, folders or patterns (default: bundled scenes)",
    )
    parser.add_argument("--threads", type=counts, metavar="N,N", help="callers at once, in turn (1,2,8,64)")
    parser.add_argument("--asyncio", action="store_true", help="as many tasks too, through predict_async")
    parser.add_argument("--workers", type=positive, metavar="N", help="open MODEL with so many worker processes")
    parser.add_argument("--precision", help="to open MODEL with: fp32, bf16 or auto (default: fp32)")
    parser.add_argument("--task", help="what MODEL is for, where the file does not say")
    parser.add_argument("--backend", default=BACKENDS[0], help=f"{' or '.join(BACKENDS)} (default: {BACKENDS[0]})")
    length = parser.add_argument_group("how long")
    length.add_argument("--seconds", type=float, metavar="S", help="of concurrent runs (default: 20)")
    length.add_argument("--rounds", type=positive, metavar="R", help="laps with every case about once, instead")
    length.add_argument("--hang-after", type=float, metavar="S", help="seconds that one request may take (default: 30)")
    questions = parser.add_argument_group("what is asked")
    questions.add_argument("--cases", type=positive, metavar="N", help="about so many different questions")
    questions.add_argument("--seed", type=int, metavar="K", help="of cases, order, pauses and cancellations")
    questions.add_argument(
        "--tolerance",
        type=float,
        metavar="T",
        help="accept |a - b| <= T * max(1, |b|) (default: the model's)",
    )
    target = parser.add_argument_group("somebody else's model")
    target.add_argument(
        "--target",
        metavar="MODULE:FACTORY",
        help="a function that makes a predict(image, **options), in place of MODEL",
    )
    target.add_argument(
        "--target-arg",
        action="append",
        default=[],
        metavar="VALUE",
        help="for the factory, or NAME=VALUE; repeatable",
    )
    answer = parser.add_argument_group("what comes out")
    answer.add_argument("--json", action="store_true", help="as one JSON object on stdout")
    answer.add_argument("--report", metavar="OUT.html", help="one page with plots")


def _add_bench(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .pt or .onnx file, an OpenVINO folder, or a published name")
    how = parser.add_argument_group("how it is opened")
    how.add_argument("--task", help="what the model is for, where the file does not say")
    how.add_argument("--backend", default=BACKENDS[0], help=f"{' or '.join(BACKENDS)} (default: {BACKENDS[0]})")
    how.add_argument("--cpus", type=positive, metavar="N", help="CPU budget (default: all CPUs of this process)")
    how.add_argument("--workers", type=positive, metavar="N", help="worker processes (default: none)")
    how.add_argument("--precision", help="fp32, bf16 or auto (default: fp32)")
    how.add_argument("--batch", type=positive, metavar="N", help="most images that are run at once (default: 1)")
    load = parser.add_argument_group("how it is measured")
    load.add_argument(
        "--threads", type=counts, default=[1, 2, 4, 8], metavar="N,N", help="callers at once, in turn (1,2,4,8)"
    )
    load.add_argument("--images", nargs="+", default=[], metavar="IMAGE", help="to predict (default: bundled scenes)")
    load.add_argument("--seconds", type=length, default=2.0, metavar="S", help="of one turn (default: 2)")
    load.add_argument("--rounds", type=positive, default=3, metavar="N", help="turns of each contender (default: 3)")
    answer = parser.add_argument_group("what comes out")
    answer.add_argument("--json", action="store_true", help="as one JSON object, the last line of stdout")
    answer.add_argument("--png", metavar="FILE", help="a picture of rates and latencies")


def _add_model(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .pt or .onnx file, an OpenVINO folder, or a published name")
    parser.add_argument("--task", help="what the model is for, where the file does not say")
    parser.add_argument("--backend", default=BACKENDS[0], help=f"{' or '.join(BACKENDS)} (default: {BACKENDS[0]})")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU budget (default: all CPUs of this process)")
    parser.add_argument(
        "--precision", default=PRECISIONS[0], help=f"{', '.join(PRECISIONS)} (default: {PRECISIONS[0]})"
    )


def _add_judgement(group: argparse._ArgumentGroup) -> None:
    default = PredictOptions()
    group.add_argument("--conf", type=float, metavar="0..1", help=f"least confidence (default: {default.conf})")
    group.add_argument("--iou", type=float, metavar="0..1", help=f"most overlap, for NMS (default: {default.iou})")
    group.add_argument("--imgsz", type=sizes, metavar="N or H,W", help="network input in pixels (default: the model's)")
    group.add_argument("--classes", type=classes, action="extend", metavar="A,B", help="ids or names to keep")
    group.add_argument("--max-det", type=int, metavar="N", help=f"most boxes an image (default: {default.max_det})")


def _add_saving(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--save", action=argparse.BooleanOptionalAction, help="annotated pictures")
    group.add_argument("--save-txt", action="store_true", help="labels/NAME.txt: class and box of each detection")
    group.add_argument("--save-conf", action="store_true", help="with the confidence")
    group.add_argument("--save-crop", action="store_true", help="crops/CLASS/NAME.jpg: what is in each box")
    group.add_argument("--project", metavar="FOLDER", help="where to (default: runs/detect)")
    group.add_argument("--name", help="the folder in it (default: predict, predict2, ...)")
    group.add_argument("--exist-ok", action="store_true", help="use that folder again instead of numbering")


def positive(text: str) -> int:
    """A whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {text}")
    return number


def counts(text: str) -> list[int]:
    """ "1,2,8,64"."""
    try:
        return [positive(count) for count in text.split(",")]
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, in {text!r}: expected numbers such as 1,2,8") from None


def seconds(text: str) -> float:
    """A time that is worth measuring for."""
    number = float(text)
    if not 0.1 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"expected 0.1 to 3600, got {text}")
    return number


def length(text: str) -> float:
    """A time in seconds, above 0 and finite."""
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected a time above 0 seconds, got {text}")
    return seconds


def sizes(text: str) -> list[int]:
    """ "640" or "480,640"."""
    return [int(side) for side in text.split(",")]


def classes(text: str) -> list[int | str]:
    """ "0,person": ids and names."""
    items = [item for item in map(str.strip, text.split(",")) if item]
    if not items:
        raise argparse.ArgumentTypeError(f"expected ids or names, such as 0,person, got {text!r}")
    return [int(item) if item.isdecimal() else item for item in items]
