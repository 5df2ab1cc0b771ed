"""Synthetic networks of many families: small, with the operators by which their exports end.

Each takes 64 x 64 pixels, so one anchor in each cell of strides 8, 16 and 32 makes 84, and three make 252.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
STRIDES = (8, 16, 32)
ANCHORS = 84


class Net:
    """A network that grows operator by operator. Thread safety: one thread at a time."""

    def __init__(
        self,
        input_type: int = TensorProto.FLOAT,
        input_shape: Sequence[int | str] = (1, 3, SIDE, SIDE),
        weights: float = 0.05,
    ) -> None:
        self._weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._input = helper.make_tensor_value_info("images", input_type, list(input_shape))
        self._random = np.random.default_rng(0)

    def constant(self, value: object, dtype: type = np.float32) -> str:
        """Add a constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """Add an operator; returns the name of its first output, "NAME.1" is that of the second."""
        name = f"{op}{len(self.nodes)}"
        names = [name, *(f"{name}.{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return name

    def reshape(self, value: str, *shape: int) -> str:
        """Reshape a value."""
        return self.add("Reshape", value, self.constant(shape, np.int64))

    def conv(self, channels: int, stride: int, value: str = "images") -> str:
        """Add a convolution whose kernel is as large as its stride."""
        weights = self._random.normal(0, self._weights, (channels, 3, stride, stride))
        return self.add("Conv", value, self.constant(weights), strides=[stride, stride])

    def levels(self, channels: int) -> str:
        """Join the maps of three strides: (1, channels, 84)."""
        return self.add("Concat", *(self.reshape(self.conv(channels, s), 1, channels, -1) for s in STRIDES), axis=2)

    def pixels(self, value: str) -> str:
        """Turn small numbers into pixels of the canvas."""
        return self.add("Add", self.add("Mul", value, self.constant(8)), self.constant(32))

    def boxes(self) -> str:
        """Boxes of 84 anchors: (1, 4, 84)."""
        return self.pixels(self.levels(4))

    def scores(self, classes: int = 3) -> str:
        """Scores of 84 anchors: (1, classes, 84)."""
        return self.add("Sigmoid", self.levels(classes))

    def swapped(self, value: str) -> str:
        """Swap the last two axes."""
        return self.add("Transpose", value, perm=[0, 2, 1])

    def model(self, outputs: dict[str, Sequence[int | str]], notes: dict[str, str] | None = None) -> onnx.ModelProto:
        """Finish the network. outputs: values and their shapes."""
        declared = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in outputs.items()
        ]
        graph = helper.make_graph(self.nodes, "survey", [self._input], declared, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        helper.set_model_props(model, notes or {})
        return model


Notes = dict[str, str]


def yolov8(
    notes: Notes, classes: int = 3, extras: int = 0, swap: bool = False, sigmoid: bool = True
) -> onnx.ModelProto:
    """YOLOv8 and its successors: boxes, scores, then keypoints or an angle."""
    net = Net()
    scores = net.scores(classes) if sigmoid else net.levels(classes)
    parts = [net.boxes(), scores, *([net.pixels(net.levels(extras))] if extras else [])]
    rows = net.add("Concat", *parts, axis=1)
    shape: tuple[int, ...] = (1, 4 + classes + extras, ANCHORS)
    if swap:
        rows, shape = net.swapped(rows), (1, ANCHORS, 4 + classes + extras)
    return net.model({rows: shape}, notes)


def yolov8_segment(notes: Notes, classes: int = 3) -> onnx.ModelProto:
    """The same with mask coefficients and prototypes."""
    net = Net()
    rows = net.add("Concat", net.boxes(), net.scores(classes), net.levels(32), axis=1)
    return net.model({rows: (1, 36 + classes, ANCHORS), net.conv(32, 4): (1, 32, 16, 16)}, notes)


def yolov5(notes: Notes, classes: int = 3, landmarks: int = 0, masks: int = 0, free: bool = False) -> onnx.ModelProto:
    """YOLOv5 and YOLOv7: three anchors in each cell, one sigmoid over all, objectness before the classes."""
    net = Net()
    columns = 5 + classes + landmarks + masks
    rows = []
    for stride in STRIDES:
        cells = SIDE // stride
        shaped = net.reshape(net.conv(3 * columns, stride), 1, 3, columns, cells, cells)
        shaped = net.add("Transpose", shaped, perm=[0, 1, 3, 4, 2])
        all_of_it = net.add("Sigmoid", shaped)
        sizes = net.constant((2, 2, columns - 4), np.int64)
        xy = net.add("Split", all_of_it, sizes, outputs=3, axis=4)
        parts = [net.pixels(xy), net.pixels(f"{xy}.1"), f"{xy}.2"]
        if landmarks or masks:
            sizes = net.constant(
                (1 if landmarks else 1 + classes, landmarks or masks, classes if landmarks else 0), np.int64
            )
            rest = net.add("Split", f"{xy}.2", sizes, outputs=3, axis=4)
            parts[2:] = [rest, net.pixels(f"{rest}.1"), f"{rest}.2"]
        joined = net.add("Concat", *parts, axis=4)
        rows.append(net.reshape(joined, 1, 3 * cells * cells, columns))
    output = net.add("Concat", *rows, axis=1)
    outputs: dict[str, Sequence[int | str]] = {output: (1, "anchors" if free else 3 * ANCHORS, columns)}
    if masks:
        outputs[net.conv(masks, 4)] = (1, masks, 16, 16)
    return net.model(outputs, notes)


def yolox(decoded: bool = False, classes: int = 3) -> onnx.ModelProto:
    """YOLOX: a convolution for objectness alone, no metadata."""
    net = Net(weights=0.0005)  # its pixels are of 0..255
    levels = []
    for stride in STRIDES:
        scores = [net.add("Sigmoid", net.conv(channels, stride)) for channels in (1, classes)]
        level = net.add("Concat", net.conv(4, stride), *scores, axis=1)
        levels.append(net.reshape(level, 1, 5 + classes, -1))
    rows = net.swapped(net.add("Concat", *levels, axis=2))
    if decoded:
        sizes = net.constant((2, 2, 1 + classes), np.int64)
        xy = net.add("Split", rows, sizes, outputs=3, axis=2)
        rows = net.add("Concat", net.pixels(xy), net.pixels(net.add("Exp", f"{xy}.1")), f"{xy}.2", axis=2)
    return net.model({rows: (1, ANCHORS, 5 + classes)})


def yolov6(classes: int = 3, objectness: str = "constant", free: bool = False) -> onnx.ModelProto:
    """YOLOv6: ones between boxes and scores. objectness: "constant", "made" by an operator, or "computed"."""
    net = Net()
    if objectness == "computed":
        ones = net.add("Relu", net.levels(1))
    elif objectness == "made":
        filled = numpy_helper.from_array(np.ones(1, np.float32))
        ones = net.add("ConstantOfShape", net.constant((1, 1, ANCHORS), np.int64), value=filled)
    else:
        ones = net.constant(np.ones((1, 1, ANCHORS)))
    centre, size = (net.add("Mul", net.levels(2), net.constant(np.full((1, 1, ANCHORS), 8))) for _ in range(2))
    parts = [net.swapped(value) for value in (net.add("Concat", centre, size, axis=1), ones, net.scores(classes))]
    return net.model({net.add("Concat", *parts, axis=2): (1, "anchors" if free else ANCHORS, 5 + classes)})


def rtdetr(notes: Notes, classes: int = 3) -> onnx.ModelProto:
    """RT-DETR of Ultralytics 8.0 to 8.3: normalised boxes and a score for each class."""
    net = Net()
    cut = [net.constant(value, np.int64) for value in ([0], [40], [2])]
    parts = [net.add("Slice", net.add("Sigmoid", net.levels(channels)), *cut) for channels in (4, classes)]
    return net.model({net.swapped(net.add("Concat", *parts, axis=1)): (1, 40, 4 + classes)}, notes)


def yolov10(notes: Notes, few: int | str = 40, classes: int = 3) -> onnx.ModelProto:
    """A head that selects: TopK over the classes and over the anchors."""
    net = Net()
    one, rows = net.constant([1], np.int64), net.constant([40], np.int64)
    best = net.add("TopK", net.scores(classes), one, outputs=2, axis=1)
    number = net.add("Cast", f"{best}.1", to=TensorProto.FLOAT)
    columns = net.swapped(net.add("Concat", net.boxes(), best, number, axis=1))
    order = net.add("TopK", net.swapped(best), rows, outputs=2, axis=1)
    order = net.add("Tile", f"{order}.1", net.constant([1, 1, 6], np.int64))
    return net.model({net.add("GatherElements", columns, order, axis=1): (1, few, 6)}, notes)


def yolo26_pose(notes: Notes) -> onnx.ModelProto:
    """A head that selects, with two keypoints behind: the last column is the visibility of the last one."""
    net = Net()
    best = net.add("TopK", net.scores(), net.constant([1], np.int64), outputs=2, axis=1)
    number = net.add("Cast", f"{best}.1", to=TensorProto.FLOAT)
    points = [part for _ in range(2) for part in (net.pixels(net.levels(2)), net.scores(1))]
    return net.model(
        {net.swapped(net.add("Concat", net.boxes(), best, number, *points, axis=1)): (1, ANCHORS, 12)}, notes
    )


def deepstream(notes: Notes) -> onnx.ModelProto:
    """DeepStream-Yolo: one score and class of each anchor, before suppression."""
    net = Net()
    scores = net.scores()
    best = net.add("ReduceMax", scores, axes=[1], keepdims=1)
    number = net.add("Cast", net.add("ArgMax", scores, axis=1, keepdims=1), to=TensorProto.FLOAT)
    rows = net.swapped(net.add("Concat", net.boxes(), best, number, axis=1))
    return net.model({rows: (1, ANCHORS, 6)}, notes)


def classifier(notes: Notes, last: str = "Softmax", classes: int = 3) -> onnx.ModelProto:
    """A classifier. last: "Softmax", "Gemm" for logits, or "Relu", which says neither."""
    net = Net()
    pooled = net.reshape(net.conv(8, SIDE), 1, 8)
    value = net.add("Gemm", pooled, net.constant(np.eye(8, classes)))
    if last != "Gemm":
        value = net.add(last, value)
    return net.model({value: (1, classes)}, notes)


def planted(
    shape: Sequence[int],
    rows: Mapping[tuple[Any, ...], object] | None = None,
    notes: Notes | None = None,
    when_bright: Mapping[tuple[Any, ...], object] | None = None,
) -> onnx.ModelProto:
    """A network that answers with constants, so that its operators say nothing.

    rows: values by their place. when_bright: those that a white picture adds, and a black one does not.
    """
    net = Net()
    values, more = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for place, value in (rows or {}).items():
        values[place] = value
    for place, value in (when_bright or {}).items():
        more[place] = value
    mean = net.add("ReduceMean", "images", keepdims=0)
    return net.model({net.add("Add", net.constant(values), net.add("Mul", mean, net.constant(more))): shape}, notes)


def _with_channels(net: Net, value: str, kind: str) -> str:
    if kind == "flips the channels":
        slices = [net.constant([number], np.int64) for number in (-1, -(2**31), 1, -1)]  # start, end, axis, step
        return net.add("Slice", value, *slices)
    if kind.startswith("splits"):
        return _split(net, value, kind)
    if kind.startswith("stacks"):
        return _stacked(net, value, kind)
    order = {"reverses": (2, 1, 0), "swaps": (0, 2, 1), "keeps": (0, 1, 2)}[kind.split()[0]]
    return net.add("Gather", value, net.constant(order, np.int64), axis=1)


def _split(net: Net, value: str, kind: str) -> str:
    red = net.add("Split", value, outputs=3, axis=1)
    parts = [red, f"{red}.1", f"{red}.2"]
    if "scales" in kind:
        parts = [net.add("Div", part, net.constant(number)) for part, number in zip(parts, (58, 57, 57), strict=True)]
    return net.add("Concat", *(reversed(parts) if "reverses" in kind else parts), axis=1)


def _stacked(net: Net, value: str, kind: str) -> str:
    parts = []
    for channel in (2, 1, 0):
        if "by slices" in kind:
            numbers = [net.constant([number], np.int64) for number in (channel, channel + 1, 1)]
            parts.append(net.add("Slice", value, *numbers))
        else:
            taken = net.add("Gather", value, net.constant(channel, np.int64), axis=1)
            parts.append(net.add("Unsqueeze", taken, net.constant([1], np.int64)))
    return net.add("Concat", *parts, axis=1)


def with_input(
    kind: str, input_type: int = TensorProto.FLOAT, shape: Sequence[int | str] = (1, 3, SIDE, SIDE)
) -> onnx.ModelProto:
    """YOLOv8 behind other pixels. kind: what the network does with its input first."""
    net = Net(input_type, shape, weights=0.05 if kind else 0.0005)  # of pixels
    value = "images"
    if input_type != TensorProto.FLOAT:
        value = net.add("Cast", value, to=TensorProto.FLOAT)
    if kind == "divides by 255":
        value = net.add("Div", value, net.constant(255))
    elif kind == "multiplies by 1/255":
        value = net.add("Mul", value, net.constant(1 / 255))
    elif kind == "subtracts 123, divides by 58":
        value = net.add("Div", net.add("Sub", value, net.constant(123)), net.constant(58))
    elif kind == "subtracts 0.45, divides by 0.22":
        value = net.add("Div", net.add("Sub", value, net.constant(0.45)), net.constant(0.22))
    elif "channels" in kind:
        value = _with_channels(net, value, kind)
    elif kind == "divides by 12":
        value = net.add("Div", value, net.constant(12))
    boxes = net.pixels(net.reshape(net.conv(4, 8, value), 1, 4, -1))
    scores = net.add("Sigmoid", net.reshape(net.conv(3, 8, value), 1, 3, -1))
    return net.model({net.add("Concat", boxes, scores, axis=1): (1, 7, 64)})
