"""Blocks that pool at several scales, or change the scale, and those that join branches."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.blocks_conv import channels_out
from yoloom.formats.checkpoint.network.blocks_csp import accumulated
from yoloom.formats.checkpoint.network.conv_weights import convolution
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("SPP")
def pyramid_pool(ops: Ops[V], module: Module, x: V) -> V:
    """The input, pooled by windows of several sizes side by side."""
    y = apply(ops, module.children["cv1"], x)
    pooled = [apply(ops, pool, y) for pool in module.children["m"].children.values()]
    return apply(ops, module.children["cv2"], ops.concat([y, *pooled], axis=1))


@defines("SPPF")
def fast_pyramid_pool(ops: Ops[V], module: Module, x: V) -> V:
    """Several poolings, one after the other."""
    first, last = module.children["cv1"], module.children["cv2"]
    # The file does not say how many: the last convolution takes the first one's channels and as many of each pooling.
    poolings = convolution(last.children["conv"]).weight.shape[1] // channels_out(first) - 1
    parts = accumulated(ops, [apply(ops, first, x)], [module.children["m"]] * poolings)
    y = apply(ops, last, ops.concat(parts, axis=1))
    return ops.add(y, x) if module.attributes.get("add", False) else y


@defines("SPPELAN")
def elan_pyramid_pool(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution and three poolings, one after the other, all of them joined."""
    poolings = [module.children[name] for name in ("cv2", "cv3", "cv4")]
    parts = accumulated(ops, [apply(ops, module.children["cv1"], x)], poolings)
    return apply(ops, module.children["cv5"], ops.concat(parts, axis=1))


@defines("AConv")
def mean_conv(ops: Ops[V], module: Module, x: V) -> V:
    """A convolution that shrinks the image, after the mean of each 2x2 square."""
    return apply(ops, module.children["cv1"], ops.mean_pool(x, (2, 2), (1, 1)))


@defines("ADown")
def mean_down(ops: Ops[V], module: Module, x: V) -> V:
    """Half of the channels shrunk by a convolution, half by pooling."""
    sizes = [convolution(module.children[name].children["conv"]).weight.shape[1] for name in ("cv1", "cv2")]
    convolved, pooled = ops.split(ops.mean_pool(x, (2, 2), (1, 1)), sizes, axis=1)
    pooled = ops.max_pool(pooled, (3, 3), (2, 2), (1, 1))
    parts = [apply(ops, module.children["cv1"], convolved), apply(ops, module.children["cv2"], pooled)]
    return ops.concat(parts, axis=1)


@defines("Concat")
def concat(ops: Ops[V], module: Module, x: Sequence[V]) -> V:
    """All inputs, joined along an axis."""
    return ops.concat(x, axis=int(module.attributes["d"]))


@defines("CBLinear")
def cross_branch(ops: Ops[V], module: Module, x: V) -> list[V]:
    """A convolution whose channels are dealt out to several branches."""
    sizes = [int(size) for size in module.attributes["c2s"]]
    return ops.split(apply(ops, module.children["conv"], x), sizes, axis=1)


@defines("CBFuse")
def cross_branch_sum(ops: Ops[V], module: Module, x: Sequence[Any]) -> V:
    """One value of each branch, brought to the size of the last input, and summed with it."""
    *branches, last = x
    chosen = (branch[index] for branch, index in zip(branches, module.attributes["idx"], strict=True))
    total: V = reduce(ops.add, [ops.upsample_to(value, last) for value in chosen], last)
    return total
