"""Outlines as arrays of points: the geometry everything in a scene is drawn from.

Points are `(K, 2)` float64 in the drawing's own coordinates, x to the right and y down.
Pure functions, free for any thread.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Colour = tuple[float, float, float]
Pairs = Sequence[tuple[float, float]]
Corners = tuple[tuple[float, float], ...]

WHITE: Colour = (255.0, 255.0, 255.0)

_TURN = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
_CIRCLE: Points = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


@dataclass(frozen=True)
class Shape:
    """One filled outline of a drawing.

    `colour` (BGR, 0..255) fills the side facing the light, the upper left; `shade` the side away from it.
    `alpha` below 1 lets what is underneath show through. Only a `solid` shape belongs to the silhouette.
    """

    points: Points
    colour: Colour
    shade: Colour | None = None
    alpha: float = 1.0
    solid: bool = True


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """BGR colour 0..255 of a hue (any number, 1 is a full turn), saturation and value (0..1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return (255.0 * blue, 255.0 * green, 255.0 * red)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with a `share` (0..1) of `second` in it."""
    rest = 1.0 - share
    return (
        first[0] * rest + second[0] * share,
        first[1] * rest + second[1] * share,
        first[2] * rest + second[2] * share,
    )


def darker(colour: Colour, share: float = 0.3) -> Colour:
    """`colour` in shadow: less light and slightly bluer, as shadows under a sky are."""
    return mix(colour, (60.0, 25.0, 25.0), share)


def lighter(colour: Colour, share: float = 0.3) -> Colour:
    """`colour` with a `share` of white in it."""
    return mix(colour, WHITE, share)


def polygon(corners: Pairs) -> Points:
    """Straight-edged outline through `corners`."""
    return np.asarray(corners, dtype=np.float64)


def box(left: float, top: float, right: float, bottom: float) -> Points:
    """Upright rectangle."""
    return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])


def ellipse(x: float, y: float, radius_x: float, radius_y: float, turn: float = 0.0) -> Points:
    """Ellipse around `(x, y)`, turned by `turn` radians."""
    points: Points = _CIRCLE * (radius_x, radius_y)
    return (rotated(points, turn) if turn else points) + (x, y)


def arc(x: float, y: float, radius_x: float, radius_y: float, start: float, end: float) -> Points:
    """Open curve along an ellipse from angle `start` to `end`, in degrees, clockwise from the right."""
    return _unit_arc(start, end) * (radius_x, radius_y) + (x, y)


@lru_cache(maxsize=128)
def _unit_arc(start: float, end: float) -> Points:
    angles = np.radians(np.linspace(start, end, 19))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@lru_cache(maxsize=512)
def smooth(corners: Corners, closed: bool = True) -> Points:
    """Curve through `corners`, which are constants of a drawing: it is computed once and read-only."""
    points = curve(corners, closed)
    points.flags.writeable = False
    return points


def curve(corners: Pairs | Points, closed: bool = True, steps: int = 6) -> Points:
    """Catmull-Rom curve through `corners`, `steps` points for each of them."""
    knots = np.asarray(corners, dtype=np.float64)
    if closed:
        padded = np.concatenate([knots[-1:], knots, knots[:2]])
    else:
        padded = np.concatenate([2.0 * knots[:1] - knots[1:2], knots, 2.0 * knots[-1:] - knots[-2:-1]])
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0.0, 1.0, steps, endpoint=False)[None, :, None]
    bend = 0.5 * (2.0 * b + (c - a) * t + (2.0 * a - 5.0 * b + 4.0 * c - d) * t**2 + (3.0 * b - a - 3.0 * c + d) * t**3)
    points: Points = bend.reshape(-1, 2)
    return points if closed else np.concatenate([points, knots[-1:]])


def mirrored(half: Corners) -> Corners:
    """`half` (top to bottom, x >= 0) and its mirror image; corners on the axis are used once."""
    return (*half, *((-x, y) for x, y in reversed(half) if x > 0.0))


def ribbon(line: Pairs | Points, width: float) -> Points:
    """Outline of a band of `width` along an open line."""
    spine = np.asarray(line, dtype=np.float64)
    along = np.empty_like(spine)
    along[1:-1] = spine[2:] - spine[:-2]
    along[0], along[-1] = spine[1] - spine[0], spine[-1] - spine[-2]
    along *= 0.5 * width / np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)
    side = along[:, ::-1] * (-1.0, 1.0)
    return np.concatenate([spine + side, (spine - side)[::-1]])


def rotated(points: Points, radians: float) -> Points:
    """`points` turned clockwise (y is down) around the origin."""
    cos, sin = np.cos(radians), np.sin(radians)
    turned: Points = points @ np.array([[cos, sin], [-sin, cos]])
    return turned


def moved(points: Points, x: float, y: float) -> Points:
    """`points` shifted by `(x, y)`."""
    shift: Points = np.array((x, y))
    return points + shift
