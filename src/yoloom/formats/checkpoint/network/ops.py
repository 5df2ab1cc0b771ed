"""The operations that a network is made of: all that a block definition may ask for.

A definition is a function `(ops, module, x) -> y`. It knows no runtime: with the ONNX writer for `ops` its values are
names in a graph, with tensors for values the same definition computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from yoloom.formats.checkpoint.network.conv_weights import Array, ConvWeights, Pair

V = TypeVar("V")
"""A value of an `Ops`. Definitions pass it along and never look inside."""


class Ops(Protocol[V]):
    """The operations over values of one kind, each of which returns a new value and changes none of its arguments.

    Axes count from 0 = batch: images are (B, C, H, W). Pairs are (height, width). Values of different shapes are
    broadcast as in numpy.
    """

    def constant(self, array: Array) -> V:
        """Make a value of an array of float32 or int64."""

    def add(self, a: V, b: V) -> V:
        """Compute a + b."""

    def sub(self, a: V, b: V) -> V:
        """Compute a - b."""

    def mul(self, a: V, b: V) -> V:
        """Compute a * b."""

    def div(self, a: V, b: V) -> V:
        """Compute a / b; of two integers that are not negative, rounded down."""

    def mod(self, a: V, b: V) -> V:
        """Compute the remainder of a / b, for integers that are not negative."""

    def matmul(self, a: V, b: V) -> V:
        """Multiply the matrices in the last two axes."""

    def sin(self, x: V) -> V:
        """Compute the sine of radians."""

    def cos(self, x: V) -> V:
        """Compute the cosine of radians."""

    def sigmoid(self, x: V) -> V:
        """Compute 1 / (1 + exp(-x))."""

    def tanh(self, x: V) -> V:
        """Compute the hyperbolic tangent."""

    def relu(self, x: V) -> V:
        """Compute max(x, 0)."""

    def leaky_relu(self, x: V, slope: float) -> V:
        """Compute x where x >= 0, and slope * x elsewhere."""

    def silu(self, x: V) -> V:
        """Compute x * sigmoid(x)."""

    def gelu(self, x: V) -> V:
        """Compute x * Φ(x), with Φ of the normal distribution by erf: (1 + erf(x / √2)) / 2."""

    def hard_swish(self, x: V) -> V:
        """Compute x * min(max(x + 3, 0), 6) / 6."""

    def softmax(self, x: V, axis: int) -> V:
        """Compute exp(x) / sum(exp(x)) along an axis."""

    def convolve(self, x: V, kernel: ConvWeights) -> V:
        """Convolve an image, padded by zeros, and add the bias."""

    def linear(self, x: V, weight: Array, bias: Array | None) -> V:
        """Compute x @ weight.T + bias: (B, in) → (B, out); weight: (out, in)."""

    def max_pool(self, x: V, size: Pair, stride: Pair, padding: Pair, round_up: bool = False) -> V:
        """Take the largest value of each window.

        Args:
            x: (B, C, H, W).
            size: of the windows.
            stride: from one window to the next.
            padding: added on all sides, never chosen as the largest.
            round_up: a last window may reach over the end.
        """

    def mean_pool(self, x: V, size: Pair, stride: Pair) -> V:
        """Take the mean of each window that lies inside of the image."""

    def mean_of_image(self, x: V) -> V:
        """Take the mean of each channel: (B, C, H, W) → (B, C, 1, 1)."""

    def max_of_axis(self, x: V, axis: int) -> V:
        """Take the largest value along an axis, which stays with one element."""

    def pad(self, x: V, left: int, right: int, top: int, bottom: int) -> V:
        """Put rows and columns of zeros around the image."""

    def upsample(self, x: V, factor: float) -> V:
        """Enlarge the image by repeating pixels: output pixel i is input pixel floor(i / factor)."""

    def upsample_to(self, x: V, like: V) -> V:
        """Enlarge the image by repeating pixels, to the height and width of `like`."""

    def concat(self, values: Sequence[V], axis: int) -> V:
        """Join values along an axis; one value is returned as it is."""

    def split(self, x: V, sizes: Sequence[int], axis: int) -> list[V]:
        """Cut an axis into parts of these sizes, which together are all of it."""

    def every_other(self, x: V, axis: int, start: int) -> V:
        """Take the elements start, start + 2, ... of an axis."""

    def transpose(self, x: V, order: Sequence[int]) -> V:
        """Permute the axes: axis i of the result is axis order[i] of x."""

    def reshape(self, x: V, shape: Sequence[int]) -> V:
        """Change the shape: 0 keeps the axis at that place, -1 (once) takes the rest."""

    def reshape_like(self, x: V, like: V) -> V:
        """Change the shape to that of `like`."""

    def anchor_points(self, features: Sequence[V]) -> V:
        """Make the centres of all pixels, level by level: (2, A), x then y, in pixels of their level."""

    def anchor_strides(self, features: Sequence[V], strides: Sequence[float]) -> V:
        """Make the stride of each anchor point: (1, A)."""

    def size(self, x: V, axis: int, most: int) -> V:
        """Make the length of an axis, or `most` when that is smaller: one int64."""

    def top(self, x: V, count: V) -> tuple[V, V]:
        """Find the `count` largest in falling order, and their indices: (B, N) → twice (B, count)."""

    def rows(self, x: V, index: V) -> V:
        """Take rows by index, image by image: (B, N, C) and (B, K) → (B, K, C)."""

    def to_float(self, x: V) -> V:
        """Convert integers to float32."""

    def full_precision(self, x: V) -> V:
        """Convert to float32 where the network computes with fewer bits: what decodes boxes needs all of them."""
