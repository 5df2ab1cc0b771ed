"""Pictures side by side on one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) BGR

GAP = 12  # pixels between the tiles and around them
GROUND = 255  # white


def contact_sheet(images: Sequence[Image], columns: int, tile_wh: tuple[int, int]) -> Image:
    """All images, row by row, each shrunk to a tile of `tile_wh` pixels."""
    width, height = tile_wh
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), GROUND, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + height, left : left + width] = cv2.resize(image, tile_wh, interpolation=cv2.INTER_AREA)
    return sheet
