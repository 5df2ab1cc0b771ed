"""Blocks that add what they compute to what they got."""

from __future__ import annotations

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.blocks_conv import chain
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("Bottleneck", "RepBottleneck")
def bottleneck(ops: Ops[V], module: Module, x: V) -> V:
    return added(ops, module, x, chain(ops, module, x, "cv1", "cv2"))


@defines("CIB")
def compact_inverted_block(ops: Ops[V], module: Module, x: V) -> V:
    return added(ops, module, x, chain(ops, module, x, "cv1"))


@defines("GhostBottleneck")
def ghost_bottleneck(ops: Ops[V], module: Module, x: V) -> V:
    return ops.add(chain(ops, module, x, "conv"), chain(ops, module, x, "shortcut"))


@defines("ResNetBlock")
def resnet_block(ops: Ops[V], module: Module, x: V) -> V:
    return ops.relu(ops.add(chain(ops, module, x, "cv1", "cv2", "cv3"), chain(ops, module, x, "shortcut")))


@defines("ResNetLayer")
def resnet_layer(ops: Ops[V], module: Module, x: V) -> V:
    return apply(ops, module.children["layer"], x)


def added(ops: Ops[V], module: Module, x: V, y: V) -> V:
    """y, plus x where the module says `add`: not where the numbers of channels differ."""
    return ops.add(x, y) if module.attributes["add"] else y
