"""What a lane asks its worker: an image, and how to judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PredictRequest:
    """One image on its way. Immutable; the pixels may be the caller's, who waits.

    pixels: (H, W, 3) uint8 BGR, or the bytes of an encoded image (N,). what: what errors call an encoded one. options:
    those of the call but for the classes. keep: the ids of those, None for all; names are the handle's own.
    """

    request: int
    pixels: NDArray[np.uint8]
    what: str
    options: Mapping[str, Any]
    keep: list[int] | None
    max_pixels: int

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of the pixels, None for an encoded image."""
        return self.pixels.shape if self.pixels.ndim == 3 else None
