"""From a graph's inputs and outputs, and what its metadata says, to a `Model` — or to the reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yoloom.errors import InvalidModel, UnsupportedModel, UnsupportedTask
from yoloom.formats.metadata import Metadata, parse_metadata, parse_names
from yoloom.formats.model import Graph, Layout, Model, Shape

Dims = tuple["int | None", ...]
"""A tensor's shape; None where any number goes."""

TASKS = ("detect",)
DEFAULT_STRIDE = 32
DEFAULT_IMGSZ_HW = (640, 640)
_END2END_COLUMNS = 6


@dataclass(frozen=True)
class Signature:
    """The shapes of a graph's inputs and outputs, as the file declares them."""

    inputs: Sequence[Dims]
    outputs: Sequence[Dims]


def describe(
    graph: Graph,
    signature: Signature,
    notes: Mapping[str, Any],
    task: str | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
) -> Model:
    """Put together what the file says, what its shapes say, and what the caller insists on (`task`, `names`).

    Raises InvalidModel for a graph that is no YOLO or contradicts itself, UnsupportedTask, UnsupportedModel.
    """
    said = parse_metadata(notes)
    shape = _input_shape(graph, signature.inputs, said)
    _check_task(graph, task or said.task or _infer_task(graph, signature.outputs))
    output = _only_output(graph, signature.outputs)
    layout = _layout(graph, output, said)
    return Model(
        graph=graph,
        task="detect",
        names=_names(graph, output, layout, said, names),
        stride=max(said.stride or DEFAULT_STRIDE, DEFAULT_STRIDE),
        imgsz_hw=shape.hw or said.imgsz_hw or DEFAULT_IMGSZ_HW,
        input=shape,
        layout=layout,
        metadata={key: str(value) for key, value in notes.items()},
    )


def _input_shape(graph: Graph, inputs: Sequence[Dims], said: Metadata) -> Shape:
    if len(inputs) != 1 or len(inputs[0]) != 4:
        raise _no_yolo(graph, f"one input (batch, 3, height, width), got {_listed(inputs)}")
    batch, channels, height, width = inputs[0]
    if (channels or said.channels or 3) != 3:
        raise UnsupportedModel(
            f"{graph.path} takes {channels or said.channels} channels; yoloom reads 3-channel models."
        )
    if (height is None) != (width is None):
        raise UnsupportedModel(f"{graph.path} has one fixed and one free side, {_listed(inputs)}: fix both or none.")
    return Shape(batch, None if height is None or width is None else (height, width))


def _infer_task(graph: Graph, outputs: Sequence[Dims]) -> str:
    ranks = [len(dims) for dims in outputs]
    if ranks == [3]:
        return "detect"
    if sorted(ranks) == [3, 4]:
        return "segment"
    raise _no_yolo(graph, f"an output (batch, 4 + classes, anchors) or (batch, boxes, 6), got {_listed(outputs)}")


def _check_task(graph: Graph, task: str) -> None:
    if task not in TASKS:
        raise UnsupportedTask(f"{graph.path} is for the task {task!r}; this version of yoloom does {', '.join(TASKS)}.")


def _only_output(graph: Graph, outputs: Sequence[Dims]) -> Dims:
    if len(outputs) != 1 or len(outputs[0]) != 3:
        raise _no_yolo(graph, f"one output of three axes for detection, got {_listed(outputs)}")
    return outputs[0]


def _layout(graph: Graph, output: Dims, said: Metadata) -> Layout:
    _, rows, columns = output
    suppressed = said.suppressed
    if suppressed is None:  # older files do not say
        suppressed = columns == _END2END_COLUMNS and (rows is None or rows > columns)
    if suppressed and columns not in (None, _END2END_COLUMNS):
        raise _no_yolo(
            graph, f"rows of {_END2END_COLUMNS} values from a head that suppresses by itself, got {_listed([output])}"
        )
    return Layout.END2END if suppressed else Layout.RAW


def _names(
    graph: Graph, output: Dims, layout: Layout, said: Metadata, given: Mapping[int, str] | Sequence[str] | None
) -> dict[int, str]:
    names = _given_names(given) if given is not None else said.names
    if layout is Layout.END2END:
        return dict(names) if names is not None else {}
    if output[1] is None:
        return _names_alone(graph, output, said, names)
    classes = output[1] - 4
    if classes < 1:
        raise _no_yolo(graph, f"4 box values and at least one class for each anchor, got {_listed([output])}")
    if names is None:
        return {index: f"class{index}" for index in range(classes)}
    if len(names) != classes:
        raise InvalidModel(
            f"{graph.path}: the output {_listed([output])} has {classes} classes after 4 box values, but there are "
            f"{len(names)} names. A file of another task needs YOLO(path, task=...), other names YOLO(path, names=...)."
        )
    return dict(names)


def _names_alone(graph: Graph, output: Dims, said: Metadata, names: Mapping[int, str] | None) -> dict[int, str]:
    if names is None:
        raise InvalidModel(
            f"{graph.path} does not say how many classes it has, neither in its output {_listed([output])} nor by "
            "their names: give them, YOLO(path, names=[...])."
        )
    if said.names is not None and len(names) != len(said.names):
        raise InvalidModel(f"{graph.path} has {len(said.names)} classes, but there are {len(names)} names.")
    return dict(names)


def _given_names(given: Mapping[int, str] | Sequence[str]) -> dict[int, str]:
    try:
        return parse_names(given)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidModel(f"names must be a list of texts or a dict {{0: text, 1: text, ...}}: {error}") from error


def _no_yolo(graph: Graph, expected: str) -> InvalidModel:
    return InvalidModel(f"{graph.path} does not look like a YOLO network: expected {expected}.")


def _listed(shapes: Sequence[Dims]) -> str:
    texts = ("(" + ", ".join("?" if dim is None else str(dim) for dim in dims) + ")" for dims in shapes)
    return " and ".join(texts) or "none"
