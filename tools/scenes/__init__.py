"""Deterministic pictures with exact ground truth: synthetic scenes drawn from a seed.

A scene is planned (`layout`), painted (`backgrounds`, `objects`, `paint`) and finished with a camera's faults. The
ground truth comes from the painted silhouettes, so it is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from scenes.backgrounds import background
from scenes.layout import Finish, Layout, plan
from scenes.objects import NAMES
from scenes.paint import Image, Mask, paste, sticker

__all__ = ["EVALUATION_SEEDS", "NAMES", "Scene", "scene"]

EVALUATION_SEEDS = range(1_000_000, 1_000_200)
"""Seeds kept for measuring a model: nothing is ever trained or tuned on them."""

_TILE = 160  # pixels; noise repeats with this period


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it. Its arrays are read-only and its own: shared freely.

    `image` is `(H, W, 3)` uint8 BGR, `xyxy (N, 4)` float32 in pixels, `cls (N,)` int64 an index into `NAMES`;
    rows go from the object farthest back to the one in front. A box is tight around the object's whole outline
    within the image, also where another object covers it.
    """

    image: Image
    xyxy: npt.NDArray[np.float32]
    cls: npt.NDArray[np.int64]
    seed: int

    def __post_init__(self) -> None:
        for array in (self.image, self.xyxy, self.cls):
            array.flags.writeable = False


def scene(seed: int, size_wh: tuple[int, int] = (640, 480)) -> Scene:
    """Draw the scene of `seed` (0 or more) at `size_wh` pixels: the same seed and size give the same bytes."""
    return _render(plan(seed, size_wh))


def _render(layout: Layout) -> Scene:
    image = background(layout.background_seed, layout.size_wh)
    boxes = []
    for placed in layout.objects:
        patch = sticker(placed)
        paste(image, patch, placed.size)
        boxes.append(_box(patch.alpha, patch.corner_xy, layout.size_wh))
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    cls = np.array([placed.cls for placed in layout.objects], np.int64)
    there = np.all(xyxy[:, 2:] > xyxy[:, :2], axis=1)  # not in images of a few pixels
    return Scene(_finished(image, layout.finish, layout.seed), xyxy[there], cls[there], layout.seed)


def _box(alpha: Mask, corner_xy: tuple[int, int], size_wh: tuple[int, int]) -> tuple[int, int, int, int]:
    """Pixel edges around the pixels at least half covered, within the image."""
    x, y, width, height = cv2.boundingRect(np.greater(alpha, 127).view(np.uint8))
    left, top = corner_xy[0] + x, corner_xy[1] + y
    return max(left, 0), max(top, 0), min(left + width, size_wh[0]), min(top + height, size_wh[1])


def _finished(image: Image, finish: Finish, seed: int) -> Image:
    if finish.blur > 0.0:
        image = cv2.GaussianBlur(image, (0, 0), finish.blur).astype(np.uint8, copy=False)
    if (finish.gain, finish.lift) != (1.0, 0.0):
        ramp = np.arange(256) * finish.gain + finish.lift
        image = cv2.LUT(image, np.clip(np.round(ramp), 0, 255).astype(np.uint8)).astype(np.uint8, copy=False)
    return _grainy(image, finish.noise, seed) if finish.noise > 0.0 else image


def _grainy(image: Image, deviation: float, seed: int) -> Image:
    height, width = image.shape[:2]
    rng = np.random.Generator(np.random.PCG64([seed, width, height, 1]))
    tile = np.round(rng.normal(0.0, deviation, (_TILE, _TILE, 3))).astype(np.int16)
    noise = np.tile(tile, (-(-height // _TILE), -(-width // _TILE), 1))[:height, :width]
    grainy: Image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return grainy
