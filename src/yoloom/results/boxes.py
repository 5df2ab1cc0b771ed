"""The boxes of one picture, upright and oriented."""

from __future__ import annotations

import numpy as np

from yoloom.results.arrays import Array
from yoloom.results.rows import BoxRows


class Boxes(BoxRows):
    """Detected boxes, one a row, read by column.

    `boxes[i]`, `boxes[mask]` and iteration give `Boxes` again. All arrays are float32, read-only, and the boxes' own.

    Thread safety: any number of threads.

    Args:
        boxes: (N, 6) of x1, y1, x2, y2 in pixels, confidence, class; (6,) is one row. Copied.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ()

    CONTENT = "x1, y1, x2, y2, conf, cls"
    NAME = "boxes"
    EXPECTED = f"(N, 6) of {CONTENT}"
    WIDTHS = (6,)

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels."""
        return self.data[:, :4]

    @property
    def xywh(self) -> Array:
        """(N, 4) centre x, centre y, width, height in pixels."""
        rows = np.asarray(self.data)
        low, high = rows[:, :2], rows[:, 2:4]
        return self._as_data(np.concatenate([(low + high) / 2, high - low], axis=1))

    @property
    def xyxyn(self) -> Array:
        """(N, 4) `xyxy` divided by the picture's width and height."""
        return self._as_data(np.asarray(self.xyxy) / np.tile(self._size_xy, 2))

    @property
    def xywhn(self) -> Array:
        """(N, 4) `xywh` divided by the picture's width and height."""
        return self._as_data(np.asarray(self.xywh) / np.tile(self._size_xy, 2))


class OBB(BoxRows):
    """Oriented boxes, one a row, read by column.

    `obb[i]`, `obb[mask]` and iteration give `OBB` again. All arrays are float32, read-only, and the boxes' own.

    Thread safety: any number of threads.

    Args:
        boxes: (N, 7) of centre x, centre y, width, height in pixels, rotation in radians (clockwise on the picture,
            from the x axis to the side called width), confidence, class; (7,) is one row. Copied.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ()

    CONTENT = "x, y, w, h, r, conf, cls"
    NAME = "obb"
    EXPECTED = f"(N, 7) of {CONTENT}"
    WIDTHS = (7,)

    @property
    def xywhr(self) -> Array:
        """(N, 5) centre x, centre y, width, height in pixels, rotation in radians."""
        return self.data[:, :5]

    @property
    def xyxyxyxy(self) -> Array:
        """(N, 4, 2) corners x, y in pixels, in turn around the box; they may lie outside the picture."""
        xywhr = np.asarray(self.xywhr)
        centre, width, height, angle = xywhr[:, :2], xywhr[:, 2:3], xywhr[:, 3:4], xywhr[:, 4:5]
        # Half a width along (cos r, sin r), half a height along (-sin r, cos r).
        across = width / 2 * np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        down = height / 2 * np.concatenate([-np.sin(angle), np.cos(angle)], axis=1)
        turns = ((1, 1), (1, -1), (-1, -1), (-1, 1))
        return self._as_data(np.stack([centre + x * across + y * down for x, y in turns], axis=1))

    @property
    def xyxyxyxyn(self) -> Array:
        """(N, 4, 2) `xyxyxyxy` divided by the picture's width and height."""
        return self._as_data(np.asarray(self.xyxyxyxy) / self._size_xy)

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels of the upright box around each; not cut at the picture's edge."""
        corners = np.asarray(self.xyxyxyxy)
        return self._as_data(np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1))
