"""Convolution weights: taken from a module, with batch-norm folded in, and parallel convolutions merged."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.pickled.tree import Module, Tensor

Array = npt.NDArray[Any]
Pair = tuple[int, int]


class Weight(Protocol):
    """Numbers that are taken from the file, or computed, whenever they are asked for: a `Tensor` is one."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def numpy(self) -> Array: ...


@dataclass(frozen=True, eq=False)
class Computed:
    """A weight that is kept as the way to compute it. Immutable: shared freely."""

    shape: tuple[int, ...]
    compute: Callable[[], Array]

    def numpy(self) -> Array:
        """Raises ValueError when the numbers it is made of do not fit together."""
        array = self.compute()
        if array.shape != self.shape:
            raise ValueError(f"expected a weight of the shape {self.shape}, got {array.shape}")
        return array


@dataclass(frozen=True, eq=False)
class ConvWeights:
    """A convolution: what it multiplies with, and how it moves. Immutable: shared freely.

    weight: (out, in / groups, height, width); (in, out / groups, height, width) when transposed.
    """

    weight: Weight
    bias: Array | None
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    transposed: bool = False
    output_padding: Pair = (0, 0)

    @property
    def channels_out(self) -> int:
        return int(self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0])

    def normalised(self, norm: Module | None) -> ConvWeights:
        """This convolution and the batch-norm after it as one, computed in float64."""
        if norm is None or norm.kind == "Identity":
            return self
        scale, shift = scale_and_shift(norm)
        bias = shift if self.bias is None else shift + scale * self.bias
        scaled = Computed(self.weight.shape, functools.partial(self._scaled, scale))
        return replace(self, weight=scaled, bias=bias.astype(np.float32))

    def merged(self, other: ConvWeights) -> ConvWeights:
        """The sum of two convolutions of the same input, the smaller one centred in the larger."""
        height, width = (max(sizes) for sizes in zip(self.weight.shape[2:], other.weight.shape[2:], strict=True))
        larger = self if self.weight.shape[2:] == (height, width) else other

        def compute() -> Array:
            return _centred(self.weight.numpy(), height, width) + _centred(other.weight.numpy(), height, width)

        weight = Computed((*larger.weight.shape[:2], height, width), compute)
        return replace(larger, weight=weight, bias=_sum(self.bias, other.bias))

    def _scaled(self, scale: Array) -> Array:
        factor = scale[:, None, None, None]
        weight = self.weight.numpy()
        if self.transposed:
            factor = scale.reshape(self.groups, 1, -1, 1, 1)
            weight = weight.reshape(self.groups, -1, *weight.shape[1:])
        scaled = np.empty(weight.shape, np.float32)
        np.multiply(weight, factor, out=scaled, dtype=np.float64, casting="same_kind")
        return scaled.reshape(self.weight.shape)


def convolution(module: Module) -> ConvWeights:
    """The weights of a torch `Conv2d` or `ConvTranspose2d`."""
    at = module.attributes
    if at.get("padding_mode", "zeros") != "zeros" or isinstance(at["padding"], str):
        raise UnsupportedModel(
            f"a convolution pads by {at.get('padding_mode')!r}, {at['padding']!r}; yoloom pads zeros."
        )
    bias = module.parameters.get("bias")
    return ConvWeights(
        weight=module.parameters["weight"],
        bias=None if bias is None else bias.numpy(),
        stride=pair(at["stride"]),
        padding=pair(at["padding"]),
        dilation=pair(at["dilation"]),
        groups=int(at["groups"]),
        transposed=bool(at.get("transposed", False)),
        output_padding=pair(at.get("output_padding", 0)),
    )


def identity(like: ConvWeights, norm: Module) -> ConvWeights:
    """The batch-norm of an input that a branch passes on unchanged, as a convolution of the shape of `like`."""
    shape = like.weight.shape

    def compute() -> Array:
        weight, channels = np.zeros(shape, np.float32), np.arange(shape[0])
        weight[channels, channels % shape[1], shape[2] // 2, shape[3] // 2] = 1
        return weight

    return replace(like, weight=Computed(shape, compute), bias=None).normalised(norm)


def scale_and_shift(norm: Module) -> tuple[Array, Array]:
    """A batch-norm at inference as x * scale + shift, in float64."""
    mean, variance = (_wide(norm.parameters[name]) for name in ("running_mean", "running_var"))
    weight, bias = norm.parameters.get("weight"), norm.parameters.get("bias")
    scale = 1 / np.sqrt(variance + float(norm.attributes["eps"]))
    scale = scale if weight is None else scale * _wide(weight)
    shift = -mean * scale
    return scale, shift if bias is None else shift + _wide(bias)


def pair(value: Any) -> Pair:
    """What torch means by 3 or (3, 3)."""
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)


def _wide(tensor: Tensor) -> Array:
    return tensor.numpy().astype(np.float64)


def _centred(weight: Array, height: int, width: int) -> Array:
    rows, columns = height - weight.shape[2], width - weight.shape[3]
    sides = ((0, 0), (0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return np.pad(weight.astype(np.float32), sides)


def _sum(a: Array | None, b: Array | None) -> Array | None:
    if a is None or b is None:
        return b if a is None else a
    return np.asarray(a + b)
