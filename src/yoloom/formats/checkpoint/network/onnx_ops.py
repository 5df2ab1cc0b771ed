"""The operations written down as nodes of an ONNX graph.

Operators: https://onnx.ai/onnx/operators, opset 17.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from yoloom.formats.checkpoint.network.conv_weights import Array, ConvWeights, Pair
from yoloom.formats.checkpoint.network.onnx_graph import FLOAT, OnnxGraph

OPSET = 17
_TO_END = 2**63 - 1
_SINGLE = np.dtype(np.float32)
# Of `Resize`: output pixel i is input pixel floor(i / factor), as torch's "nearest" is, without a half-pixel shift.
_NEAREST = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}


def _unary(operator: str) -> Callable[[OnnxOps, str], str]:
    """Make the method that adds this operator of one value."""
    return lambda ops, x: ops._node(operator, x)


def _binary(operator: str) -> Callable[[OnnxOps, str, str], str]:
    """Make the method that adds this operator of two values."""
    return lambda ops, a, b: ops._node(operator, a, b)


class OnnxOps:
    """An `Ops` whose values are names in an `OnnxGraph`; see `Ops` for the methods.

    The weights of the network are computed one by one when the graph is written.

    Thread safety: one thread at a time.
    """

    def __init__(self, graph: OnnxGraph, half: bool = False) -> None:
        """Write to `graph`.

        Args:
            graph: gets the nodes.
            half: weights are stored as float16 and widened when the graph is loaded.
        """
        self._graph = graph
        self._node = graph.node
        self.constant = graph.constant
        self._half = half

    # Constants

    def _number(self, value: float) -> str:
        return self.constant(np.array(value, np.float32))

    def _ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def _matrix(self, shape: tuple[int, ...], compute: Callable[[], Array]) -> str:
        """A weight of the network, stored in the precision of `half` and computed with in float32."""
        if not self._half:
            return self._graph.weight(shape, _SINGLE, compute)
        return self.to_float(self._graph.weight(shape, np.dtype(np.float16), compute))

    # Arithmetic

    # Operators that take values and no settings. `Div` truncates integers.
    add, sub, mul, div, mod = (_binary(operator) for operator in ("Add", "Sub", "Mul", "Div", "Mod"))
    matmul = _binary("MatMul")
    sin, cos, sigmoid, tanh, relu = (_unary(operator) for operator in ("Sin", "Cos", "Sigmoid", "Tanh", "Relu"))
    hard_swish, mean_of_image = _unary("HardSwish"), _unary("GlobalAveragePool")

    def leaky_relu(self, x: str, slope: float) -> str:
        """Add `LeakyRelu`."""
        return self._node("LeakyRelu", x, alpha=slope)

    def silu(self, x: str) -> str:
        """Add x * sigmoid(x): opset 17 has no operator for it."""
        return self._node("Mul", x, self._node("Sigmoid", x))

    def gelu(self, x: str) -> str:
        """Add x / 2 * (1 + erf(x / √2)): opset 17 has no operator for it."""
        erf = self._node("Erf", self._node("Mul", x, self._number(0.5**0.5)))
        return self._node("Mul", self._node("Mul", x, self._number(0.5)), self._node("Add", erf, self._number(1)))

    def softmax(self, x: str, axis: int) -> str:
        """Add `Softmax`."""
        return self._node("Softmax", x, axis=axis)

    def full_precision(self, x: str) -> str:
        """Return x: an ONNX graph of ours computes all with float32."""
        return x

    def to_float(self, x: str) -> str:
        """Add a `Cast` to float32."""
        return self._node("Cast", x, to=FLOAT)

    # Convolution and pooling

    def convolve(self, x: str, kernel: ConvWeights) -> str:
        """Add `Conv` or `ConvTranspose`."""
        weights, bias = [self._matrix(kernel.weight.shape, kernel.weight.numpy)], kernel.bias
        if bias is not None:
            weights.append(self._graph.weight(bias.shape, _SINGLE, lambda: bias))
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
        """Add `MatMul`, and `Add` for the bias."""
        y = self._node("MatMul", x, self._matrix(weight.T.shape, lambda: weight.T))
        if bias is None:
            return y
        return self._node("Add", y, self._graph.weight(bias.shape, _SINGLE, lambda: bias))

    def max_pool(self, x: str, size: Pair, stride: Pair, padding: Pair, round_up: bool = False) -> str:
        """Add `MaxPool`."""
        return self._node("MaxPool", x, kernel_shape=size, strides=stride, pads=padding * 2, ceil_mode=int(round_up))

    def mean_pool(self, x: str, size: Pair, stride: Pair) -> str:
        """Add `AveragePool`."""
        return self._node("AveragePool", x, kernel_shape=size, strides=stride)

    def max_of_axis(self, x: str, axis: int) -> str:
        """Add `ReduceMax`."""
        return self._node("ReduceMax", x, axes=(axis,), keepdims=1)

    # Space

    def pad(self, x: str, left: int, right: int, top: int, bottom: int) -> str:
        """Add `Pad`, and a `Reshape` to the same shape after it."""
        padded = self._node("Pad", x, self._ints(0, 0, top, left, 0, 0, bottom, right))
        # ONNX Runtime merges padding with a MaxPool right after it, and loses that it was by zeros.
        return self.reshape_like(padded, padded)

    def upsample(self, x: str, factor: float) -> str:
        """Add `Resize` by a factor."""
        return self._node("Resize", x, "", self.constant(np.array([1, 1, factor, factor], np.float32)), **_NEAREST)

    def upsample_to(self, x: str, like: str) -> str:
        """Add `Resize` to a size."""
        sizes = self.concat([self._dims(x, 0, 2), self._dims(like, 2, 4)], axis=0)
        return self._node("Resize", x, "", "", sizes, **_NEAREST)

    # Shape

    def concat(self, values: Sequence[str], axis: int) -> str:
        """Add `Concat`, where there are several values."""
        return self._node("Concat", *values, axis=axis) if len(values) > 1 else values[0]

    def split(self, x: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Add `Split`, where there are several sizes."""
        if len(sizes) == 1:
            return [x]
        name = self._graph.unique_name("split")
        outputs = [f"{name}_{index}" for index in range(len(sizes))]
        self._graph.add_node("Split", [x, self._ints(*sizes)], outputs, axis=axis)
        return outputs

    def every_other(self, x: str, axis: int, start: int) -> str:
        """Add `Slice`."""
        return self._node("Slice", x, *(self._ints(value) for value in (start, _TO_END, axis, 2)))

    def transpose(self, x: str, order: Sequence[int]) -> str:
        """Add `Transpose`."""
        return self._node("Transpose", x, perm=tuple(order))

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        """Add `Reshape`."""
        return self._node("Reshape", x, self._ints(*shape))

    def reshape_like(self, x: str, like: str) -> str:
        """Add `Reshape` to the `Shape` of another value."""
        return self._node("Reshape", x, self._node("Shape", like))

    def _dims(self, x: str, start: int, end: int) -> str:
        return self._node("Shape", x, start=start, end=end)

    # Anchors

    def anchor_points(self, features: Sequence[str]) -> str:
        """Add a grid of x and y for each level: 0.5, 1.5, ... along each axis."""
        levels = []
        for feature in features:
            sizes_hw = self._dims(feature, 2, 4)
            centres = []
            for axis in (2, 3):
                zero, one = (self.constant(np.array(value, np.int64)) for value in (0, 1))
                count = self._node("Squeeze", self._dims(feature, axis, axis + 1))
                centres.append(self.add(self.to_float(self._node("Range", zero, count, one)), self._number(0.5)))
            y, x = centres
            x = self._node("Expand", x, sizes_hw)  # (H, W): each row is x
            y = self._node("Expand", self._node("Unsqueeze", y, self._ints(1)), sizes_hw)  # (H, W): each column is y
            levels.append(self.concat([self.reshape(value, [1, -1]) for value in (x, y)], axis=0))
        return self.concat(levels, axis=1)

    def anchor_strides(self, features: Sequence[str], strides: Sequence[float]) -> str:
        """Add a row for each level: its stride, once for each of its pixels."""
        rows = []
        for feature, stride in zip(features, strides, strict=True):
            pixels = self._node("ReduceProd", self._dims(feature, 2, 4), keepdims=1)
            shape = self.concat([self._ints(1), pixels], axis=0)
            rows.append(self._node("Expand", self._number(stride), shape))
        return self.concat(rows, axis=1)

    # Selection

    def size(self, x: str, axis: int, most: int) -> str:
        """Add `Min` of the axis and the limit."""
        return self._node("Min", self._ints(most), self._dims(x, axis, axis + 1))

    def top(self, x: str, count: str) -> tuple[str, str]:
        """Add `TopK`."""
        name = self._graph.unique_name("top")
        values, index = f"{name}_values", f"{name}_index"
        self._graph.add_node("TopK", [x, count], [values, index], axis=1)
        return values, index

    def rows(self, x: str, index: str) -> str:
        """Add `GatherND`, with one index for each image."""
        return self._node("GatherND", x, self._node("Unsqueeze", index, self._ints(2)), batch_dims=1)
