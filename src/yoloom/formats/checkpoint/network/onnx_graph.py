"""The operations, written down as an ONNX graph.

Field and type numbers: onnx.proto, messages AttributeProto, NodeProto, TensorProto, ValueInfoProto and GraphProto.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.network.conv_weights import Array, ConvWeights, Pair
from yoloom.formats.protobuf_writer import Deferred, Message

OPSET = 17
MOST_NODES = 50_000  # the largest known network has 2,000

Dims = Sequence["int | str"]
"""A declared shape: a number, or the name of what is free."""

_FLOAT, _INT64, _FLOAT16 = 1, 7, 10
_TYPES = {"float32": _FLOAT, "int64": _INT64, "float16": _FLOAT16}
_TO_END = 2**63 - 1


class OnnxGraph:
    """An `Ops` over the names of values. One thread at a time.

    The weights of the network are computed one by one when the finished message is written.
    half: weights are stored as float16 and widened when the graph is loaded.
    """

    def __init__(self, half: bool = False) -> None:
        self._half = half
        self._nodes: list[Message] = []
        self._weights: list[Message] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def message(self, inputs: Mapping[str, Dims], outputs: Mapping[str, Dims]) -> Message:
        """The whole as a GraphProto."""
        graph = Message()
        for node in self._nodes:
            graph.message(1, node)
        graph.text(2, "yoloom")
        for weight in self._weights:
            graph.message(5, weight)
        for number, values in ((11, inputs), (12, outputs)):
            for name, dims in values.items():
                graph.message(number, _declaration(name, dims))
        return graph

    def output(self, x: str, name: str) -> None:
        self._add("Identity", [x], [name])

    # Constants

    def constant(self, array: Array) -> str:
        """Equal constants are stored once."""
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self._weight(array)
        return self._constants[key]

    def _weight(self, array: Array) -> str:
        return self._stored(array.shape, array.dtype, lambda: array)

    def _matrix(self, shape: tuple[int, ...], compute: Callable[[], Array]) -> str:
        """A weight of the network, in the precision that was asked for."""
        dtype = np.dtype(np.float16 if self._half else np.float32)
        name = self._stored(shape, dtype, lambda: _contiguous(compute(), dtype))
        return self._node("Cast", name, to=_FLOAT) if self._half else name

    def _stored(self, shape: tuple[int, ...], dtype: np.dtype[Any], compute: Callable[[], Array]) -> str:
        name = f"constant_{len(self._weights)}"
        content = Deferred(math.prod(shape) * dtype.itemsize, lambda: _bytes(compute()))
        tensor = Message().integers(1, shape).integer(2, _TYPES[dtype.name]).text(8, name).data(9, content)
        self._weights.append(tensor)
        return name

    def _ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    # Arithmetic

    def add(self, a: str, b: str) -> str:
        return self._node("Add", a, b)

    def sub(self, a: str, b: str) -> str:
        return self._node("Sub", a, b)

    def mul(self, a: str, b: str) -> str:
        return self._node("Mul", a, b)

    def div(self, a: str, b: str) -> str:
        return self._node("Div", a, b)

    def mod(self, a: str, b: str) -> str:
        return self._node("Mod", a, b)

    def matmul(self, a: str, b: str) -> str:
        return self._node("MatMul", a, b)

    def sin(self, x: str) -> str:
        return self._node("Sin", x)

    def cos(self, x: str) -> str:
        return self._node("Cos", x)

    def sigmoid(self, x: str) -> str:
        return self._node("Sigmoid", x)

    def tanh(self, x: str) -> str:
        return self._node("Tanh", x)

    def relu(self, x: str) -> str:
        return self._node("Relu", x)

    def leaky_relu(self, x: str, slope: float) -> str:
        return self._node("LeakyRelu", x, alpha=slope)

    def silu(self, x: str) -> str:
        return self._node("Mul", x, self._node("Sigmoid", x))

    def gelu(self, x: str) -> str:
        erf = self._node("Erf", self._node("Mul", x, self._number(0.5**0.5)))
        return self._node("Mul", self._node("Mul", x, self._number(0.5)), self._node("Add", erf, self._number(1)))

    def hard_swish(self, x: str) -> str:
        return self._node("HardSwish", x)

    def softmax(self, x: str, axis: int) -> str:
        return self._node("Softmax", x, axis=axis)

    def to_float(self, x: str) -> str:
        return self._node("Cast", x, to=_FLOAT)

    def _number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    # Convolution and pooling

    def convolve(self, x: str, kernel: ConvWeights) -> str:
        weights = [self._matrix(kernel.weight.shape, kernel.weight.numpy)]
        weights += [] if kernel.bias is None else [self._weight(_single(kernel.bias))]
        settings: dict[str, Any] = {
            "strides": kernel.stride,
            "pads": kernel.padding * 2,
            "dilations": kernel.dilation,
            "group": kernel.groups,
            "kernel_shape": kernel.weight.shape[2:],
        }
        if not kernel.transposed:
            return self._node("Conv", x, *weights, **settings)
        return self._node("ConvTranspose", x, *weights, output_padding=kernel.output_padding, **settings)

    def linear(self, x: str, weight: Array, bias: Array | None) -> str:
        y = self._node("MatMul", x, self._matrix(weight.T.shape, lambda: weight.T))
        return y if bias is None else self._node("Add", y, self._weight(_single(bias)))

    def max_pool(self, x: str, size: Pair, stride: Pair, padding: Pair, round_up: bool = False) -> str:
        return self._node("MaxPool", x, kernel_shape=size, strides=stride, pads=padding * 2, ceil_mode=int(round_up))

    def mean_pool(self, x: str, size: Pair, stride: Pair) -> str:
        return self._node("AveragePool", x, kernel_shape=size, strides=stride)

    def mean_of_image(self, x: str) -> str:
        return self._node("GlobalAveragePool", x)

    def max_of_axis(self, x: str, axis: int) -> str:
        return self._node("ReduceMax", x, axes=(axis,), keepdims=1)

    # Space

    def pad(self, x: str, left: int, right: int, top: int, bottom: int) -> str:
        padded = self._node("Pad", x, self._ints(0, 0, top, left, 0, 0, bottom, right))
        # ONNX Runtime merges padding with a MaxPool right after it, and loses that it was by zeros.
        return self.reshape_like(padded, padded)

    def upsample(self, x: str, factor: float) -> str:
        return self._resized(x, self.constant(np.array([1, 1, factor, factor], np.float32)))

    def upsample_to(self, x: str, like: str) -> str:
        return self._resized(x, "", self.concat([self._dims(x, 0, 2), self._dims(like, 2, 4)], axis=0))

    def _resized(self, x: str, *scales_or_sizes: str) -> str:
        settings = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
        return self._node("Resize", x, "", *scales_or_sizes, **settings)

    # Shape

    def concat(self, values: Sequence[str], axis: int) -> str:
        return self._node("Concat", *values, axis=axis) if len(values) > 1 else values[0]

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        if len(sizes) == 1:
            return [x]
        outputs = [f"split_{len(self._nodes)}_{index}" for index in range(len(sizes))]
        self._add("Split", [x, self._ints(*sizes)], outputs, axis=axis)
        return outputs

    def every_other(self, x: str, axis: int, start: int) -> str:
        return self._node("Slice", x, *(self._ints(value) for value in (start, _TO_END, axis, 2)))

    def transpose(self, x: str, order: Sequence[int]) -> str:
        return self._node("Transpose", x, perm=tuple(order))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        return self._node("Reshape", x, self._ints(*shape))

    def reshape_like(self, x: str, like: str) -> str:
        return self._node("Reshape", x, self._node("Shape", like))

    def _dims(self, x: str, start: int, end: int) -> str:
        return self._node("Shape", x, start=start, end=end)

    # Anchors

    def anchor_points(self, features: Sequence[str]) -> str:
        return self.concat([self._centres(feature) for feature in features], axis=1)

    def anchor_strides(self, features: Sequence[str], strides: Sequence[float]) -> str:
        rows = []
        for feature, stride in zip(features, strides, strict=True):
            pixels = self._node("ReduceProd", self._dims(feature, 2, 4), keepdims=1)
            shape = self.concat([self._ints(1), pixels], axis=0)
            rows.append(self._node("Expand", self._number(stride), shape))
        return self.concat(rows, axis=1)

    def _centres(self, feature: str) -> str:
        """(2, H * W): all x in rows of the image, all y."""
        sizes_hw = self._dims(feature, 2, 4)
        y, x = (self._half_steps(self._dims(feature, axis, axis + 1)) for axis in (2, 3))
        x = self._node("Expand", x, sizes_hw)
        y = self._node("Expand", self._node("Unsqueeze", y, self._ints(1)), sizes_hw)
        return self.concat([self.reshape(value, [1, -1]) for value in (x, y)], axis=0)

    def _half_steps(self, count: str) -> str:
        """0.5, 1.5, ..."""
        zero, one = (self.constant(np.array(value, np.int64)) for value in (0, 1))
        steps = self._node("Range", zero, self._node("Squeeze", count), one)
        return self.add(self.to_float(steps), self._number(0.5))

    # Selection

    def size(self, x: str, axis: int, most: int) -> str:
        return self._node("Min", self._ints(most), self._dims(x, axis, axis + 1))

    def top(self, x: str, count: str) -> tuple[str, str]:
        outputs = [f"top_{len(self._nodes)}_{part}" for part in ("values", "index")]
        self._add("TopK", [x, count], outputs, axis=1)
        return outputs[0], outputs[1]

    def rows(self, x: str, index: str) -> str:
        return self._node("GatherND", x, self._node("Unsqueeze", index, self._ints(2)), batch_dims=1)

    # Nodes

    def _node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """A node with one output, and its name."""
        output = f"{operation.lower()}_{len(self._nodes)}"
        self._add(operation, inputs, [output], **attributes)
        return output

    def _add(self, operation: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        if len(self._nodes) >= MOST_NODES:
            raise UnsupportedModel(f"the network has more than {MOST_NODES} operations, which no YOLO has.")
        node = Message()
        for number, names in ((1, inputs), (2, outputs)):
            for name in names:
                node.text(number, name)
        node.text(3, f"{operation}_{len(self._nodes)}").text(4, operation)
        for name, value in attributes.items():
            node.message(5, _attribute(name, value))
        self._nodes.append(node)


def _attribute(name: str, value: float | int | str | tuple[int, ...]) -> Message:
    attribute = Message().text(1, name)
    if isinstance(value, float):
        return attribute.real(2, value).integer(20, 1)
    if isinstance(value, int):
        return attribute.integer(3, value).integer(20, 2)
    if isinstance(value, str):
        return attribute.text(4, value).integer(20, 3)
    return attribute.integers(8, tuple(value)).integer(20, 7)


def _bytes(array: Array) -> memoryview | bytes:
    """Of a C-contiguous array, without a copy."""
    return array.reshape(-1).view(np.uint8).data if array.size else b""


def _declaration(name: str, dims: Dims) -> Message:
    shape = Message()
    for dim in dims:
        shape.message(1, Message().integer(1, dim) if isinstance(dim, int) else Message().text(2, dim))
    tensor_type = Message().integer(1, _FLOAT).message(2, shape)
    return Message().text(1, name).message(2, Message().message(1, tensor_type))


def _contiguous(array: Array, dtype: np.dtype[Any]) -> Array:
    return np.ascontiguousarray(array, dtype.newbyteorder("<"))


def _single(array: Array) -> Array:
    return _contiguous(array, np.dtype(np.float32))
