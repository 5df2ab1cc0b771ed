"""Convolution weights: taken from a module, with batch-norm folded in, and parallel convolutions merged.

```
batch-norm at inference    y = (x - mean) / sqrt(variance + eps) * weight + bias = x * scale + shift
folded into a convolution  scale * (W * x + b) + shift = (scale W) * x + (scale b + shift)
parallel branches          (V * x + a) + (W * x + b) = (V + W) * x + (a + b), the smaller one padded by zeros
```

The folding: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference" (2018), section 3.2. The merging: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again" (2021),
section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.pickled.tree import Module

Array = npt.NDArray[Any]
Pair = tuple[int, int]
"""(height, width)."""


class Weight(Protocol):
    """Numbers that are taken from the file, or computed, whenever they are asked for: a `Tensor` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The length of each axis."""

    def numpy(self) -> Array:
        """Make the numbers."""


@dataclass(frozen=True, eq=False)
class Computed:
    """A weight that is kept as the way to compute it, so that no more than one lies in memory. Immutable.

    Thread safety: any number of threads.
    """

    shape: tuple[int, ...]
    compute: Callable[[], Array]

    def numpy(self) -> Array:
        """Compute the numbers.

        Raises:
            ValueError: the numbers that they are made of do not fit together.
        """
        array = self.compute()
        if array.shape != self.shape:
            raise ValueError(f"expected a weight of the shape {self.shape}, got {array.shape}")
        return array


@dataclass(frozen=True, eq=False)
class ConvWeights:
    """A convolution: its numbers, and how it moves over the image. Immutable.

    Thread safety: any number of threads.

    Attributes:
        weight: (out, in / groups, height, width); (in, out / groups, height, width) when transposed.
        bias: (out,), or None.
        stride: (height, width), as the other pairs.
        padding: zeros on each side.
        dilation: the step between the pixels under neighbouring weights.
        groups: how many parts the channels are divided into, each convolved alone.
        transposed: the convolution enlarges the image.
        output_padding: rows and columns that a transposed one adds on one side.
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
        """How many channels it makes."""
        return int(self.weight.shape[1] * self.groups if self.transposed else self.weight.shape[0])

    def normalised(self, norm: Module | None) -> ConvWeights:
        """Fold the batch-norm after this convolution into it: float64 in between, float32 in the end."""
        if norm is None or norm.kind == "Identity":
            return self
        scale, shift = scale_and_shift(norm)
        bias = shift if self.bias is None else shift + scale * self.bias

        def scaled() -> Array:
            factor, weight = scale[:, None, None, None], self.weight.numpy()
            if self.transposed:  # the outputs are the second axis, group by group: (groups, in / groups, out / groups)
                factor = scale.reshape(self.groups, 1, -1, 1, 1)
                weight = weight.reshape(self.groups, -1, *weight.shape[1:])
            product = np.empty(weight.shape, np.float32)
            np.multiply(weight, factor, out=product, dtype=np.float64, casting="same_kind")
            return product.reshape(self.weight.shape)

        return replace(self, weight=Computed(self.weight.shape, scaled), bias=bias.astype(np.float32))

    def merged(self, other: ConvWeights) -> ConvWeights:
        """Sum two convolutions of the same input, the smaller one centred in the larger."""
        height, width = (max(sizes) for sizes in zip(self.weight.shape[2:], other.weight.shape[2:], strict=True))
        larger = self if self.weight.shape[2:] == (height, width) else other

        def total() -> Array:
            padded = []
            for weight in (self.weight.numpy(), other.weight.numpy()):
                rows, columns = height - weight.shape[2], width - weight.shape[3]
                sides = ((0, 0), (0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
                padded.append(np.pad(weight.astype(np.float32), sides))
            return np.asarray(padded[0] + padded[1])

        biases = [bias for bias in (self.bias, other.bias) if bias is not None]
        bias = np.asarray(biases[0] + biases[1]) if len(biases) == 2 else biases[0] if biases else None
        return replace(larger, weight=Computed((*larger.weight.shape[:2], height, width), total), bias=bias)


def convolution(module: Module) -> ConvWeights:
    """Take the weights of a torch `Conv2d` or `ConvTranspose2d`.

    Raises:
        UnsupportedModel: it pads by something else than zeros.
    """
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


def identity_convolution(like: ConvWeights, norm: Module) -> ConvWeights:
    """Write the batch-norm of an input that a branch passes on unchanged as a convolution of the shape of `like`."""
    shape = like.weight.shape

    def ones() -> Array:
        # Output channel c takes input channel c, which within its group is number c % (in / groups), at the centre.
        weight, channels = np.zeros(shape, np.float32), np.arange(shape[0])
        weight[channels, channels % shape[1], shape[2] // 2, shape[3] // 2] = 1
        return weight

    return replace(like, weight=Computed(shape, ones), bias=None).normalised(norm)


def scale_and_shift(norm: Module) -> tuple[Array, Array]:
    """Write a batch-norm at inference as x * scale + shift, both (C,) in float64."""
    names = ("running_mean", "running_var", "weight", "bias")
    wide = {name: norm.parameters[name].numpy().astype(np.float64) for name in names if name in norm.parameters}
    scale = 1 / np.sqrt(wide["running_var"] + float(norm.attributes["eps"]))
    if "weight" in wide:
        scale = scale * wide["weight"]
    shift = -wide["running_mean"] * scale
    return scale, shift + wide["bias"] if "bias" in wide else shift


def pair(value: Any) -> Pair:
    """Read a setting of torch, which writes one number for both axes or a pair: 3 or (3, 3)."""
    height, width = (value, value) if isinstance(value, int) else value
    return int(height), int(width)
