"""The keypoints of one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from yoloom.results.arrays import Array
from yoloom.results.rows import ResultRows


class Keypoints(ResultRows):
    """The keypoints of each detection.

    `keypoints[i]`, `keypoints[mask]` and iteration give `Keypoints` again. All arrays are float32 and read-only.

    Thread safety: any number of threads.

    Args:
        keypoints: (N, K, 3) of x, y in pixels and visibility, 0 to 1, or (N, K, 2) without it; (K, 2 or 3) is one
            detection. Copied.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ()

    CONTENT = "x, y[, visibility]"
    NAME = "keypoints"
    EXPECTED = f"(N, K, 2 or 3) of {CONTENT}"
    ROW_NDIM = 2
    WIDTHS = (2, 3)

    def __init__(self, keypoints: ArrayLike, orig_shape: tuple[int, int]) -> None:
        super().__init__(keypoints, orig_shape)

    @property
    def has_visible(self) -> bool:
        """Whether each point has a visibility."""
        return bool(self.data.shape[2] == 3)

    @property
    def xy(self) -> Array:
        """(N, K, 2) x, y in pixels."""
        return self.data[..., :2]

    @property
    def xyn(self) -> Array:
        """(N, K, 2) `xy` divided by the picture's width and height."""
        return self._as_data(np.asarray(self.xy) / self._size_xy)

    @property
    def conf(self) -> Array | None:
        """(N, K) visibility, 0 to 1; None where the points have none."""
        return self.data[..., 2] if self.has_visible else None
