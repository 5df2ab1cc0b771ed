"""From a checkpoint to what a runtime reads: one network for images of any size."""

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
    """A network after its conversion, and what it declares. Threads: anybody."""

    @property
    def signature(self) -> Signature: ...
    @property
    def notes(self) -> Mapping[str, str]: ...
    def source(self) -> Path | bytes:
        """See `model.Conversion`."""


Convert = Callable[[Path], Converted]


@dataclass(frozen=True)
class ConvertedInMemory:
    """The bytes themselves. Frozen: threads, anybody."""

    signature: Signature
    notes: Mapping[str, str]
    data: bytes

    def source(self) -> bytes:
        return self.data


def convert_in_memory(path: Path) -> ConvertedInMemory:
    """Convert and keep nothing on disk. Raises ModelError, with the path in it."""
    with errors_about(path):
        data = io.BytesIO()
        write_converted(mapped_checkpoint(path), data.write)
        signature, notes = declarations(data.getbuffer())
        return ConvertedInMemory(signature, notes, data.getvalue())


def write_converted(data: memoryview, write: Callable[[Chunk], object], one_to_one: bool = False) -> None:
    """Write the ONNX file of the checkpoint whose bytes are `data`. Raises ModelError, and what `write` raises."""
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
    """The size it was trained at, rounded up to what its stride divides."""
    step = 1 if checkpoint.task == "classify" else max(checkpoint.stride)
    height, width = (-(-side // step) * step for side in checkpoint.imgsz_hw or DEFAULT_IMGSZ_HW)
    return height, width
