"""The part of a picture that a box covers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) BGR

GAIN = 1.02  # a crop is this much wider and higher than its box,
PADDING = 10  # and this many pixels on top


def upright_crop(image: Image, xywh: NDArray[np.float32]) -> Image:
    """Cut out the box of centre and size `xywh`, and a margin: a view of `image`, empty where it lies outside."""
    xywh = np.nan_to_num(xywh)
    half = (xywh[2:] * GAIN + PADDING) / 2
    size_wh = image.shape[1::-1]
    left, top = np.clip(xywh[:2] - half, 0, size_wh).astype(int)
    right, bottom = np.clip(xywh[:2] + half, 0, size_wh).astype(int)
    return image[int(top) : int(bottom), int(left) : int(right)]


def oriented_crop(image: Image, xywhr: NDArray[np.float32]) -> Image:
    """Cut out an oriented box, turned upright, without a margin; black where it reaches out of the picture."""
    x, y, width, height, angle = np.nan_to_num(xywhr).tolist()
    most = sum(image.shape[:2])  # no more than the picture can fill: the size comes from a network
    size_wh = (round(min(max(width, 1), most)), round(min(max(height, 1), most)))
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    shift = np.array([x, y]) - turn @ (np.array(size_wh) / 2)
    to_source = np.column_stack([turn, shift])
    return cv2.warpAffine(image, to_source, size_wh, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)  # type: ignore[return-value]
