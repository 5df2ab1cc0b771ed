"""How a picture fits on a plane of another size: the way back from the plane's pixels to the picture's.

Formulas: those of Ultralytics 8.4.190, so that points agree to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Fit:
    """Where a source lies on a plane, as the way back sees it: from the two sizes alone.

    On a canvas it is not always what was drawn: the content may fill a canvas after its side was rounded down.

    Thread safety: any number of threads.

    Args:
        source_hw: height and width of the source in pixels.
        content_hw: height and width of the source's part of the plane.
        top: rows of the plane above it.
        left: columns of the plane beside it.
    """

    source_hw: tuple[int, int]
    content_hw: tuple[int, int]
    top: int
    left: int

    @property
    def gain_xy(self) -> NDArray[np.float32]:
        """Pixels of the plane for one of the source; the two differ by the rounding of the content's sides."""
        return np.array([self.content_hw[axis] / self.source_hw[axis] for axis in (1, 0)], np.float32)

    def to_source(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (..., 2) from the plane's pixels to the source's, clipped to the source."""
        height, width = self.source_hw
        points = self.unclipped(xy)
        np.clip(points, np.float32(0), np.array([width, height], np.float32), out=points)
        return points

    def unclipped(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move points (..., 2) as `to_source` does, without clipping them."""
        points: NDArray[np.float32] = (xy - np.array([self.left, self.top], np.float32)) / self.gain_xy
        return points


def fit(source_hw: tuple[int, int], plane_hw: tuple[int, int]) -> Fit:
    """Place a source of `source_hw` as large as it goes in the middle of a plane of `plane_hw`."""
    # Rounded as in Ultralytics: -0.1 puts an odd pixel of padding below, and to the right.
    gain = min(plane_hw[0] / source_hw[0], plane_hw[1] / source_hw[1])
    content_h, content_w = max(round(source_hw[0] * gain), 1), max(round(source_hw[1] * gain), 1)
    top, left = round((plane_hw[0] - content_h) / 2 - 0.1), round((plane_hw[1] - content_w) / 2 - 0.1)
    return Fit(source_hw, (content_h, content_w), top, left)
