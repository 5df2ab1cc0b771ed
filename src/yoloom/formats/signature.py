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

TASKS = ("detect", "segment", "pose", "obb", "classify")
DEFAULT_STRIDE = 32
DEFAULT_IMGSZ_HW = (640, 640)
_STRETCHING_HEADS = ("RTDETRDecoder",)
_BOX = 4
_SUPPRESSED_COLUMNS = 6  # x1, y1, x2, y2, score, class
_COCO_KEYPOINTS = (17, 3)


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
    task = task or said.task or _infer_task(graph, signature.outputs)
    _check_task(graph, task, said)
    head = _Head(graph, task, signature.outputs, said, said.names if names is None else _given_names(names))
    return Model(
        graph=graph,
        task=task,
        names=head.names(),
        stride=max(said.stride or DEFAULT_STRIDE, DEFAULT_STRIDE),
        imgsz_hw=shape.hw or said.imgsz_hw or DEFAULT_IMGSZ_HW,
        input=shape,
        layout=head.layout(),
        metadata={key: str(value) for key, value in notes.items()},
        kpt_shape=head.kpt_shape() if task == "pose" else None,
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
    """Of a file that does not say. Only these two show: keypoints look like classes, and a classifier like anything."""
    ranks = sorted(len(dims) for dims in outputs)
    if ranks in ([3], [3, 4]):
        return "detect" if ranks == [3] else "segment"
    raise _no_yolo(graph, f"an output (batch, 4 + classes, anchors) or (batch, boxes, 6), got {_listed(outputs)}")


def _check_task(graph: Graph, task: str, said: Metadata) -> None:
    if task not in TASKS:
        raise UnsupportedTask(f"{graph.path} is for the task {task!r}; this version of yoloom does {', '.join(TASKS)}.")
    if said.head in _STRETCHING_HEADS:
        raise UnsupportedModel(f"{graph.path} has the head {said.head}; this version of yoloom reads YOLO heads only.")


class _Head:
    """What the outputs of one graph mean. One thread, for the length of `describe`."""

    def __init__(
        self, graph: Graph, task: str, outputs: Sequence[Dims], said: Metadata, names: Mapping[int, str] | None
    ) -> None:
        self._graph = graph
        self._task = task
        self._said = said
        self._given = names
        self._rows = self._predictions(outputs)
        self._prototypes: Dims = next((dims for dims in outputs if len(dims) == 4), ())

    def layout(self) -> Layout:
        if self._task == "classify":
            return Layout.RAW
        _, rows, columns = self._rows
        wanted = self._columns()
        suppressed = self._said.suppressed
        if suppressed is None:  # older files do not say
            suppressed = wanted is not None and columns == wanted and (rows is None or rows > columns)
        if suppressed and wanted is not None and columns not in (None, wanted):
            raise self._contradiction(f"rows of {wanted} values from a head that suppresses by itself")
        return Layout.END2END if suppressed else Layout.RAW

    def names(self) -> dict[int, str]:
        names = self._given
        if self.layout() is Layout.END2END:
            return dict(names) if names is not None else {}
        classes = self._classes()
        if classes is None:
            return self._names_alone()
        if classes < 1:
            raise self._contradiction(f"{self._before_classes()} and at least one class for each anchor")
        if names is None:
            return {index: f"class{index}" for index in range(classes)}
        if len(names) != classes:
            raise InvalidModel(
                f"{self._graph.path}: the output {_listed([self._rows])} has {classes} classes"
                f"{self._after()}, but there are {len(names)} names. A file of another task needs "
                "YOLO(path, task=...), other names YOLO(path, names=...)."
            )
        return dict(names)

    def kpt_shape(self) -> tuple[int, int]:
        """(keypoints, values of each). A file that does not say may still have those of COCO."""
        shape = self._said.kpt_shape
        if shape is None and self._unexplained() == _COCO_KEYPOINTS[0] * _COCO_KEYPOINTS[1]:
            return _COCO_KEYPOINTS
        if shape is None:
            raise InvalidModel(
                f"{self._graph.path} is for pose and does not say how many keypoints it has (kpt_shape in its "
                "metadata): export it again."
            )
        if shape[1] not in (2, 3):
            raise self._contradiction(f"kpt_shape with 2 or 3 values for each keypoint, got {shape}")
        return shape

    def _predictions(self, outputs: Sequence[Dims]) -> Dims:
        wanted = {"classify": [2], "segment": [3, 4]}.get(self._task, [3])
        if sorted(len(dims) for dims in outputs) != wanted:
            axes = " and ".join(map(str, wanted))
            raise _no_yolo(self._graph, f"output of {axes} axes for {self._task}, got {_listed(outputs)}")
        return next(dims for dims in outputs if len(dims) == wanted[0])

    def _extras(self) -> int | None:
        """How many values an anchor has behind its box and its classes; None where the file leaves that open."""
        if self._task == "segment":
            return self._prototypes[1]
        if self._task == "pose":
            keypoints, values = self.kpt_shape()
            return keypoints * values
        return 1 if self._task == "obb" else 0

    def _columns(self) -> int | None:
        extras = self._extras()
        return None if extras is None else _SUPPRESSED_COLUMNS + extras

    def _classes(self) -> int | None:
        if self._task == "classify":
            return self._rows[1]
        extras = self._extras()
        if self._rows[1] is None or extras is None:
            return None
        return self._rows[1] - _BOX - extras

    def _unexplained(self) -> int | None:
        """What the row of a pose network has besides its box and the classes that are named."""
        _, rows, columns = self._rows
        if self._said.suppressed:
            return None if columns is None else columns - _SUPPRESSED_COLUMNS
        return None if rows is None or self._given is None else rows - _BOX - len(self._given)

    def _names_alone(self) -> dict[int, str]:
        names, said = self._given, self._said.names
        if names is None:
            raise InvalidModel(
                f"{self._graph.path} does not say how many classes it has, neither in its output "
                f"{_listed([self._rows])} nor by their names: give them, YOLO(path, names=[...])."
            )
        if said is not None and len(names) != len(said):
            raise InvalidModel(f"{self._graph.path} has {len(said)} classes, but there are {len(names)} names.")
        return dict(names)

    def _before_classes(self) -> str:
        extras = self._extras()
        return f"{_BOX} box values" + (f", {extras} others" if extras else "")

    def _after(self) -> str:
        return "" if self._task == "classify" else f" after {self._before_classes()}"

    def _contradiction(self, expected: str) -> InvalidModel:
        return _no_yolo(self._graph, f"{expected}, got {_listed([self._rows])}")


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
