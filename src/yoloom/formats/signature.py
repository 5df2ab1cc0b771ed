"""From a graph's inputs and outputs, and its metadata, to a `Model`, or to the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yoloom.errors import InvalidModel, UnsupportedModel, UnsupportedTask
from yoloom.formats.metadata import Metadata, parse_metadata, parse_names
from yoloom.formats.model import Layout, Model, ModelFile, Shape

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


def interpret(
    file: ModelFile,
    signature: Signature,
    notes: Mapping[str, Any],
    task: str | None = None,
    names: Mapping[int, str] | Sequence[str] | None = None,
) -> Model:
    """Combine what the file states (`notes`), what its shapes imply, and what the caller insists on (`task`, `names`).

    Raises:
        InvalidModel: The graph is no YOLO network, or contradicts itself.
        UnsupportedTask: Its task is none of `TASKS`.
        UnsupportedModel: It has other channels than three, one fixed side, or a head of another family.
    """
    declared = parse_metadata(notes)
    shape = _input_shape(file, signature.inputs, declared)
    task = task or declared.task or _infer_task(file, signature.outputs)
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
    head = _Head(file, task, signature.outputs, declared, class_names)
    return Model(
        graph=file,
        task=task,
        names=head.names(),
        stride=max(declared.stride or DEFAULT_STRIDE, DEFAULT_STRIDE),
        imgsz_hw=shape.hw or declared.imgsz_hw or DEFAULT_IMGSZ_HW,
        input=shape,
        layout=head.layout(),
        metadata={key: str(value) for key, value in notes.items()},
        kpt_shape=head.kpt_shape() if task == "pose" else None,
    )


def _input_shape(file: ModelFile, inputs: Sequence[Dims], declared: Metadata) -> Shape:
    if len(inputs) != 1 or len(inputs[0]) != 4:
        raise _no_yolo(file, f"one input (batch, 3, height, width), got {_listed(inputs)}")
    batch, channels, height, width = inputs[0]
    channels = channels or declared.channels or 3
    if channels != 3:
        raise UnsupportedModel(f"{file.path} takes {channels} channels; yoloom reads 3-channel models.")
    if (height is None) != (width is None):
        raise UnsupportedModel(f"{file.path} has one fixed and one free side, {_listed(inputs)}: fix both or none.")
    return Shape(batch, None if height is None or width is None else (height, width))


def _infer_task(file: ModelFile, outputs: Sequence[Dims]) -> str:
    """Infer the task of a file that states none: only two show, keypoints look like classes, a classifier like any."""
    ranks = sorted(len(dims) for dims in outputs)
    if ranks in ([3], [3, 4]):
        return "detect" if ranks == [3] else "segment"
    raise _no_yolo(file, f"an output (batch, 4 + classes, anchors) or (batch, boxes, 6), got {_listed(outputs)}")


class _Head:
    """The meaning of one graph's outputs. Thread safety: one thread at a time."""

    def __init__(
        self,
        file: ModelFile,
        task: str,
        outputs: Sequence[Dims],
        declared: Metadata,
        names: Mapping[int, str] | None,
    ) -> None:
        """Check that the outputs have the axes of the task. Raises InvalidModel."""
        wanted = {"classify": [2], "segment": [3, 4]}.get(task, [3])
        if sorted(len(dims) for dims in outputs) != wanted:
            axes = " and ".join(map(str, wanted))
            raise _no_yolo(file, f"output of {axes} axes for {task}, got {_listed(outputs)}")
        self._file = file
        self._task = task
        self._declared = declared
        self._names = names
        self._rows = next(dims for dims in outputs if len(dims) == wanted[0])
        self._prototypes: Dims = next((dims for dims in outputs if len(dims) == 4), ())

    def layout(self) -> Layout:
        if self._task == "classify":
            return Layout.RAW
        _, rows, columns = self._rows
        extras = self._extras()
        wanted = None if extras is None else _SUPPRESSED_COLUMNS + extras
        suppressed = self._declared.suppressed
        if suppressed is None:  # older files do not say
            suppressed = wanted is not None and columns == wanted and (rows is None or rows > columns)
        if suppressed and wanted is not None and columns not in (None, wanted):
            raise self._contradiction(f"rows of {wanted} values from a head that suppresses by itself")
        return Layout.END2END if suppressed else Layout.RAW

    def names(self) -> dict[int, str]:
        names, path, shape = self._names, self._file.path, _listed([self._rows])
        if self.layout() is Layout.END2END:
            return dict(names) if names is not None else {}
        extras = self._extras()
        values_before = f"{_BOX} box values" + (f", {extras} others" if extras else "")
        classes = self._rows[1]
        if self._task != "classify" and classes is not None:
            classes = None if extras is None else classes - _BOX - extras
        if classes is None:
            return self._names_alone()
        if classes < 1:
            raise self._contradiction(f"{values_before} and at least one class for each anchor")
        if names is None:
            return {index: f"class{index}" for index in range(classes)}
        if len(names) != classes:
            after = "" if self._task == "classify" else f" after {values_before}"
            raise InvalidModel(
                f"{path}: the output {shape} has {classes} classes{after}, but there are {len(names)} names. "
                "A file of another task needs YOLO(path, task=...), other names YOLO(path, names=...)."
            )
        return dict(names)

    def kpt_shape(self) -> tuple[int, int]:
        """Return (keypoints, values of each). A file that does not say may still have those of COCO."""
        shape = self._declared.kpt_shape
        if shape is None and self._unexplained() == _COCO_KEYPOINTS[0] * _COCO_KEYPOINTS[1]:
            return _COCO_KEYPOINTS
        if shape is None:
            raise InvalidModel(
                f"{self._file.path} is for pose and does not say how many keypoints it has (kpt_shape in its "
                "metadata): export it again."
            )
        if shape[1] not in (2, 3):
            raise self._contradiction(f"kpt_shape with 2 or 3 values for each keypoint, got {shape}")
        return shape

    def _extras(self) -> int | None:
        """Return how many values an anchor has behind its box and classes; None where the file leaves that open."""
        if self._task == "segment":
            return self._prototypes[1]
        if self._task == "pose":
            keypoints, values = self.kpt_shape()
            return keypoints * values
        return 1 if self._task == "obb" else 0

    def _unexplained(self) -> int | None:
        """Return how many values a row of a pose network has besides its box and the classes that are named."""
        _, rows, columns = self._rows
        if self._declared.suppressed:
            return None if columns is None else columns - _SUPPRESSED_COLUMNS
        return None if rows is None or self._names is None else rows - _BOX - len(self._names)

    def _names_alone(self) -> dict[int, str]:
        """Return the names of a network whose output leaves the number of classes open."""
        names, declared = self._names, self._declared.names
        if names is None:
            raise InvalidModel(
                f"{self._file.path} does not say how many classes it has, neither in its output "
                f"{_listed([self._rows])} nor by their names: give them, YOLO(path, names=[...])."
            )
        if declared is not None and len(names) != len(declared):
            raise InvalidModel(f"{self._file.path} has {len(declared)} classes, but there are {len(names)} names.")
        return dict(names)

    def _contradiction(self, expected: str) -> InvalidModel:
        return _no_yolo(self._file, f"{expected}, got {_listed([self._rows])}")


def _no_yolo(file: ModelFile, expected: str) -> InvalidModel:
    return InvalidModel(f"{file.path} does not look like a YOLO network: expected {expected}.")


def _listed(shapes: Sequence[Dims]) -> str:
    texts = ("(" + ", ".join("?" if dim is None else str(dim) for dim in dims) + ")" for dims in shapes)
    return " and ".join(texts) or "none"
