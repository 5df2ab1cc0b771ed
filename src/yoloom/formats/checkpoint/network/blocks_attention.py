"""Attention between the pixels of a feature map, or of equal areas of it.

`Attention(Q, K, V) = softmax(Q Kᵀ / √d) V`: Vaswani et al., "Attention Is All You Need" (2017), section 3.2.1.
"""

from __future__ import annotations

import numpy as np

from yoloom.formats.checkpoint.network.block_registry import apply, defines
from yoloom.formats.checkpoint.network.blocks_csp import accumulated, halves
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module


@defines("PSA")
def partial_self_attention(ops: Ops[V], module: Module, x: V) -> V:
    """The second half of the channels through attention and a feed-forward network."""
    short, long = halves(ops, module, "cv1", x)
    for name in ("attn", "ffn"):
        long = ops.add(long, apply(ops, module.children[name], long))
    return apply(ops, module.children["cv2"], ops.concat([short, long], axis=1))


@defines("PSABlock", "ABlock")
def attention_block(ops: Ops[V], module: Module, x: V) -> V:
    """Attention (ABlock: within areas) and a feed-forward network, each added to its input (PSABlock: if so set)."""
    within_areas = module.kind == "ABlock"
    for name in ("attn", "mlp" if within_areas else "ffn"):
        y = apply(ops, module.children[name], x)
        x = ops.add(x, y) if within_areas or module.attributes["add"] else y
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


@defines("Attention", "AAttn")
def attention(ops: Ops[V], module: Module, x: V) -> V:
    """Every pixel attends to every pixel; of AAttn to those of its own area, one of equal runs of pixels row by row."""
    by_area = module.kind == "AAttn"
    names = ("num_heads", "head_dim", "head_dim", "area") if by_area else ("num_heads", "key_dim", "head_dim")
    heads, key, value, *areas = (int(module.attributes[name]) for name in names)  # keys may be narrower than values
    qkv = ops.reshape(apply(ops, module.children["qkv"], x), [0, heads, 2 * key + value, *areas, -1])
    if by_area:
        qkv = ops.transpose(qkv, [0, 3, 1, 2, 4])  # (B, areas, heads, channels, pixels)
    pixels = 4 if by_area else 3
    q, k, v = ops.split(qkv, [key, key, value], axis=pixels - 1)
    # The last two axes are (channels, pixels), so Q, K and V are transposed here.
    turned = [*range(pixels - 1), pixels, pixels - 1]
    scaled = ops.mul(q, ops.constant(np.array(key**-0.5, np.float32)))
    weights = ops.softmax(ops.matmul(ops.transpose(scaled, turned), k), axis=pixels)
    y = ops.matmul(v, ops.transpose(weights, turned))
    if by_area:
        y, v = (ops.reshape_like(ops.transpose(part, [0, 2, 3, 1, 4]), x) for part in (y, v))
    else:
        y, v = (ops.reshape_like(part, x) for part in (y, v))
    # A convolution of the values adds the positions.
    return apply(ops, module.children["proj"], ops.add(y, apply(ops, module.children["pe"], v)))
