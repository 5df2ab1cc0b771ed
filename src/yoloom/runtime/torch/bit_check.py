"""Measures whether an image's bits depend on its place in a batch, on its mates, or on the size of the batch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from yoloom.runtime.torch.batch_sizes import HW
from yoloom.runtime.torch.torch_import import torch

Tensors = tuple[torch.Tensor, ...]
Run = Callable[[torch.Tensor], Tensors]
"""Runs a batch of one size, filled up with black images: host rows (B, H, W, 3) uint8 → device tensors, B first."""

Pick = Callable[[Tensors], Tensors]
"""Chooses the tensors whose values say how far two runs are apart."""

_SMALLEST = 2.0**-24  # of a difference in bits that the measured tensors do not show


def check_bits(run: Run, size: int, hw: HW, measured: Pick) -> tuple[float, Tensors]:
    """Run one image at every place, alone, and among others.

    Args:
        run: Runs batches of `size`.
        size: Images in a batch.
        hw: Height and width of the images, in pixels.
        measured: Chooses what is compared by value where bits differ.

    Returns:
        The largest relative difference, 0 when all bits are equal, and the measured tensors of the image.
    """
    # Images in which no part is like another.
    image, others = (
        torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (count, *hw, 3), np.uint8))
        for seed, count in enumerate((1, size))
    )
    copies = run(image.expand(size, -1, -1, -1).contiguous())
    expected = tuple(tensor[:1].clone() for tensor in copies)
    places = sorted({0, size // 2, size - 1})
    others[places] = image
    mixed = run(others)
    alone = run(image)
    found = [copies, tuple(tensor[places] for tensor in mixed), tuple(tensor[:1] for tensor in alone)]
    reference = measured(expected)
    # As bytes, so that a NaN equals itself.
    if all(
        bool((tensor.contiguous().view(torch.uint8) == one.contiguous().view(torch.uint8)).all())
        for tensors in found
        for tensor, one in zip(tensors, expected, strict=True)
    ):
        return 0.0, reference
    return max(_SMALLEST, *(distance(measured(tensors), reference) for tensors in found)), reference


def distance(tensors: Tensors, expected: Tensors) -> float:
    """The largest difference of two lists of tensors, relative to the value or to 1, whichever is larger."""
    return max(
        float(((tensor - one).abs() / one.abs().clamp(min=1)).nan_to_num(nan=float("inf")).max())
        for tensor, one in zip(tensors, expected, strict=True)
    )
