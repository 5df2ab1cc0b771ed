"""The operations that a network is made of: what a block definition may ask for.

A definition is a function `(ops, module, x) -> y`. It knows no runtime: with the ONNX emitter for `ops` its values
are names in a graph, with tensors for values the same definition computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from yoloom.formats.checkpoint.network.conv_weights import Array, ConvWeights, Pair

V = TypeVar("V")
"""What an `Ops` works on. Definitions pass it along and never look inside."""


class Ops(Protocol[V]):
    """Axes count from 0 = batch. Every method returns a new value; none changes its arguments."""

    def constant(self, array: Array) -> V: ...

    def add(self, a: V, b: V) -> V: ...
    def sub(self, a: V, b: V) -> V: ...
    def mul(self, a: V, b: V) -> V: ...
    def div(self, a: V, b: V) -> V:
        """Of two integers: rounded down."""

    def mod(self, a: V, b: V) -> V: ...
    def matmul(self, a: V, b: V) -> V: ...

    def sin(self, x: V) -> V: ...
    def cos(self, x: V) -> V: ...
    def sigmoid(self, x: V) -> V: ...
    def tanh(self, x: V) -> V: ...
    def relu(self, x: V) -> V: ...
    def leaky_relu(self, x: V, slope: float) -> V: ...
    def silu(self, x: V) -> V: ...
    def gelu(self, x: V) -> V: ...
    def hard_swish(self, x: V) -> V: ...
    def softmax(self, x: V, axis: int) -> V: ...

    def convolve(self, x: V, kernel: ConvWeights) -> V: ...
    def linear(self, x: V, weight: Array, bias: Array | None) -> V:
        """(B, in) → (B, out); weight: (out, in)."""

    def max_pool(self, x: V, size: Pair, stride: Pair, padding: Pair, round_up: bool = False) -> V: ...
    def mean_pool(self, x: V, size: Pair, stride: Pair) -> V: ...
    def mean_of_image(self, x: V) -> V:
        """(B, C, H, W) → (B, C, 1, 1)."""

    def max_of_axis(self, x: V, axis: int) -> V:
        """The axis stays, with one element."""

    def pad(self, x: V, left: int, right: int, top: int, bottom: int) -> V:
        """Zeros around the image."""

    def upsample(self, x: V, factor: float) -> V:
        """Each pixel repeated; the same for `upsample_to`."""

    def upsample_to(self, x: V, like: V) -> V: ...

    def concat(self, values: Sequence[V], axis: int) -> V: ...
    def split(self, x: V, sizes: Sequence[int], axis: int) -> list[V]: ...
    def every_other(self, x: V, axis: int, start: int) -> V:
        """Elements start, start + 2, ... of an axis."""

    def transpose(self, x: V, order: Sequence[int]) -> V: ...
    def reshape(self, x: V, shape: Sequence[int]) -> V:
        """0 keeps the axis at that place, -1 (once) takes what is left."""

    def reshape_like(self, x: V, like: V) -> V: ...
    def anchor_points(self, features: Sequence[V]) -> V:
        """The centres of all pixels, level by level: (2, A), x then y, in pixels of their level."""

    def anchor_strides(self, features: Sequence[V], strides: Sequence[float]) -> V:
        """The stride of each anchor point: (1, A)."""

    def size(self, x: V, axis: int, most: int) -> V:
        """How long an axis is, but not more than `most`."""

    def top(self, x: V, count: V) -> tuple[V, V]:
        """(B, N) → the `count` largest in falling order, and where they were."""

    def rows(self, x: V, index: V) -> V:
        """(B, N, C) and (B, K) → (B, K, C)."""

    def to_float(self, x: V) -> V: ...
