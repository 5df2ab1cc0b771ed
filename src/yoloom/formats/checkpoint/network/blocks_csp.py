"""Cross-stage partial blocks: a part of the channels takes the long way, the rest goes straight to the end."""

from __future__ import annotations

from collections.abc import Iterable

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.blocks_conv import chain, channels_out
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("C1")
def c1(ops: Ops[V], module: Module, x: V) -> V:
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
    """As C2, and the result of every block goes to the end."""
    parts = accumulated(ops, halves(ops, module, "cv1", x), module.children["m"].children.values())
    return apply(ops, module.children["cv2"], ops.concat(parts, axis=1))


@defines("C3", "C3k", "C3x", "C3Ghost", "RepCSP")
def c3(ops: Ops[V], module: Module, x: V) -> V:
    """Two convolutions of the same input, one followed by the blocks."""
    parts = [chain(ops, module, x, "cv1", "m"), chain(ops, module, x, "cv2")]
    return apply(ops, module.children["cv3"], ops.concat(parts, axis=1))


@defines("RepC3")
def rep_c3(ops: Ops[V], module: Module, x: V) -> V:
    parts = [chain(ops, module, x, "cv1", "m"), chain(ops, module, x, "cv2")]
    return apply(ops, module.children["cv3"], ops.add(*parts))


@defines("RepNCSPELAN4", "ELAN1")
def elan(ops: Ops[V], module: Module, x: V) -> V:
    """Both halves, and what two stages make of the second one."""
    stages = (module.children[name] for name in ("cv2", "cv3"))
    return apply(
        ops, module.children["cv4"], ops.concat(accumulated(ops, halves(ops, module, "cv1", x), stages), axis=1)
    )


def accumulated(ops: Ops[V], values: list[V], blocks: Iterable[Module]) -> list[V]:
    """`values`, and the output of each block, fed with the one before it."""
    for block in blocks:
        values = [*values, apply(ops, block, values[-1])]
    return values


def halves(ops: Ops[V], module: Module, name: str, x: V) -> list[V]:
    """The two halves of the channels that the child `name` puts out."""
    child = module.children[name]
    half = channels_out(child) // 2
    return ops.split(apply(ops, child, x), [half, half], axis=1)
