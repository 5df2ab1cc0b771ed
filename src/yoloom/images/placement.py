"""How an image gets onto a canvas of the network's size."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Placement(Protocol):
    """A `Letterbox`, or a `CentreCrop` for classification. Immutable: shared freely."""

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Size of the canvas in pixels."""

    def draw(self, image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """Draw `image` (H, W, 3) on `canvas` (*canvas_hw, 3), both uint8 BGR."""
