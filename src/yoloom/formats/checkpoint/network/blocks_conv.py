"""Convolutions with their norm and activation, and the re-parameterised ones that become a single convolution."""

from __future__ import annotations

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.conv_weights import ConvWeights, convolution, identity
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("Conv", "DWConv")
def conv(ops: Ops[V], module: Module, x: V) -> V:
    return _activated(ops, module, ops.convolve(x, _kernel(module)))


@defines("Conv2")
def conv2(ops: Ops[V], module: Module, x: V) -> V:
    """A 3x3 and a 1x1 convolution side by side, normalised together."""
    kernel, small = convolution(module.children["conv"]), module.children.get("cv2")
    merged = kernel if small is None else kernel.merged(convolution(small))
    return _activated(ops, module, ops.convolve(x, merged.normalised(module.children.get("bn"))))


@defines("ConvTranspose")
def conv_transpose(ops: Ops[V], module: Module, x: V) -> V:
    kernel = convolution(module.children["conv_transpose"]).normalised(module.children.get("bn"))
    return _activated(ops, module, ops.convolve(x, kernel))


@defines("RepConv")
def rep_conv(ops: Ops[V], module: Module, x: V) -> V:
    """3x3, 1x1 and (where there is a norm) the input itself, summed."""
    return _activated(ops, module, ops.convolve(x, _rep_kernel(module)))


@defines("RepVGGDW")
def rep_vgg_depthwise(ops: Ops[V], module: Module, x: V) -> V:
    """7x7 and 3x3, both depthwise, summed."""
    kernel, small = _kernel(module.children["conv"]), module.children.get("conv1")
    return _activated(ops, module, ops.convolve(x, kernel if small is None else kernel.merged(_kernel(small))))


@defines("GhostConv")
def ghost_conv(ops: Ops[V], module: Module, x: V) -> V:
    primary = apply(ops, module.children["cv1"], x)
    return ops.concat([primary, apply(ops, module.children["cv2"], primary)], axis=1)


@defines("Focus")
def focus(ops: Ops[V], module: Module, x: V) -> V:
    """The four pixels of each 2x2 square become channels: column by column, from the top."""
    columns = [ops.every_other(x, 3, start) for start in (0, 1)]
    return apply(
        ops,
        module.children["conv"],
        ops.concat([ops.every_other(c, 2, row) for c in columns for row in (0, 1)], axis=1),
    )


def chain(ops: Ops[V], module: Module, x: V, *names: str) -> V:
    """The children of these names, one after the other."""
    for name in names:
        x = apply(ops, module.children[name], x)
    return x


def channels_out(module: Module) -> int:
    """How many channels leave a convolution, bare or with its norm."""
    return convolution(module if "weight" in module.parameters else module.children["conv"]).channels_out


def _rep_kernel(module: Module) -> ConvWeights:
    if "conv" in module.children:  # saved after it was fused
        return convolution(module.children["conv"])
    kernel = _kernel(module.children["conv1"]).merged(_kernel(module.children["conv2"]))
    norm = module.children.get("bn")
    return kernel if norm is None else kernel.merged(identity(kernel, norm))


def _kernel(module: Module) -> ConvWeights:
    """Of a torch convolution, or of one with its norm; a file saved after fusing has none."""
    if "weight" in module.parameters:
        return convolution(module)
    return convolution(module.children["conv"]).normalised(module.children.get("bn"))


def _activated(ops: Ops[V], module: Module, x: V) -> V:
    activation = module.children.get("act")
    return x if activation is None else apply(ops, activation, x)
