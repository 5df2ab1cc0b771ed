"""The masks of one picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.images.letterbox import Fit, fit
from yoloom.results.arrays import Array, frozen
from yoloom.results.outline import outline
from yoloom.results.rows import ResultRows


class Masks(ResultRows):
    """One mask for each detection.

    `masks[i]`, `masks[mask]` and iteration give `Masks` again. All arrays are read-only.

    Thread safety: any number of threads.

    Args:
        masks: (N, H, W) of 0 and 1, on the letterboxed canvas that the network saw or in the picture's own size;
            (H, W) is one detection. Copied as uint8; of another dtype, whatever is not 0 is 1.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ("_outlines",)

    CONTENT = "0 and 1"
    NAME = "masks"
    EXPECTED = f"(N, H, W) of {CONTENT}"
    ROW_NDIM = 2
    DTYPE = np.uint8

    _outlines: tuple[Array, ...] | None

    def __init__(self, masks: ArrayLike, orig_shape: tuple[int, int]) -> None:
        super().__init__(masks, orig_shape)
        self._store(_outlines=None)

    @classmethod
    def _checked(cls, values: ArrayLike) -> Array:
        array = np.asanyarray(values)
        return super()._checked(array if array.dtype == np.uint8 else array != 0)

    @property
    def xy(self) -> list[Array]:
        """N polygons (M, 2) float32 of x, y in the picture's pixels, cut at its edge; (0, 2) for an empty mask.

        A mask in several pieces is one polygon, which runs over all of them. Holes are not followed.
        """
        # Two threads that come at once both compute the same polygons, and either's are kept: a lock would cost more.
        outlines = self._outlines
        if outlines is None:
            if self.data.size:
                place = self._fit
                outlines = tuple(frozen(place.to_source(outline(np.asarray(mask)))) for mask in self.data)
            else:
                outlines = (frozen(np.zeros((0, 2)), np.float32),) * len(self)
            self._store(_outlines=outlines)
        return [self._as_data(polygon) for polygon in outlines]

    @property
    def xyn(self) -> list[Array]:
        """`xy` divided by the picture's width and height."""
        return [self._as_data(np.asarray(polygon) / self._size_xy) for polygon in self.xy]

    def on_picture(self) -> NDArray[np.uint8]:
        """Return the masks in the picture's own size.

        Returns:
            (N, height, width) uint8 of 0 and 1: a new array, of a byte for each pixel and mask.
        """
        whole = (0, 0, *self.orig_shape[::-1])
        masks = np.empty((len(self), *self.orig_shape), np.uint8)
        for mask, target in zip(self.data, masks, strict=True):
            target[...] = self._cut(np.asarray(mask), whole)
        return masks

    def cut_out(self, index: int) -> tuple[int, int, NDArray[np.uint8]]:
        """Return the smallest piece of mask `index` in the picture's own size that holds all of it.

        Returns:
            Left and top of the piece in pixels of the picture, and the piece (h, w) uint8 of 0 and 1.
        """
        mask = np.asarray(self.data[index])
        x, y, width, height = cv2.boundingRect(mask) if mask.size else (0, 0, 0, 0)
        if not width:
            return 0, 0, self._cut(mask, (0, 0, 0, 0))
        # Resizing blends a pixel with its neighbours, so the mask reaches one pixel further on every side.
        reach = np.array([[x - 1, y - 1], [x + width + 1, y + height + 1]], np.float32)
        (low_x, low_y), (high_x, high_y) = self._fit.to_source(reach)
        left, top = math.floor(low_x), math.floor(low_y)
        return left, top, self._cut(mask, (left, top, math.ceil(high_x), math.ceil(high_y)))

    @property
    def _fit(self) -> Fit:
        return fit(self.orig_shape, (self.data.shape[1], self.data.shape[2]))

    def _cut(self, mask: NDArray[np.uint8], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Return part `box` (left, top, right, bottom) of the picture: the letterbox taken off, and resized."""
        left, top, right, bottom = box
        size_wh = (right - left, bottom - top)
        if mask.shape == self.orig_shape:
            return np.asarray(mask[top:bottom, left:right] != 0, np.uint8)
        if not mask.size or not all(size_wh):
            return np.zeros(size_wh[::-1], np.uint8)
        place = self._fit
        height, width = place.content_hw
        content = mask[place.top : place.top + height, place.left : place.left + width]
        full = cv2.threshold(content, 0, 255, cv2.THRESH_BINARY)[1]
        # The centre of pixel p of the picture lies at gain * (p + 1/2) - 1/2 on the plane.
        gain = place.gain_xy.astype(np.float64)
        shift = gain * (np.array((left, top)) + 0.5) - 0.5
        to_plane = np.column_stack([np.diag(gain), shift])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        smooth = cv2.warpAffine(full, to_plane, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(cv2.threshold(smooth, 127, 1, cv2.THRESH_BINARY)[1], np.uint8)
