"""Bottlenecks, and the cross-stage partial blocks that hold them.

In such a block a part of the channels takes the long way through the bottlenecks, the rest goes straight to the end:
Wang et al., "CSPNet: A New Backbone that can Enhance Learning Capability of CNN" (2019).
"""

from __future__ import annotations

from collections.abc import Iterable

from yoloom.formats.checkpoint.network.block_registry import apply, chain, defines
from yoloom.formats.checkpoint.network.blocks_conv import channels_out
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module

# Bottlenecks: they add what they compute to their input


@defines("Bottleneck", "RepBottleneck")
def bottleneck(ops: Ops[V], module: Module, x: V) -> V:
    """Two convolutions."""
    return residual(ops, module, x, chain(ops, module, x, "cv1", "cv2"))


@defines("CIB")
def compact_inverted_block(ops: Ops[V], module: Module, x: V) -> V:
    """Five convolutions, depthwise and 1x1 by turns."""
    return residual(ops, module, x, chain(ops, module, x, "cv1"))


@defines("GhostBottleneck")
def ghost_bottleneck(ops: Ops[V], module: Module, x: V) -> V:
    """Ghost convolutions beside a shortcut that may shrink the image."""
    return ops.add(chain(ops, module, x, "conv"), chain(ops, module, x, "shortcut"))


@defines("ResNetBlock")
def resnet_block(ops: Ops[V], module: Module, x: V) -> V:
    """Three convolutions beside a shortcut, with the activation after the sum."""
    return ops.relu(ops.add(chain(ops, module, x, "cv1", "cv2", "cv3"), chain(ops, module, x, "shortcut")))


@defines("ResNetLayer")
def resnet_layer(ops: Ops[V], module: Module, x: V) -> V:
    """A run of ResNet blocks, or the stem of the network."""
    return apply(ops, module.children["layer"], x)


def residual(ops: Ops[V], module: Module, x: V, y: V) -> V:
    """Add x to y where the module has `add`: not where the numbers of channels differ."""
    return ops.add(x, y) if module.attributes["add"] else y


# Cross-stage partial blocks


@defines("C1")
def c1(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution, and the sum of it and of the blocks after it."""
    y = apply(ops, module.children["cv1"], x)
    return ops.add(apply(ops, module.children["m"], y), y)


@defines("C2")
def c2(ops: Ops[V], module: Module, x: V) -> V:
    """The first half of the channels through the blocks."""
    long, short = halves(ops, module, "cv1", x)
    parts = [apply(ops, module.children["m"], long), short]
    return apply(ops, module.children["cv2"], ops.concat(parts, axis=1))


@defines("C2PSA")
def c2_attention(ops: Ops[V], module: Module, x: V) -> V:
    """The second half of the channels through the blocks."""
    short, long = halves(ops, module, "cv1", x)
    parts = [short, apply(ops, module.children["m"], long)]
    return apply(ops, module.children["cv2"], ops.concat(parts, axis=1))


@defines("C2f", "C2fCIB", "C3k2", "C2fPSA")
def c2f(ops: Ops[V], module: Module, x: V) -> V:
    """As C2PSA, and the result of every block goes to the end."""
    parts = accumulated(ops, halves(ops, module, "cv1", x), module.children["m"].children.values())
    return apply(ops, module.children["cv2"], ops.concat(parts, axis=1))


@defines("C3", "C3k", "C3x", "C3Ghost", "RepCSP")
def c3(ops: Ops[V], module: Module, x: V) -> V:
    """Two convolutions of the same input, one followed by the blocks."""
    parts = [chain(ops, module, x, "cv1", "m"), chain(ops, module, x, "cv2")]
    return apply(ops, module.children["cv3"], ops.concat(parts, axis=1))


@defines("RepC3")
def rep_c3(ops: Ops[V], module: Module, x: V) -> V:
    """As C3, with the sum of both."""
    parts = [chain(ops, module, x, "cv1", "m"), chain(ops, module, x, "cv2")]
    return apply(ops, module.children["cv3"], ops.add(*parts))


@defines("RepNCSPELAN4", "ELAN1")
def elan(ops: Ops[V], module: Module, x: V) -> V:
    """Both halves, the result of a first stage on the second one, and of a second stage on that."""
    stages = [module.children[name] for name in ("cv2", "cv3")]
    parts = accumulated(ops, halves(ops, module, "cv1", x), stages)
    return apply(ops, module.children["cv4"], ops.concat(parts, axis=1))


def accumulated(ops: Ops[V], values: list[V], blocks: Iterable[Module]) -> list[V]:
    """Append the output of each block, fed with the value before it, to `values`."""
    for block in blocks:
        values = [*values, apply(ops, block, values[-1])]
    return values


def halves(ops: Ops[V], module: Module, name: str, x: V) -> list[V]:
    """Compute the child `name`, and cut its channels into two halves."""
    child = module.children[name]
    half = channels_out(child) // 2
    return ops.split(apply(ops, child, x), [half, half], axis=1)
