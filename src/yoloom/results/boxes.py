"""The boxes of one picture."""

from __future__ import annotations

import numpy as np

from yoloom.results.arrays import Array, frozen
from yoloom.results.detected import BoxRows


class Boxes(BoxRows):
    """Detected boxes, one a row, read by column. Threads: anybody, frozen.

    `boxes[i]`, `boxes[mask]` and iteration give `Boxes` again. All arrays are float32, read-only, and the boxes' own.

    Args:
        boxes: (N, 6) of x1, y1, x2, y2 in pixels, confidence, class; (6,) is one row. Copied.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ()

    CONTENT = "x1, y1, x2, y2, conf, cls"
    NAME = "boxes"

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels."""
        return self.data[:, :4]

    @property
    def xywh(self) -> Array:
        """(N, 4) centre x, centre y, width, height in pixels."""
        return frozen(xyxy_to_xywh(self.xyxy))

    @property
    def xyxyn(self) -> Array:
        """(N, 4) `xyxy` divided by the picture's width and height."""
        return frozen(self.xyxy / np.tile(self._size_xy, 2))

    @property
    def xywhn(self) -> Array:
        """(N, 4) `xywh` divided by the picture's width and height."""
        return frozen(self.xywh / np.tile(self._size_xy, 2))


def xyxy_to_xywh(xyxy: Array) -> Array:
    """(N, 4) corners as centres and sizes."""
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1).view(Array)
