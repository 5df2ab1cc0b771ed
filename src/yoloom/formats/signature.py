"""From a graph's inputs and outputs, and its metadata, to a `Model`, or to the reason why there is none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from yoloom.errors import InvalidModel, InvalidOption, UnsupportedModel, UnsupportedTask
from yoloom.formats.head_layout import Dims, Head, Signature, listed, no_yolo
from yoloom.formats.metadata import Metadata, parse_metadata, parse_names
from yoloom.formats.model import LAYOUTS, Layout, Model, ModelFile, Quantization, Shape
from yoloom.validation import shown

TASKS = ("detect", "segment", "pose", "obb", "classify")
DEFAULT_STRIDE = 32
DEFAULT_IMGSZ_HW = (640, 640)
_STRETCHING_HEADS = ("RTDETRDecoder",)
_FLOATS = ("float32", "float16", "float64", "bfloat16", "")


def interpret(
    file: ModelFile,
    signature: Signature,
    notes: Mapping[str, Any],
    task: str | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
    layout: str | None = None,
) -> Model:
    """Combine what the file states (`notes`), what its graph proves, and what the caller insists on.

    Args:
        file: The files.
        signature: The graph.
        notes: The metadata.
        task: The caller's task, None for that of the file.
        names: The caller's class names.
        layout: The caller's layout of the first output, one of `LAYOUTS`.

    Raises:
        InvalidModel: The graph is no YOLO network, or contradicts itself.
        InvalidOption: No such layout.
        UnsupportedTask: Its task is none of `TASKS`.
        UnsupportedModel: It has other channels than three, one fixed side, or a head of another family, or could be
            read in more ways than one.
    """
    if layout is not None and layout not in LAYOUTS:
        raise InvalidOption(f"layout must be one of {', '.join(LAYOUTS)}, got {shown(layout)}.")
    overridden = [key for key, value in (("names", names), ("task", task)) if value is not None]
    declared = parse_metadata(notes, *overridden)
    shape = _input_shape(file, signature, declared)
    if task is not None and task not in TASKS:
        near = difflib.get_close_matches(str(task), TASKS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else " Leave it out: the file says it."
        raise UnsupportedTask(f"task must be one of {', '.join(TASKS)}, got {shown(task)}.{hint}")
    is_stated = (task or declared.task) is not None
    task = task or declared.task or _infer_task(file, signature.outputs, layout)
    if task not in TASKS:
        raise UnsupportedTask(f"{file.path} is for the task {task!r}; this version of yoloom does {', '.join(TASKS)}.")
    if declared.head in _STRETCHING_HEADS:
        raise UnsupportedModel(
            f"{file.path} has the head {declared.head}; this version of yoloom reads YOLO heads only."
        )
    class_names = declared.names
    if names is not None:
        try:
            class_names = parse_names(names)
        except (ValueError, TypeError, OverflowError) as error:
            raise InvalidModel(f"names must be a list of texts or a dict {{0: text, 1: text, ...}}: {error}") from error
    head = Head(file, task, signature, declared, class_names, shape.hw, layout, is_stated)
    if head.layout in (Layout.YOLOX, Layout.YOLOX_DECODED):
        shape = replace(shape, pixels=True, bgr=True)
    return Model(
        graph=file,
        task=task,
        names=head.class_names(),
        stride=max(declared.stride or DEFAULT_STRIDE, DEFAULT_STRIDE),
        imgsz_hw=shape.hw or declared.imgsz_hw or DEFAULT_IMGSZ_HW,
        input=shape,
        layout=head.layout,
        metadata={key: str(value) for key, value in notes.items()},
        kpt_shape=head.kpt_shape if task == "pose" else None,
        quantization=Quantization.NONE if signature.graph is None else signature.graph.quantization,
    )


def _input_shape(file: ModelFile, signature: Signature, declared: Metadata) -> Shape:
    inputs = signature.inputs
    if len(inputs) != 1 or len(inputs[0]) != 4:
        raise no_yolo(file, f"one input (batch, 3, height, width), got {listed(inputs)}")
    batch, channels, height, width = inputs[0]
    if width == 3 and channels not in (None, 3):
        raise UnsupportedModel(
            f"{file.path} takes its pixels as {listed(inputs)}, channels last; yoloom reads (batch, 3, height, width): "
            "export it with the channels first."
        )
    channels = channels or declared.channels or 3
    if channels != 3:
        raise UnsupportedModel(f"{file.path} takes {channels} channels; yoloom reads 3-channel models.")
    if (height is None) != (width is None):
        raise UnsupportedModel(f"{file.path} has one fixed and one free side, {listed(inputs)}: fix both or none.")
    hw = None if height is None or width is None else (height, width)
    takes_bytes = signature.input_type == "uint8"
    if not takes_bytes and signature.input_type not in _FLOATS:
        raise UnsupportedModel(
            f"{file.path} takes pixels of the type {signature.input_type}, whose range it does not say; yoloom feeds "
            "floats of 0..1, or uint8 of 0..255: export it with one of those."
        )
    if signature.graph is None:
        return Shape(batch, hw, takes_bytes)
    feeding = signature.graph.feeding(takes_bytes)
    if feeding is None:
        raise UnsupportedModel(
            f"{file.path} scales its input in a way that fits neither pixels of 0..255 nor of 0..1: export it with an "
            "input of uint8, or of floats of 0..1."
        )
    return Shape(batch, hw, feeding.pixels, feeding.bgr)


def _infer_task(file: ModelFile, outputs: Sequence[Dims], layout: str | None) -> str:
    """Infer the task of a file that states none: only two show, keypoints look like classes, a classifier like any."""
    ranks = sorted(len(dims) for dims in outputs)
    if ranks in ([3], [3, 4]):
        return "detect" if ranks == [3] else "segment"
    if ranks == [2] and layout in (Layout.RAW.value, Layout.LOGITS.value):
        return "classify"
    raise no_yolo(file, f"an output (batch, 4 + classes, anchors) or (batch, boxes, 6), got {listed(outputs)}")
