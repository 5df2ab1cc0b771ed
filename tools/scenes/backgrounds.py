"""Backgrounds of scenes: six kinds of places, each painted from a seed.

A place is a sky of colours from top to bottom and shapes in front of it. Pure functions, free for any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from scenes.paint import Image, column, fill_all
from scenes.shapes import (
    WHITE,
    Colour,
    Points,
    Shape,
    box,
    curve,
    darker,
    ellipse,
    hsv,
    lighter,
    mix,
    polygon,
    ribbon,
)

_TRUNK: Colour = (60.0, 84.0, 110.0)
_SUN: Colour = (170.0, 235.0, 255.0)
_MOON: Colour = (215.0, 240.0, 248.0)
_CRATER: Colour = (190.0, 220.0, 230.0)


@dataclass(frozen=True)
class _Site:
    """Empty place of `width` x `height` pixels, and the random numbers that decide what is there."""

    rng: np.random.Generator
    width: int
    height: int

    @property
    def side(self) -> int:
        return min(self.width, self.height)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, below: int) -> int:
        return int(self.rng.integers(low, below))


@dataclass(frozen=True)
class _Place:
    colours: tuple[Colour, ...]
    shapes: list[Shape]


def background(seed: int, size_wh: tuple[int, int]) -> Image:
    """Paint the background of `seed`; `(H, W, 3)` uint8 BGR, the caller's own."""
    rng = np.random.Generator(np.random.PCG64([seed, *size_wh]))
    place = _PLACES[int(rng.integers(len(_PLACES)))](_Site(rng, *size_wh))
    image = column(place.colours, size_wh)
    fill_all(image, place.shapes)
    return image


def _meadow(site: _Site) -> _Place:
    high, low = _sky(site)
    shapes = _clouds(site, lighter(low, 0.75))
    hue = site.between(0.20, 0.36)
    for step, level in enumerate((0.48, 0.62, 0.80)):
        grass = hsv(hue - 0.01 * step, 0.30 + 0.12 * step, 0.82 - 0.06 * step)
        roots = _roots(site, level) if step < 2 else []
        shapes.append(Shape(_hills(site, level, 0.06), lighter(grass, 0.15), darker(grass, 0.12)))
        shapes += [part for x, y in roots for part in _tree(site, x, y, darker(grass, 0.28))]
    return _Place((high, high, low, low), shapes)


def _sea(site: _Site) -> _Place:
    high, low = _sky(site)
    radius = site.side * site.between(0.05, 0.1)
    sun = ellipse(site.between(0.1, 0.9) * site.width, 0.2 * site.height, radius, radius)
    shapes = [Shape(sun, lighter(_SUN, 0.4)), *_clouds(site, lighter(low, 0.7))]
    hue, level = site.between(0.49, 0.60), site.between(0.42, 0.55)
    for step in range(4):
        water = hsv(hue, 0.40 + 0.10 * step, 0.86 - 0.08 * step)
        crest = _waves(site, level + step * (1.0 - level) * (0.18 + 0.03 * step), 0.008 * step)
        shapes.append(Shape(crest, lighter(water, 0.12), darker(water, 0.08)))
    return _Place((high, low, low), shapes)


def _night(site: _Site) -> _Place:
    hue = site.between(0.58, 0.78)
    shapes = [*_stars(site), *_moon(site)]
    for step, level in enumerate((0.68, 0.82)):
        near, far = hsv(hue, 0.5, 0.30 - 0.10 * step), hsv(hue, 0.55, 0.22 - 0.08 * step)
        shapes.append(Shape(_hills(site, level, 0.07), near, far))
    return _Place((hsv(hue, 0.70, 0.26), hsv(hue, 0.60, 0.42), hsv(hue + 0.08, 0.42, 0.66)), shapes)


def _room(site: _Site) -> _Place:
    wall = hsv(site.between(0.0, 1.0), site.between(0.10, 0.28), site.between(0.78, 0.96))
    pitch = site.width / float(site.count(7, 15))
    lefts = np.arange(0.0, site.width, pitch)
    stripes = [Shape(box(x, 0, x + 0.5 * pitch, site.height), lighter(wall, 0.35)) for x in lefts]
    shapes = [*stripes, *_pictures(site, wall), *_table(site)]
    return _Place((lighter(wall, 0.1), wall, darker(wall, 0.12)), shapes)


def _pattern(site: _Site) -> _Place:
    base = hsv(site.between(0.0, 1.0), site.between(0.12, 0.45), site.between(0.6, 0.98))
    ink = mix(base, hsv(site.between(0.0, 1.0), 0.3, 0.95), 0.35)
    unit = site.side / float(site.count(6, 12))
    motif = (_dot, _wedge, _check)[site.count(0, 3)]
    rows, places = int(site.height / unit) + 2, int(site.width / unit) + 2
    grid = ((row, place) for row in range(rows) for place in range(places))
    shapes = [Shape(motif(row, place) * unit, ink) for row, place in grid]
    return _Place((lighter(base, 0.2), base, darker(base, 0.2)), shapes)


def _paper(site: _Site) -> _Place:
    """Sheets of cut paper with a few loose discs and strips, to look like objects without being any."""
    hue, tint, value = site.between(0.0, 1.0), site.between(0.22, 0.55), site.between(0.60, 0.98)
    shapes = []
    for step in range(site.count(2, 6)):
        sheet = hsv(hue + 0.03 * step, tint + 0.05 * step, value * (0.95 - 0.08 * step))
        shapes.append(Shape(_hills(site, 0.25 + 0.15 * step, 0.09), lighter(sheet, 0.08), darker(sheet, 0.1)))
    return _Place((hsv(hue, tint, value), hsv(hue + 0.1, tint, 0.85 * value)), [*shapes, *_scraps(site, hue)])


_PLACES: tuple[Callable[[_Site], _Place], ...] = (_meadow, _sea, _night, _room, _pattern, _paper)


def _sky(site: _Site) -> tuple[Colour, Colour]:
    hue, value = float(site.rng.choice([0.55, 0.58, 0.53, 0.05, 0.90])), site.between(0.88, 1.0)
    return hsv(hue, site.between(0.28, 0.5), value), hsv(hue + 0.02, site.between(0.04, 0.16), 1.0)


def _clouds(site: _Site, colour: Colour) -> list[Shape]:
    places = [(site.between(0.0, 1.0), site.between(0.04, 0.36)) for _ in range(site.count(1, 5))]
    return [lobe for x, y in places for lobe in _cloud(site, x * site.width, y * site.height, colour)]


def _cloud(site: _Site, x: float, y: float, colour: Colour) -> Iterator[Shape]:
    unit = site.side * site.between(0.05, 0.11)
    for a, b, c, d in (
        (-1.2, 0.1, 0.8, 0.45),
        (-0.4, -0.25, 0.8, 0.62),
        (0.5, -0.1, 0.75, 0.52),
        (1.3, 0.15, 0.7, 0.4),
    ):
        yield Shape(ellipse(x + a * unit, y + b * unit, c * unit, d * unit), colour)


def _hills(site: _Site, level: float, swing: float) -> Points:
    """Land below a wavy line at `level` (0 top, 1 bottom) that rises and falls by `swing`."""
    knots = [(x, level + swing * site.between(-1.0, 1.0)) for x in np.linspace(-0.1, 1.1, 7)]
    return _ground(site, curve(knots, closed=False))


def _waves(site: _Site, level: float, swing: float) -> Points:
    """Water below regular waves."""
    knots = [(x, level + swing * (-1) ** i) for i, x in enumerate(np.linspace(-0.1, 1.1, 27))]
    return _ground(site, curve(knots, closed=False))


def _ground(site: _Site, line: Points) -> Points:
    return np.concatenate([line, polygon([(1.1, 1.1), (-0.1, 1.1)])]) * (site.width, site.height)


def _roots(site: _Site, level: float) -> list[tuple[float, float]]:
    shares = [(site.between(0.0, 1.0), level + site.between(0.05, 0.11)) for _ in range(site.count(0, 5))]
    return [(x * site.width, y * site.height) for x, y in shares]


def _tree(site: _Site, x: float, y: float, colour: Colour) -> Iterator[Shape]:
    unit = site.side * site.between(0.03, 0.07)
    yield Shape(box(x - 0.12 * unit, y - unit, x + 0.12 * unit, y + 0.1 * unit), _TRUNK)
    for top, wide, bottom in ((2.2, 0.8, 0.5), (2.7, 0.6, 1.3)):
        tier = [(x, y - top * unit), (x + wide * unit, y - bottom * unit), (x - wide * unit, y - bottom * unit)]
        yield Shape(polygon(tier), colour)


def _stars(site: _Site) -> Iterator[Shape]:
    for x, y, glow in site.rng.uniform(0.0, 1.0, (40, 3)):
        radius = (0.6 + glow) * site.side / 480.0
        star = ellipse(x * site.width, 0.6 * y * site.height, radius, radius)
        yield Shape(star, mix((120.0, 90.0, 90.0), WHITE, glow))


def _moon(site: _Site) -> Iterator[Shape]:
    unit = site.side * site.between(0.05, 0.09)
    x, y = site.between(0.1, 0.9) * site.width, site.between(0.1, 0.25) * site.height
    yield Shape(ellipse(x, y, 1.7 * unit, 1.7 * unit), lighter(_MOON, 0.3), alpha=0.12)
    yield Shape(ellipse(x, y, unit, unit), _MOON)
    for a, b, radius in ((-0.3, -0.2, 0.2), (0.3, 0.3, 0.26)):
        yield Shape(ellipse(x + a * unit, y + b * unit, radius * unit, radius * unit), _CRATER)


def _pictures(site: _Site, wall: Colour) -> Iterator[Shape]:
    for slot in range(site.count(1, 4)):
        left = (0.06 + 0.32 * slot + site.between(0.0, 0.06)) * site.width
        top = site.between(0.06, 0.2) * site.height
        right, bottom = left + site.between(0.12, 0.2) * site.width, top + site.between(0.16, 0.3) * site.height
        frame, inside = darker(wall, site.between(0.3, 0.7)), hsv(site.between(0.0, 1.0), 0.25, 0.9)
        edge = 0.07 * (right - left)
        canvas = box(left + edge, top + edge, right - edge, bottom - edge)
        yield Shape(box(left, top, right, bottom), lighter(frame, 0.1), darker(frame))
        yield Shape(canvas, lighter(inside), darker(inside, 0.15))


def _table(site: _Site) -> Iterator[Shape]:
    level, right = site.between(0.62, 0.76) * site.height, site.width + 9.0
    wood = hsv(site.between(0.05, 0.10), site.between(0.3, 0.55), site.between(0.55, 0.85))
    yield Shape(box(-9.0, level, right, site.height + 9.0), lighter(wood, 0.2), darker(wood, 0.15))
    yield Shape(box(-9.0, level, right, level + 0.022 * site.height), lighter(wood, 0.35))
    for y in site.rng.uniform(level + 0.05 * site.height, site.height, 6):
        grain = [(0.0, y), (0.5 * site.width, y + 2.0), (site.width, y)]
        yield Shape(ribbon(grain, max(1.0, 0.004 * site.height)), darker(wood, 0.25), alpha=0.5)


def _dot(row: int, place: int) -> Points:
    return ellipse(place + 0.5 * (row % 2), row, 0.22, 0.22)


def _wedge(row: int, place: int) -> Points:
    x = place + 0.5 * (row % 2)
    return polygon([(x, row - 0.3), (x + 0.3, row + 0.25), (x - 0.3, row + 0.25)])


def _check(row: int, place: int) -> Points:
    x = 2.0 * place + row % 2
    return box(x, row, x + 1.0, row + 1.0)


def _scraps(site: _Site, hue: float) -> Iterator[Shape]:
    for x, y, turn, size in site.rng.uniform(0.0, 1.0, (site.count(3, 12), 4)):
        radius = (0.02 + 0.05 * size) * site.side
        scrap = ellipse(x * site.width, y * site.height, radius, (0.25 if turn < 0.4 else 1.0) * radius, 6.3 * turn)
        yield Shape(scrap, hsv(hue + 0.5 * turn, 0.35, 0.9), alpha=0.55)
