"""From a checkpoint to the ONNX file that a runtime reads: one network for images of any size."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from yoloom.formats.checkpoint.checkpoint_file import errors_about, mapped_checkpoint
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.onnx_model import write_onnx
from yoloom.formats.checkpoint.parse import parse_checkpoint
from yoloom.formats.onnx_file import declarations
from yoloom.formats.protobuf import forget
from yoloom.formats.protobuf_writer import Chunk
from yoloom.formats.signature import Signature

DEFAULT_IMGSZ_HW = (640, 640)
_FORGET_BYTES = 4 << 20


class Converted(Protocol):
    """A network after its conversion, and its declarations.

    Thread safety: any number of threads.
    """

    @property
    def signature(self) -> Signature:
        """Its inputs and outputs."""

    @property
    def notes(self) -> Mapping[str, str]:
        """Its metadata."""

    def source(self) -> Path | bytes:
        """Find the file of the converted network, or its bytes: see `model.Conversion`."""


Convert = Callable[[Path], Converted]


@dataclass(frozen=True)
class ConvertedInMemory:
    """A converted network as bytes. Immutable.

    Thread safety: any number of threads.
    """

    signature: Signature
    notes: Mapping[str, str]
    data: bytes

    def source(self) -> bytes:
        """Return the bytes."""
        return self.data


def convert_in_memory(path: Path) -> ConvertedInMemory:
    """Convert a checkpoint, and keep nothing on disk.

    Raises:
        ModelError: it can not be read or rebuilt. The message has the path.
    """
    with errors_about(path):
        data = io.BytesIO()
        write_converted(mapped_checkpoint(path), data.write)
        signature, notes = declarations(data.getbuffer())
        return ConvertedInMemory(signature, notes, data.getvalue())


def write_converted(data: memoryview, write: Callable[[Chunk], object], one_to_one: bool = False) -> None:
    """Write the ONNX file of a checkpoint.

    Args:
        data: the bytes of the checkpoint file, mapped; they are let go of as they are written.
        write: takes each piece of the ONNX file, in order.
        one_to_one: by the branch of the head that needs no NMS, where there is one.

    Raises:
        ModelError: the checkpoint can not be read or rebuilt.
        Exception: an error of `write`.
    """
    checkpoint, written, forgotten = parse_checkpoint(data), 0, 0

    def write_and_forget(chunk: Chunk) -> None:
        nonlocal written, forgotten
        write(chunk)
        written += len(chunk)
        if written - forgotten > _FORGET_BYTES:  # no weight is looked at twice
            forget(data)
            forgotten = written

    write_onnx(checkpoint, write_and_forget, imgsz_hw=default_imgsz_hw(checkpoint), nms=False if one_to_one else None)


def default_imgsz_hw(checkpoint: Checkpoint) -> tuple[int, int]:
    """Find the size to predict at: that of the training, rounded up to a multiple of the stride."""
    step = 1 if checkpoint.task == "classify" else max(checkpoint.stride)
    height, width = (-(-side // step) * step for side in checkpoint.imgsz_hw or DEFAULT_IMGSZ_HW)
    return height, width
