"""Arguments that several commands share."""

from __future__ import annotations

import argparse

from yoloom.formats.model import LAYOUTS

# Known by heart, and held to what the runtimes say by a test: help does not wait for numpy, which they import.
PRECISIONS = ("fp32", "bf16", "fp16", "tf32", "auto")
BACKENDS = ("openvino", "onnxruntime", "torch")
DEFAULT_DEVICE = "cpu"


def add_model(parser: argparse.ArgumentParser, is_needed: bool = True) -> None:
    """Add MODEL and the options that say how it is opened."""
    add_model_file(parser, is_needed)
    add_runtime(parser)
    parser.add_argument(
        "--layout", help=f"{', '.join(LAYOUTS)}: if the file does not prove its output, see docs/formats.md"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="CPU budget (default: all CPUs of this process)")


def add_model_file(parser: argparse.ArgumentParser, is_needed: bool = True) -> None:
    """Add MODEL alone."""
    nargs = None if is_needed else "?"
    parser.add_argument(
        "model", metavar="MODEL", nargs=nargs, help="a .pt or .onnx file, an OpenVINO folder, or a published name"
    )


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
