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


@defines("Bottleneck", "RepBottleneck", "CIB")
def bottleneck(ops: Ops[V], module: Module, x: V) -> V:
    """Two convolutions, or five in one child (CIB: depthwise and 1x1 by turns)."""
    y = chain(ops, module, x, *(("cv1",) if module.kind == "CIB" else ("cv1", "cv2")))
    return ops.add(x, y) if module.attributes["add"] else y  # not where the numbers of channels differ


@defines("GhostBottleneck", "ResNetBlock")
def bottleneck_with_shortcut(ops: Ops[V], module: Module, x: V) -> V:
    """Convolutions beside a shortcut that may shrink the image; of ResNet with the activation after the sum."""
    is_resnet = module.kind == "ResNetBlock"
    y = chain(ops, module, x, *(("cv1", "cv2", "cv3") if is_resnet else ("conv",)))
    y = ops.add(y, chain(ops, module, x, "shortcut"))
    return ops.relu(y) if is_resnet else y


# Cross-stage partial blocks


@defines("C1")
def c1(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution, and the sum of it and of the blocks after it."""
    y = apply(ops, module.children["cv1"], x)
    return ops.add(apply(ops, module.children["m"], y), y)


@defines("C2", "C2PSA")
def c2(ops: Ops[V], module: Module, x: V) -> V:
    """Half of the channels through the blocks: of C2 the first half, of C2PSA the second."""
    parts = halves(ops, module, "cv1", x)
    long = 0 if module.kind == "C2" else 1
    parts[long] = apply(ops, module.children["m"], parts[long])
    return apply(ops, module.children["cv2"], ops.concat(parts, axis=1))


@defines("C2f", "C2fCIB", "C3k2", "C2fPSA", "RepNCSPELAN4", "ELAN1")
def c2f(ops: Ops[V], module: Module, x: V) -> V:
    """As C2PSA, and the result of every block goes to the end; of ELAN the blocks are two stages."""
    children = module.children
    if module.kind in ("RepNCSPELAN4", "ELAN1"):
        blocks, last = [children["cv2"], children["cv3"]], children["cv4"]
    else:
        blocks, last = list(children["m"].children.values()), children["cv2"]
    return apply(ops, last, ops.concat(accumulated(ops, halves(ops, module, "cv1", x), blocks), axis=1))


@defines("C3", "C3k", "C3x", "C3Ghost", "RepCSP", "RepC3")
def c3(ops: Ops[V], module: Module, x: V) -> V:
    """Two convolutions of the same input, one followed by the blocks: joined, or of RepC3 summed."""
    parts = [chain(ops, module, x, "cv1", "m"), chain(ops, module, x, "cv2")]
    joined = ops.add(*parts) if module.kind == "RepC3" else ops.concat(parts, axis=1)
    return apply(ops, module.children["cv3"], joined)


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
