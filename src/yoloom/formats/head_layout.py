"""The meaning of a network's outputs: read from what metadata, shapes and operators prove, or refused.

Several families of networks end in tensors of the same shape that mean different things. A reading is taken only where
the others are ruled out; otherwise the refusal says which argument of `YOLO` settles it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yoloom.errors import InvalidModel, UnsupportedModel, YoloomError
from yoloom.formats.graph import Columns, Graph, Source
from yoloom.formats.metadata import Metadata
from yoloom.formats.model import Layout, ModelFile

Dims = tuple["int | None", ...]
"""A tensor's shape; None where any number goes."""

_BOX = 4
_SUPPRESSED_COLUMNS = 6  # x1, y1, x2, y2, score, class
_MOST_SELECTED = 1000  # rows of a head that selects: 300 by default
_COCO_KEYPOINTS = (17, 3)
_STRIDES = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32), (4, 8, 16), (8, 16), (8,), (16,), (32,))
_ANCHORS_OF_A_CELL = (1, 3)
_BOXES_THEN_SCORES = {Layout.TRANSPOSED: 4, Layout.OBJECTNESS: 5, Layout.YOLOX: 5, Layout.YOLOX_DECODED: 5}


@dataclass(frozen=True)
class Signature:
    """A graph's inputs and outputs, as the file declares them.

    Attributes:
        inputs: Shapes of the inputs.
        outputs: Shapes of the outputs.
        input_type: Type of the first input's numbers, such as "float32"; "" where the file does not say.
        graph: Its operators; None where they are not known.
    """

    inputs: Sequence[Dims]
    outputs: Sequence[Dims]
    input_type: str = ""
    graph: Graph | None = None


class Head:
    """The meaning of one graph's outputs.

    Thread safety: one thread at a time.

    Attributes:
        layout: The form of the first output.
        kpt_shape: Keypoints and values of each; None for other tasks than pose.
    """

    def __init__(
        self,
        file: ModelFile,
        task: str,
        signature: Signature,
        declared: Metadata,
        names: Mapping[int, str] | None,
        input_hw: tuple[int, int] | None,
        layout: str | None,
        task_is_stated: bool,
    ) -> None:
        """Find the layout.

        Args:
            file: The files, for messages.
            task: One of the tasks.
            signature: Shapes and operators.
            declared: The file's metadata.
            names: Names of the classes, None where nobody has said.
            input_hw: Height and width of the input in pixels, None for any.
            layout: The caller's layout, None for what is proved.
            task_is_stated: Whether the file or the caller says the task.

        Raises:
            InvalidModel: The outputs can not be those of the task, or contradict the metadata.
            UnsupportedModel: They could be read in more ways than one, or are those of another family.
        """
        outputs = signature.outputs
        wanted = {"classify": [2], "segment": [3, 4]}.get(task, [3])
        if sorted(len(dims) for dims in outputs) != wanted:
            axes = " and ".join(map(str, wanted))
            raise no_yolo(file, f"output of {axes} axes for {task}, got {listed(outputs)}")
        self._file = file
        self._task = task
        self._task_is_stated = task_is_stated
        self._declared = declared
        self._names = names
        self._input_hw = input_hw
        self._graph = signature.graph
        place = next(place for place, dims in enumerate(outputs) if len(dims) == wanted[0])
        self._rows = outputs[place]
        self._prototypes: Dims = next((dims for dims in outputs if len(dims) == 4), ())
        graph = self._graph
        self._columns: tuple[Columns, ...] = ()
        self._output = ""
        if graph is not None and place < len(graph.outputs):
            self._output = graph.outputs[place]
            self._columns = graph.sources_of(self._output)
        self.kpt_shape, self._extras = self._values_behind()
        self.layout = self._proved() if layout is None else Layout(layout)
        self._check()

    def class_names(self) -> dict[int, str]:
        """Return the names of the classes, "class0" and so on where nobody has said. Raises InvalidModel."""
        names, path, shape = self._names, self._file.path, listed([self._rows])
        if self.layout in (Layout.END2END, Layout.ROWS):
            return dict(names) if names is not None else {}
        before = _BOXES_THEN_SCORES.get(self.layout, _BOX)
        classes = self._rows[2 if self.layout in _BOXES_THEN_SCORES else 1]
        values_before = f"{before} box values" + (f", {self._extras} others" if self._extras else "")
        if self._task != "classify" and classes is not None:
            classes = None if self._extras is None else classes - before - self._extras
        if classes is None:  # the output leaves it open
            if names is None:
                raise InvalidModel(
                    f"{path} does not say how many classes it has, neither in its output {shape} nor by their names: "
                    "give them, YOLO(path, names=[...])."
                )
            classes = len(names)  # the caller's before those of the file; the first run shows whether they fit
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

    # ---- Layouts

    def _proved(self) -> Layout:
        declared, extras = self._declared, self._extras
        if self._task == "classify":  # probabilities or logits, which nobody can tell by their shape
            last = self._columns[-1].source if self._columns else Source.UNKNOWN
            if last is Source.LINEAR:
                return Layout.LOGITS
            if last not in (Source.SOFTMAX, Source.SIGMOID) and declared.task != "classify":
                raise self._ambiguous("probabilities, or logits before the softmax", Layout.RAW, Layout.LOGITS)
            return Layout.RAW  # Ultralytics exports classifiers with their softmax
        _, rows, columns = self._rows
        suppressed_columns = None if extras is None else _SUPPRESSED_COLUMNS + extras
        if declared.suppressed:
            if suppressed_columns is not None and columns not in (None, suppressed_columns):
                raise self._contradiction(f"rows of {suppressed_columns} values from a head that suppresses by itself")
            if not self._extras and self._ends_in_scores():  # keypoints end in a score each, behind the class
                raise self._contradiction("a class in the last column, as the metadata says, and not a score")
            return Layout.END2END
        if self._channels_first():
            return self._read_channels_first()
        anchors = self._anchors_of_a_cell(rows)
        if anchors == 3:
            return self._read_three_anchors()
        if anchors == 1:
            return self._read_one_anchor()
        return self._read_rows()

    def _channels_first(self) -> bool:
        """Tell (B, channels, anchors) from (B, rows, columns)."""
        _, rows, columns = self._rows
        cells_in_rows, cells_in_columns = self._anchors_of_a_cell(rows), self._anchors_of_a_cell(columns)
        if cells_in_rows is None and cells_in_columns is not None:
            return True
        if cells_in_rows is not None and cells_in_columns is None:
            return False
        if rows is None or columns is None:
            return rows is not None or (columns is None and self._declared.suppressed is not True)
        if self._names is not None and self._extras is not None:
            by_names = _BOX + len(self._names) + self._extras
            if (rows == by_names) != (columns == by_names):
                return rows == by_names
        return rows < columns

    def _read_channels_first(self) -> Layout:
        _, rows, columns = self._rows
        if rows is not None and rows <= _BOX:
            raise self._contradiction(f"{_BOX} box values and at least one class for each anchor")
        if self._columns and self._columns[-1].source is Source.LINEAR and self._task == "detect":
            raise UnsupportedModel(
                f"{self._file.path} ends before its sigmoid: its output {listed([self._rows])} holds logits. Export it "
                "with its whole head."
            )
        if self._names is not None or self._task_is_stated:
            return Layout.RAW  # where the names do not fit, `class_names` says so
        known_rows = columns is None or self._input_hw is None or self._anchors_of_a_cell(columns) is not None
        if known_rows and (self._task != "detect" or self._scores_end_it()):
            return Layout.RAW
        raise self._ambiguous("a score for each class, keypoints, or an angle", Layout.RAW)

    def _read_three_anchors(self) -> Layout:
        """Read the rows of YOLOv5 and YOLOv7: three anchors in each cell."""
        columns, names, extras = self._rows[2], self._names, self._extras or 0
        if names is not None and columns is not None:
            if columns == 5 + len(names) + extras:
                return Layout.OBJECTNESS
        elif (self._task == "segment" and columns is not None and columns > 5 + extras) or (
            self._task == "detect" and self._scores_end_it()
        ):
            return Layout.OBJECTNESS
        raise self._ambiguous("objectness and a score for each class, or keypoints", Layout.OBJECTNESS)

    def _read_one_anchor(self) -> Layout:
        """Read the rows of networks with one anchor in each cell."""
        columns, names, extras = self._rows[2], self._names, self._extras
        sources = [part.source for part in self._columns]
        if sources == [Source.LINEAR, Source.SIGMOID, Source.SIGMOID] and self._columns[1].width == 1:
            # One convolution for objectness alone: YOLOX, whose export leaves the decoding to others.
            return Layout.YOLOX
        if columns == _SUPPRESSED_COLUMNS and self._task == "detect" and self._ends_in_class():
            return Layout.END2END if self._selects() else Layout.ROWS
        if self._has_constant_objectness():
            return Layout.OBJECTNESS  # YOLOv6, which writes ones
        if names is not None and extras is not None and columns == _BOX + len(names) + extras:
            if self._declared.task is not None or self._scores_end_it():
                return Layout.TRANSPOSED
        elif self._scores_end_it() and columns is not None and self._columns[-1].width == columns - _BOX:
            return Layout.TRANSPOSED
        raise self._ambiguous(
            "class scores alone, objectness and class scores (YOLOX, YOLOv6), or one score and a class",
            Layout.TRANSPOSED,
            Layout.OBJECTNESS,
            Layout.YOLOX,
            Layout.YOLOX_DECODED,
            Layout.ROWS,
        )

    def _read_rows(self) -> Layout:
        """Read rows whose number is free, or not that of anchors."""
        _, rows, columns = self._rows
        names, extras = self._names, self._extras
        count = None if names is None else len(names)
        is_few = rows is not None and rows <= _MOST_SELECTED
        if extras is not None and columns == _SUPPRESSED_COLUMNS + extras:
            if self._ends_in_class() and extras == 0:
                return Layout.END2END if is_few or self._selects() else Layout.ROWS
            is_detr = extras == 0 and count in (None, columns - _BOX)
            if self._declared.task is not None and is_few and not is_detr and not self._ends_in_scores():
                return Layout.END2END
        if self._task == "detect" and columns is not None and is_few:
            if count is not None and columns == _BOX + count:
                raise UnsupportedModel(
                    f"{self._file.path}: rows of {columns} values, {listed([self._rows])}, for {count} classes are "
                    "those of RT-DETR or, for two classes, of a head that suppresses by itself. This version of "
                    f"yoloom does not read RT-DETR; for the other open it with {_arguments(Layout.END2END)}."
                )
        elif count is not None and columns == 5 + count + (extras or 0):
            declared = self._declared
            if declared.names is not None and declared.stride is not None and declared.task is None:
                return Layout.OBJECTNESS  # the metadata of YOLOv5 has stride and names and never a task
        raise self._ambiguous(
            "a box, a score and a class, or a box and a score for each class, with objectness or without",
            Layout.END2END,
            Layout.OBJECTNESS,
            Layout.TRANSPOSED,
            Layout.ROWS,
        )

    # ---- What the operators prove

    def _scores_end_it(self) -> bool:
        """Tell whether boxes come first and sigmoids last, with no others behind or between."""
        sources = [part.source for part in self._columns]
        first = next((place for place, source in enumerate(sources) if source is Source.SIGMOID), 0)
        return first > 0 and all(source is Source.SIGMOID for source in sources[first:])

    def _ends_in_scores(self) -> bool:
        """Tell whether a detector's last column is a score; that of a pose is the visibility of its last keypoint."""
        is_detector = self._task == "detect" and bool(self._columns)
        return is_detector and self._columns[-1].source in (Source.SIGMOID, Source.SOFTMAX)

    def _has_constant_objectness(self) -> bool:
        """Tell whether a constant column stands between boxes and a score for each class."""
        sources = [part.source for part in self._columns]
        columns = self._rows[2]
        if self._task != "detect" or columns is None or sources[-2:] != [Source.CONSTANT, Source.SIGMOID]:
            return False
        return set(sources[:-2]) == {Source.ARITHMETIC} and self._columns[-1].width == columns - _BOX - 1

    def _ends_in_class(self) -> bool:
        return len(self._columns) > 1 and self._columns[-1].source is Source.INDEX

    def _selects(self) -> bool:
        """Tell whether the graph chooses among its anchors, and does not merely take the best class of each."""
        graph = self._graph
        if graph is None:
            return False
        for node in graph.ancestors(self._output):
            if node.op == "TopK":
                count = graph.constants.get(node.inputs[1])
                if count is None or count.values != (1,):
                    return True
            elif node.op == "NonMaxSuppression":
                return True
        return False

    def _anchors_of_a_cell(self, count: int | None) -> int | None:
        """Return how many anchors each cell has when there are `count` in all; None where that fits no grid."""
        if count is None or self._input_hw is None:
            return None
        height, width = self._input_hw
        for strides in _STRIDES:
            cells = sum((height // stride) * (width // stride) for stride in strides)
            for anchors in _ANCHORS_OF_A_CELL:
                if cells and count == anchors * cells:
                    return anchors
        return None

    # ---- Extras

    def _values_behind(self) -> tuple[tuple[int, int] | None, int | None]:
        """Return the keypoints of a pose, and how many values an anchor has behind its box and classes.

        None stands for what the file leaves open. A pose that does not say its keypoints may still have those of COCO.
        """
        if self._task != "pose":
            return None, self._prototypes[1] if self._task == "segment" else int(self._task == "obb")
        shape, (_, rows, columns) = self._declared.kpt_shape, self._rows
        if shape is None:
            if self._declared.suppressed:
                unexplained = None if columns is None else columns - _SUPPRESSED_COLUMNS
            else:  # besides the box and the classes that are named
                unexplained = None if rows is None or self._names is None else rows - _BOX - len(self._names)
            if unexplained != math.prod(_COCO_KEYPOINTS):
                raise InvalidModel(
                    f"{self._file.path} is for pose and does not say how many keypoints it has (kpt_shape in its "
                    "metadata): export it again."
                )
            shape = _COCO_KEYPOINTS
        if shape[1] not in (2, 3):
            raise self._contradiction(f"kpt_shape with 2 or 3 values for each keypoint, got {shape}")
        return shape, math.prod(shape)

    # ---- Refusals

    def _check(self) -> None:
        """Raise InvalidModel for a layout that the task or the shape can not have."""
        layout, (_, *last) = self.layout, self._rows
        if (layout is Layout.LOGITS) != (layout is Layout.LOGITS and self._task == "classify"):
            raise self._contradiction("a classifier for layout='logits'")
        if self._task == "classify":
            if layout not in (Layout.RAW, Layout.LOGITS):
                raise self._contradiction(f"boxes for layout={layout.value!r}")
            return
        only_detects = layout in (Layout.YOLOX, Layout.YOLOX_DECODED, Layout.ROWS)
        if only_detects and self._task != "detect":
            raise self._contradiction(f"a detector for layout={layout.value!r}")
        columns, extras = last[1], self._extras or 0
        if layout in (Layout.END2END, Layout.ROWS) and columns not in (None, _SUPPRESSED_COLUMNS + extras):
            raise self._contradiction(f"rows of {_SUPPRESSED_COLUMNS + extras} values")

    def _ambiguous(self, meanings: str, *layouts: Layout) -> YoloomError:
        return UnsupportedModel(
            f"{self._file.path}: neither its metadata nor its operators say what its output {listed([self._rows])} "
            f"means: {meanings}. Say which, if you know: {_arguments(*layouts)}"
            + ("." if self._names is not None or self._task == "classify" else ", and names=[...].")
        )

    def _contradiction(self, expected: str) -> InvalidModel:
        return no_yolo(self._file, f"{expected}, got {listed([self._rows])}")


def no_yolo(file: ModelFile, expected: str) -> InvalidModel:
    """Make the error of a file that is no network for objects."""
    return InvalidModel(f"{file.path} does not look like a YOLO network: expected {expected}.")


def listed(shapes: Sequence[Dims]) -> str:
    """Print shapes, a free axis as a question mark."""
    texts = ("(" + ", ".join("?" if dim is None else str(dim) for dim in dims) + ")" for dims in shapes)
    return " and ".join(texts) or "none"


def _arguments(*layouts: Layout) -> str:
    return " or ".join(f"YOLO(path, layout={layout.value!r})" for layout in layouts)
