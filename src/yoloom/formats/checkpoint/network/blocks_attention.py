"""Attention between the pixels of a feature map, or of equal areas of it.

`Attention(Q, K, V) = softmax(Q Kᵀ / √d) V`: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1.
"""

from __future__ import annotations

import numpy as np

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.blocks_csp import accumulated, halves, residual
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("PSA")
def partial_self_attention(ops: Ops[V], module: Module, x: V) -> V:
    """The second half of the channels through attention and a feed-forward network."""
    short, long = halves(ops, module, "cv1", x)
    for name in ("attn", "ffn"):
        long = ops.add(long, apply(ops, module.children[name], long))
    return apply(ops, module.children["cv2"], ops.concat([short, long], axis=1))


@defines("PSABlock")
def self_attention_block(ops: Ops[V], module: Module, x: V) -> V:
    """Attention and a feed-forward network, each added to its input where the module has `add`."""
    for name in ("attn", "ffn"):
        x = residual(ops, module, x, apply(ops, module.children[name], x))
    return x


@defines("ABlock")
def area_attention_block(ops: Ops[V], module: Module, x: V) -> V:
    """Attention within areas and a feed-forward network, each added to its input."""
    for name in ("attn", "mlp"):
        x = ops.add(x, apply(ops, module.children[name], x))
    return x


@defines("A2C2f")
def area_attention_c2f(ops: Ops[V], module: Module, x: V) -> V:
    """As C2f without the halving; `gamma` weighs the result against the input."""
    first = apply(ops, module.children["cv1"], x)
    parts = accumulated(ops, [first], module.children["m"].children.values())
    y = apply(ops, module.children["cv2"], ops.concat(parts, axis=1))
    gamma = module.parameters.get("gamma")
    if gamma is None:
        return y
    return ops.add(x, ops.mul(ops.constant(gamma.numpy().astype(np.float32).reshape(-1, 1, 1)), y))


@defines("Attention")
def attention(ops: Ops[V], module: Module, x: V) -> V:
    """Every pixel attends to every pixel; keys may be narrower than values."""
    heads, key, value = (int(module.attributes[name]) for name in ("num_heads", "key_dim", "head_dim"))
    qkv = ops.reshape(apply(ops, module.children["qkv"], x), [0, heads, 2 * key + value, -1])
    q, k, v = ops.split(qkv, [key, key, value], axis=2)
    y = _attended(ops, q, k, v, key, axes=4)
    return _projected(ops, module, ops.reshape_like(y, x), ops.reshape_like(v, x))


@defines("AAttn")
def area_attention(ops: Ops[V], module: Module, x: V) -> V:
    """Every pixel attends to those of its own area: the map is cut into equal runs of pixels, row by row."""
    heads, size, areas = (int(module.attributes[name]) for name in ("num_heads", "head_dim", "area"))
    qkv = ops.reshape(apply(ops, module.children["qkv"], x), [0, heads, 3 * size, areas, -1])
    q, k, v = ops.split(ops.transpose(qkv, [0, 3, 1, 2, 4]), [size, size, size], axis=3)
    y = _attended(ops, q, k, v, size, axes=5)
    y, v = (ops.reshape_like(ops.transpose(value, [0, 2, 3, 1, 4]), x) for value in (y, v))
    return _projected(ops, module, y, v)


def _attended(ops: Ops[V], q: V, k: V, v: V, size: int, axes: int) -> V:
    """Scaled dot-product attention; the last two axes are (channels, pixels), so Q, K and V are transposed here."""
    turned = [*range(axes - 2), axes - 1, axes - 2]  # swaps the last two
    scaled = ops.mul(q, ops.constant(np.array(size**-0.5, np.float32)))
    weights = ops.softmax(ops.matmul(ops.transpose(scaled, turned), k), axis=axes - 1)
    return ops.matmul(v, ops.transpose(weights, turned))


def _projected(ops: Ops[V], module: Module, y: V, v: V) -> V:
    """The output projection of y, to which a convolution of the values adds the positions."""
    return apply(ops, module.children["proj"], ops.add(y, apply(ops, module.children["pe"], v)))
