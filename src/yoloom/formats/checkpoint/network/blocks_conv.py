"""Convolutions with their norm and activation, and the re-parameterised ones that become a single convolution."""

from __future__ import annotations

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.conv_weights import ConvWeights, convolution, identity_convolution
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("Conv", "DWConv", "Conv2", "ConvTranspose", "RepConv", "RepVGGDW")
def conv(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution with its norm and activation, however many branches it was trained in."""
    y = ops.convolve(x, _merged(module))
    activation = module.children.get("act")
    return y if activation is None else apply(ops, activation, y)


def _merged(module: Module) -> ConvWeights:
    """The one convolution that a block of these is. One that was saved after fusing has less to merge."""
    children, norm = module.children, module.children.get("bn")
    if module.kind == "ConvTranspose":
        return convolution(children["conv_transpose"]).normalised(norm)
    if module.kind == "Conv2":  # 3x3 and 1x1 side by side, normalised together
        weights, small = convolution(children["conv"]), children.get("cv2")
        return (weights if small is None else weights.merged(convolution(small))).normalised(norm)
    if module.kind == "RepVGGDW":  # 7x7 and 3x3, both depthwise, summed
        weights, small = _normalised(children["conv"]), children.get("conv1")
        return weights if small is None else weights.merged(_normalised(small))
    if module.kind != "RepConv":
        return _normalised(module)
    if "conv" in children:
        return convolution(children["conv"])
    # 3x3, 1x1 and (where there is a norm) the input itself, summed
    weights = _normalised(children["conv1"]).merged(_normalised(children["conv2"]))
    return weights if norm is None else weights.merged(identity_convolution(weights, norm))


def _normalised(module: Module) -> ConvWeights:
    """The weights of a torch convolution, or of one with its norm; a file saved after fusing has none."""
    if "weight" in module.parameters:
        return convolution(module)
    return convolution(module.children["conv"]).normalised(module.children.get("bn"))


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
