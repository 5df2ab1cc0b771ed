"""Painting of shapes: anti-aliased fills, silhouettes with an outline, stickers with a soft shadow.

Images are `(H, W, 3)` uint8 BGR, masks `(H, W)` uint8 with 255 inside. Every function writes only to the image
it is given, so different images may be painted by different threads at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from scenes.objects import Drawing, Tones, drawing
from scenes.shapes import Colour, Points, Shape, darker, mix, rotated

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.uint8]

Outline = npt.NDArray[np.int32]
"""`(K, 2)` points in sixteenths of a pixel."""

_SUBPIXEL_BITS = 4
_OUTLINE = 0.035  # of an object's half size
_SHADOW = 0.16  # reach of the soft shadow, of an object's half size
_SHADOW_DEPTH = 0.38


@dataclass(frozen=True)
class Placed:
    """One object of a scene: what it is, where and how it lies. Immutable, shared freely.

    `centre_xy` and `size` (half the height of the drawing) are in pixels, `angle` in radians, clockwise;
    `stretch` multiplies the width and is negative for a mirrored drawing.
    """

    cls: int
    centre_xy: tuple[float, float]
    size: float
    stretch: float
    angle: float
    tones: Tones

    def scaled(self, factor: float) -> Placed:
        """The same object in an image `factor` times as large."""
        x, y = self.centre_xy
        return replace(self, centre_xy=(x * factor, y * factor), size=self.size * factor)

    def outlines(self) -> list[Outline]:
        """The drawing's outlines, at their place in the image."""
        shapes = drawing(self.cls, self.tones)
        points = np.concatenate([shape.points for shape in shapes])
        pixels = rotated(points * (self.stretch * self.size, self.size), self.angle) + self.centre_xy
        return [*_split(_fixed(pixels), [len(shape.points) for shape in shapes])]


def _split(outline: Outline, lengths: Sequence[int]) -> Iterator[Outline]:
    return (outline[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True))


@dataclass(frozen=True)
class Sticker:
    """A painted object: `colour (h, w, 3)`, `alpha (h, w)` and the image pixel of its upper left corner."""

    colour: Image
    alpha: Mask
    corner_xy: tuple[int, int]


@dataclass(frozen=True)
class Silhouette:
    """Outlined area of an object before anything covers it: `alpha (h, w)`, and the image pixel of its upper left."""

    alpha: Mask
    corner_xy: tuple[int, int]


def fill(image: Image, shape: Shape) -> None:
    """Paint one shape, given in pixels, onto `image`."""
    _fill(image, _fixed(shape.points), shape)


def fill_all(image: Image, shapes: Iterable[Shape]) -> None:
    """Paint `shapes` in order."""
    for shape in shapes:
        fill(image, shape)


def blend(window: Image, paint: Image, mask: Mask, alpha: float = 1.0) -> None:
    """Mix `paint` into `window` in place, as strongly as `mask` and `alpha` (0..1) say."""
    if alpha < 1.0:
        mask = cv2.convertScaleAbs(mask, alpha=alpha).astype(np.uint8, copy=False)
    share = cv2.cvtColor(mask, cv2.COLOR_GRAY2BGR)
    rest = cv2.multiply(window, cv2.bitwise_not(share), scale=1.0 / 255.0)
    cv2.add(cv2.multiply(paint, share, scale=1.0 / 255.0), rest, window)


def gradient(light: Colour, shade: Colour, size_wh: tuple[int, int]) -> Image:
    """Image going from `light` in the upper left to `shade` in the lower right."""
    middle = mix(light, shade, 0.45)
    corners = np.array([[light, middle], [middle, shade]], np.float32).astype(np.uint8)
    return _resized(corners, size_wh)


def column(colours: Iterable[Colour], size_wh: tuple[int, int]) -> Image:
    """Image that goes through `colours` from top to bottom."""
    stops = np.array([[colour] for colour in colours]).round().astype(np.uint8)
    return _resized(stops, size_wh)


def silhouette(placed: Placed) -> Silhouette:
    """The outlined area of an object, whole even where it leaves the image."""
    return _silhouette(placed, placed.outlines())


def sticker(placed: Placed) -> Sticker:
    """Paint one object on a patch of its own."""
    outlines, shapes = placed.outlines(), drawing(placed.cls, placed.tones)
    area = _silhouette(placed, outlines)
    colour = np.empty((*area.alpha.shape, 3), np.uint8)
    colour[...] = np.array(_edge_colour(shapes)).astype(np.uint8)
    corner = np.array(area.corner_xy, np.int32) << _SUBPIXEL_BITS
    for outline, shape in zip(outlines, shapes, strict=True):
        _fill(colour, outline - corner, shape)
    return Sticker(colour, area.alpha, area.corner_xy)


def paste(image: Image, patch: Sticker, size: float) -> None:
    """Lay a sticker and its soft shadow onto `image`, cut off at the border."""
    _cast_shadow(image, patch, size)
    window, inside = overlap(image, patch.alpha.shape, patch.corner_xy)
    if window.size:
        blend(window, patch.colour[inside], patch.alpha[inside])


def overlap(
    image: npt.NDArray[Any], shape_hw: tuple[int, ...], corner_xy: tuple[int, int]
) -> tuple[npt.NDArray[Any], tuple[slice, slice]]:
    """View of `image` under a patch at `corner_xy`, and the slices of the patch that lie on it."""
    (height, width), (x, y) = shape_hw[:2], corner_xy
    left, top = max(x, 0), max(y, 0)
    right, bottom = max(min(x + width, image.shape[1]), left), max(min(y + height, image.shape[0]), top)
    return image[top:bottom, left:right], (slice(top - y, bottom - y), slice(left - x, right - x))


def _silhouette(placed: Placed, outlines: list[Outline]) -> Silhouette:
    solid = [o for o, shape in zip(outlines, drawing(placed.cls, placed.tones), strict=True) if shape.solid]
    edge = max(1, round(_OUTLINE * placed.size))
    left, top, right, bottom = _bounds(np.concatenate(solid), edge + 2)
    alpha = np.zeros((bottom - top, right - left), np.uint8)
    corner = np.array((left, top), np.int32) << _SUBPIXEL_BITS
    for outline in solid:
        cv2.fillPoly(alpha, [outline - corner], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return Silhouette(cv2.dilate(alpha, _disc(edge)).astype(np.uint8, copy=False), (left, top))


@lru_cache(maxsize=64)
def _disc(radius: int) -> Mask:
    side = 2 * radius + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)).astype(np.uint8, copy=False)


def _edge_colour(shapes: Drawing) -> Colour:
    longest = max(shapes, key=lambda shape: len(shape.points))
    return darker(mix(shapes[0].colour, longest.colour, 0.7), 0.78)


def _fill(image: Image, outline: Outline, shape: Shape) -> None:
    if shape.shade is None and shape.alpha >= 1.0:
        cv2.fillPoly(image, [outline], shape.colour, cv2.LINE_AA, _SUBPIXEL_BITS)
        return
    left, top, right, bottom = _bounds(outline, 2)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, image.shape[1]), min(bottom, image.shape[0])
    if right <= left or bottom <= top:
        return
    mask = np.zeros((bottom - top, right - left), np.uint8)
    corner = np.array((left, top), np.int32) << _SUBPIXEL_BITS
    cv2.fillPoly(mask, [outline - corner], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    paint = gradient(shape.colour, shape.shade or shape.colour, (right - left, bottom - top))
    blend(image[top:bottom, left:right], paint, mask, shape.alpha)


def _cast_shadow(image: Image, patch: Sticker, size: float) -> None:
    reach = max(2, round(_SHADOW * size))
    alpha = cv2.copyMakeBorder(patch.alpha, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    small = cv2.resize(alpha, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    kernel = (max(1, reach // 4),) * 2
    soft = _resized(cv2.blur(cv2.blur(small, kernel), kernel), (alpha.shape[1], alpha.shape[0]))
    corner = (patch.corner_xy[0] - reach + round(0.3 * reach), patch.corner_xy[1] - reach + round(0.55 * reach))
    window, inside = overlap(image, soft.shape, corner)
    if window.size:
        blend(window, np.full_like(window, 25), soft[inside], _SHADOW_DEPTH)


def _fixed(points: Points) -> Outline:
    return np.round(points * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _bounds(outline: Outline, margin: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels, with a margin."""
    x, y, width, height = cv2.boundingRect(outline)
    right, bottom = (x + width >> _SUBPIXEL_BITS) + margin + 1, (y + height >> _SUBPIXEL_BITS) + margin + 1
    return (x >> _SUBPIXEL_BITS) - margin, (y >> _SUBPIXEL_BITS) - margin, right, bottom


def _resized(image: npt.NDArray[Any], size_wh: tuple[int, int]) -> Image:
    return cv2.resize(image, size_wh, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
