"""The layers that are torch's own."""

from __future__ import annotations

from functools import reduce

import numpy as np

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.conv_weights import convolution, pair, scale_and_shift
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("Identity", "Dropout", "Dropout2d")
def identity(_ops: Ops[V], _module: Module, x: V) -> V:
    """The input itself: layers that act in training only."""
    return x


@defines("Sequential", "ResNetLayer", "SCDown")
def sequential(ops: Ops[V], module: Module, x: V) -> V:
    """The children, one after the other: of SCDown a 1x1 convolution, then a depthwise one that shrinks the image."""
    return reduce(lambda value, child: apply(ops, child, value), module.children.values(), x)


@defines("Conv2d", "ConvTranspose2d", "DWConvTranspose2d")
def conv2d(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution, plain or transposed."""
    return ops.convolve(x, convolution(module))


@defines("BatchNorm2d")
def batch_norm(ops: Ops[V], module: Module, x: V) -> V:
    """A batch-norm of its own, without a convolution before it."""
    scale, shift = (ops.constant(values.astype(np.float32)[:, None, None]) for values in scale_and_shift(module))
    return ops.add(ops.mul(x, scale), shift)


@defines("Linear")
def linear(ops: Ops[V], module: Module, x: V) -> V:
    """A fully connected layer."""
    bias = module.parameters.get("bias")
    return ops.linear(x, module.parameters["weight"].numpy(), None if bias is None else bias.numpy())


@defines("MaxPool2d")
def max_pool(ops: Ops[V], module: Module, x: V) -> V:
    """A max pooling, without dilation."""
    at = module.attributes
    if pair(at["dilation"]) != (1, 1):
        raise UnsupportedModel("the network pools with holes (a dilated MaxPool2d), which yoloom can not rebuild.")
    return ops.max_pool(x, pair(at["kernel_size"]), pair(at["stride"]), pair(at["padding"]), bool(at["ceil_mode"]))


@defines("AdaptiveAvgPool2d")
def adaptive_mean_pool(ops: Ops[V], module: Module, x: V) -> V:
    """The mean of each channel over the whole image."""
    if pair(module.attributes["output_size"]) != (1, 1):
        raise UnsupportedModel(
            "the network pools to more than one pixel (AdaptiveAvgPool2d), which yoloom can not rebuild."
        )
    return ops.mean_of_image(x)


@defines("Upsample")
def upsample(ops: Ops[V], module: Module, x: V) -> V:
    """An enlargement by repeated pixels."""
    mode, factor = module.attributes["mode"], module.attributes["scale_factor"]
    if mode != "nearest" or not isinstance(factor, (int, float)):
        raise UnsupportedModel(f"the network resizes by {mode!r}, scale {factor}; yoloom repeats pixels by one factor.")
    return ops.upsample(x, float(factor))


@defines("ZeroPad2d")
def zero_pad(ops: Ops[V], module: Module, x: V) -> V:
    """Rows and columns of zeros around the image."""
    left, right, top, bottom = module.attributes["padding"]
    return ops.pad(x, left, right, top, bottom)


@defines("SiLU", "ReLU", "Hardswish", "Sigmoid", "Tanh", "LeakyReLU", "GELU")
def activation(ops: Ops[V], module: Module, x: V) -> V:
    """An activation; of GELU the one by erf."""
    if module.kind == "LeakyReLU":
        return ops.leaky_relu(x, float(module.attributes["negative_slope"]))
    if module.kind == "GELU" and module.attributes.get("approximate", "none") != "none":
        raise UnsupportedModel("the network approximates GELU by tanh, which yoloom can not rebuild.")
    operations = {
        "SiLU": ops.silu,
        "ReLU": ops.relu,
        "Hardswish": ops.hard_swish,
        "Sigmoid": ops.sigmoid,
        "Tanh": ops.tanh,
        "GELU": ops.gelu,
    }
    return operations[module.kind](x)
