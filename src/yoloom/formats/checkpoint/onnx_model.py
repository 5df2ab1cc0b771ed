"""A checkpoint as an ONNX file, with the metadata that Ultralytics' own exports have."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.network.build import has_one_to_many, has_one_to_one, outputs, typed_contradictions
from yoloom.formats.checkpoint.network.head_parts import MOST_DETECTIONS, Output
from yoloom.formats.checkpoint.network.onnx_graph import OPSET, Dims, OnnxGraph
from yoloom.formats.protobuf_writer import Chunk, Message

INPUT = "images"
IR_VERSION = 8


def build_onnx(checkpoint: Checkpoint, **options: Any) -> bytes:
    """The file that `write_onnx` writes, in memory."""
    file = io.BytesIO()
    write_onnx(checkpoint, file.write, **options)
    return file.getvalue()


def write_onnx(
    checkpoint: Checkpoint,
    write: Callable[[Chunk], object],
    *,
    dynamic: bool = True,
    imgsz_hw: tuple[int, int] = (640, 640),
    batch: int = 1,
    nms: bool | None = None,
    half: bool = False,
) -> None:
    """Write the network as an ONNX file, piece by piece: the same checkpoint and options give the same bytes.

    dynamic: any batch, height and width; else `batch` and `imgsz_hw` are fixed. nms: False takes the head that needs no
    NMS, where the network has one. half: weights of 16 bits, in a file half the size; they are computed with in 32.
    Holds one weight in memory at a time. Raises UnsupportedModel, InvalidModel, InvalidOption, and what `write` raises;
    what was written by then is no model. Any thread.
    """
    _check_imgsz(checkpoint, imgsz_hw)
    graph = OnnxGraph(half)
    end2end = has_one_to_one(checkpoint) and (nms is False or not has_one_to_many(checkpoint))
    results = outputs(graph, checkpoint, INPUT, one_to_one=end2end)
    sizes = {} if dynamic else _sizes(checkpoint, batch, imgsz_hw)
    declared = _declared(graph, results, sizes)
    image = _resolved(("batch", checkpoint.channels, "height", "width"), sizes)
    notes = _notes(checkpoint, end2end, imgsz_hw, batch, {"dynamic": dynamic, "nms": nms, "half": half})
    file = _file(graph.message({INPUT: image}, declared), notes)
    with typed_contradictions():
        for chunk in file.chunks():
            write(chunk)


def _check_imgsz(checkpoint: Checkpoint, imgsz_hw: tuple[int, int]) -> None:
    step = max(checkpoint.stride)
    if checkpoint.task != "classify" and any(size <= 0 or size % step for size in imgsz_hw):
        raise InvalidOption(f"imgsz must be multiples of the network's stride, {step}; got {imgsz_hw}.")


def _declared(graph: OnnxGraph, results: list[Output[str]], sizes: Mapping[str, int]) -> dict[str, Dims]:
    """Name the outputs, and say what shape they have."""
    for index, result in enumerate(results):
        graph.output(result.value, f"output{index}")
    return {f"output{index}": _resolved(result.dims, sizes) for index, result in enumerate(results)}


def _sizes(checkpoint: Checkpoint, batch: int, imgsz_hw: tuple[int, int]) -> dict[str, int]:
    """The numbers for the named axes, for one size of the input."""
    height, width = imgsz_hw
    anchors = sum((height // stride) * (width // stride) for stride in checkpoint.stride)
    mask_stride = max(min(checkpoint.stride) // 2, 1)
    return {
        "batch": batch,
        "height": height,
        "width": width,
        "anchors": anchors,
        "detections": min(anchors, MOST_DETECTIONS),
        "mask_height": height // mask_stride,
        "mask_width": width // mask_stride,
    }


def _resolved(dims: Dims, sizes: Mapping[str, int]) -> Dims:
    return [sizes.get(dim, dim) if isinstance(dim, str) else dim for dim in dims]


def _notes(
    checkpoint: Checkpoint, end2end: bool, imgsz_hw: tuple[int, int], batch: int, options: Mapping[str, bool | None]
) -> dict[str, object]:
    """As Ultralytics 8.4 writes them; the file's own date, version and license stay with the weights."""
    args = {
        "data": None,
        "batch": batch,
        "fraction": 1.0,
        "quantize": 16 if options["half"] else None,
        "nms": options["nms"],
        "dynamic": options["dynamic"],
        "simplify": True,
        "opset": OPSET,
    }
    notes: dict[str, object] = {
        "description": "YOLO network, converted from its checkpoint by yoloom",
        **checkpoint.notes,
        "stride": max(checkpoint.stride),
        "task": checkpoint.task,
        "head": checkpoint.head.kind,
        "batch": batch,
        "imgsz": list(imgsz_hw),
        "names": dict(checkpoint.names),
        "args": args,
        "channels": checkpoint.channels,
        "end2end": end2end,
    }
    return notes if checkpoint.kpt_shape is None else {**notes, "kpt_shape": list(checkpoint.kpt_shape)}


def _file(graph: Message, notes: Mapping[str, object]) -> Message:
    """A ModelProto; field numbers: onnx.proto."""
    model = Message().integer(1, IR_VERSION).text(2, "yoloom").message(7, graph)
    model.message(8, Message().text(1, "").integer(2, OPSET))
    for key, value in notes.items():
        model.message(14, Message().text(1, key).text(2, str(value)))
    return model
