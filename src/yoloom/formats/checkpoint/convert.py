"""From a checkpoint to the ONNX file that a runtime reads: one network for images of any size."""

from __future__ import annotations

from collections.abc import Callable

from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.onnx_model import write_onnx
from yoloom.formats.checkpoint.parse import parse_checkpoint
from yoloom.formats.protobuf import Chunk, forget

DEFAULT_IMGSZ_HW = (640, 640)
_FORGET_BYTES = 4 << 20


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
