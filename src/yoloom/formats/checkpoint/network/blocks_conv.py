"""Convolutions with their norm and activation, and the re-parameterised ones that become a single convolution."""

from __future__ import annotations

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.conv_weights import ConvWeights, convolution, identity_convolution
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("Conv", "DWConv")
def conv(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution with its norm and activation."""
    return _activated(ops, module, ops.convolve(x, _conv_and_norm(module)))


@defines("Conv2")
def conv2(ops: Ops[V], module: Module, x: V) -> V:
    """A 3x3 and a 1x1 convolution side by side, normalised together."""
    weights, small = convolution(module.children["conv"]), module.children.get("cv2")
    merged = weights if small is None else weights.merged(convolution(small))
    return _activated(ops, module, ops.convolve(x, merged.normalised(module.children.get("bn"))))


@defines("ConvTranspose")
def conv_transpose(ops: Ops[V], module: Module, x: V) -> V:
    """A transposed convolution with its norm and activation."""
    weights = convolution(module.children["conv_transpose"]).normalised(module.children.get("bn"))
    return _activated(ops, module, ops.convolve(x, weights))


@defines("RepConv")
def rep_conv(ops: Ops[V], module: Module, x: V) -> V:
    """3x3, 1x1 and (where there is a norm) the input itself, summed."""
    if "conv" in module.children:  # saved after it was fused
        weights = convolution(module.children["conv"])
    else:
        weights = _conv_and_norm(module.children["conv1"]).merged(_conv_and_norm(module.children["conv2"]))
        norm = module.children.get("bn")
        weights = weights if norm is None else weights.merged(identity_convolution(weights, norm))
    return _activated(ops, module, ops.convolve(x, weights))


@defines("RepVGGDW")
def rep_vgg_depthwise(ops: Ops[V], module: Module, x: V) -> V:
    """7x7 and 3x3, both depthwise, summed."""
    weights, small = _conv_and_norm(module.children["conv"]), module.children.get("conv1")
    merged = weights if small is None else weights.merged(_conv_and_norm(small))
    return _activated(ops, module, ops.convolve(x, merged))


@defines("GhostConv")
def ghost_conv(ops: Ops[V], module: Module, x: V) -> V:
    """Half of the channels by a convolution, the other half by a cheap one of the first."""
    primary = apply(ops, module.children["cv1"], x)
    return ops.concat([primary, apply(ops, module.children["cv2"], primary)], axis=1)


@defines("Focus")
def focus(ops: Ops[V], module: Module, x: V) -> V:
    """The four pixels of each 2x2 square become channels: column by column, from the top."""
    columns = [ops.every_other(x, 3, start) for start in (0, 1)]
    pixels = [ops.every_other(column, 2, row) for column in columns for row in (0, 1)]
    return apply(ops, module.children["conv"], ops.concat(pixels, axis=1))


def channels_out(module: Module) -> int:
    """Count the channels that leave a convolution, bare or with its norm."""
    return convolution(module if "weight" in module.parameters else module.children["conv"]).channels_out


def _conv_and_norm(module: Module) -> ConvWeights:
    """The weights of a torch convolution, or of one with its norm; a file saved after fusing has none."""
    if "weight" in module.parameters:
        return convolution(module)
    return convolution(module.children["conv"]).normalised(module.children.get("bn"))


def _activated(ops: Ops[V], module: Module, x: V) -> V:
    activation = module.children.get("act")
    return x if activation is None else apply(ops, activation, x)
