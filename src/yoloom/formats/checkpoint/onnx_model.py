"""A checkpoint as an ONNX file, with the metadata that Ultralytics' own exports have."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.formats.checkpoint.describe import Checkpoint
from yoloom.formats.checkpoint.network.build import has_branch, outputs, typed_contradictions
from yoloom.formats.checkpoint.network.head_parts import MOST_DETECTIONS
from yoloom.formats.checkpoint.network.onnx_graph import Dims, OnnxGraph
from yoloom.formats.checkpoint.network.onnx_ops import OPSET, OnnxOps
from yoloom.formats.protobuf import Chunk, ProtoMessage

INPUT = "images"
IR_VERSION = 8


def build_onnx(checkpoint: Checkpoint, **options: Any) -> bytes:
    """Make the file that `write_onnx` writes, in memory."""
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

    Holds one weight in memory at a time. Thread safety: any number of threads.

    Args:
        checkpoint: the network.
        write: takes each piece of the file, in order.
        dynamic: the network takes any batch, height and width; else those of `batch` and `imgsz_hw` only.
        imgsz_hw: (height, width) of the images in pixels.
        batch: how many images it takes at once.
        nms: False takes the branch of the head that needs no NMS, where the network has one.
        half: weights of 16 bits, in a file half the size; they are computed with in 32 bits.

    Raises:
        UnsupportedModel: yoloom does not know a block or the head.
        InvalidModel: the parts of the network do not fit together.
        InvalidOption: the network's stride does not divide `imgsz_hw`.
        Exception: an error of `write`. After any error, the part that was written is not a model.
    """
    step = max(checkpoint.stride)
    if checkpoint.task != "classify" and any(size <= 0 or size % step for size in imgsz_hw):
        raise InvalidOption(f"imgsz must be multiples of the network's stride, {step}; got {imgsz_hw}.")
    end2end = has_branch(checkpoint, one_to_one=True) and (nms is False or not has_branch(checkpoint, one_to_one=False))
    graph = OnnxGraph()
    ops = OnnxOps(graph, half)
    sizes = {} if dynamic else _axis_sizes(checkpoint, batch, imgsz_hw)
    declared: dict[str, Dims] = {}
    for index, result in enumerate(outputs(ops, checkpoint, INPUT, one_to_one=end2end)):
        graph.add_node("Identity", [result.value], [f"output{index}"])
        declared[f"output{index}"] = _resolved(result.dims, sizes)
    image = _resolved(("batch", checkpoint.channels, "height", "width"), sizes)
    metadata = _metadata(checkpoint, end2end, imgsz_hw, batch, {"dynamic": dynamic, "nms": nms, "half": half})
    # A ModelProto with the graph and its metadata; field numbers: onnx.proto.
    file = ProtoMessage().integer(1, IR_VERSION).text(2, "yoloom").message(7, graph.message({INPUT: image}, declared))
    file.message(8, ProtoMessage().text(1, "").integer(2, OPSET))
    for key, value in metadata.items():
        file.message(14, ProtoMessage().text(1, key).text(2, str(value)))
    with typed_contradictions():  # the weights are computed only now
        for chunk in file.chunks():
            write(chunk)


def _axis_sizes(checkpoint: Checkpoint, batch: int, imgsz_hw: tuple[int, int]) -> dict[str, int]:
    """The length of each named axis, for one size of the input."""
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


def _metadata(
    checkpoint: Checkpoint, end2end: bool, imgsz_hw: tuple[int, int], batch: int, options: Mapping[str, bool | None]
) -> dict[str, object]:
    """The metadata as Ultralytics 8.4 writes them; the file's own date, version and license stay with the weights."""
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
    metadata: dict[str, object] = {
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
    return metadata if checkpoint.kpt_shape is None else {**metadata, "kpt_shape": list(checkpoint.kpt_shape)}
