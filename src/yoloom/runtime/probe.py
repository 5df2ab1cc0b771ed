"""The smallest input that a network is tried with: enough to lay out its weights, and to compare what comes of it."""

from __future__ import annotations

import numpy as np

from yoloom.formats.model import Model
from yoloom.runtime.protocol import Batch, Compiled

SMALL = 160
"""Pixels in either direction, at least."""


def small_hw(model: Model) -> tuple[int, int]:
    """Height and width in pixels: the network's own, or the first multiples of its stride from SMALL on."""
    side = -(-SMALL // model.stride) * model.stride
    return model.input.hw or (side, side)


def blank(model: Model) -> Batch:
    """An image without content (1, H, W, 3)."""
    return np.zeros((1, *small_hw(model), 3), np.uint8)


def pattern(model: Model) -> Batch:
    """An image in which no part is like another (1, H, W, 3)."""
    height, width = small_hw(model)
    numbers = np.arange(height * width * 3, dtype=np.uint32) * np.uint32(2654435761) >> np.uint32(24)
    drawn: Batch = numbers.astype(np.uint8).reshape(1, height, width, 3)
    return drawn


def have_same_bits(one: Compiled, other: Compiled, model: Model) -> bool:
    """Whether both networks give the same bits for the pattern. Raises what a run raises."""
    batch = pattern(model)
    pairs = zip(one.context().run(batch), other.context().run(batch), strict=True)
    return all(mine.tobytes() == theirs.tobytes() for mine, theirs in pairs)
