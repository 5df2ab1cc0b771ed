"""The boxes of one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from yoloom.arrays import Array, frozen
from yoloom.rows import Rows, stacked, wrong_shape

COLUMNS = 6  # x1, y1, x2, y2, confidence, class


class Boxes(Rows):
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
    id = None  # no track numbers
    is_track = False

    def __init__(self, boxes: ArrayLike, orig_shape: tuple[int, int]) -> None:
        super().__init__(boxes, orig_shape)

    @classmethod
    def _checked(cls, values: ArrayLike) -> Array:
        rows = stacked(values, np.float32, row_ndim=1)
        if rows.ndim != 2 or rows.shape[1] != COLUMNS:
            raise wrong_shape("boxes", f"(N, {COLUMNS}) of {cls.CONTENT}", rows.shape)
        return rows

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels."""
        return self.data[:, :4]

    @property
    def conf(self) -> Array:
        """(N,) confidence, 0 to 1."""
        return self.data[:, 4]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, as float32 like the rest of the row."""
        return self.data[:, 5]

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
