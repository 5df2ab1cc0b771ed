"""Backgrounds of scenes: six kinds of places, each painted from a seed.

Pure functions of their arguments, free for any thread.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from yoloom.scenes.paint import Image, column, fill, fill_all
from yoloom.scenes.shapes import (
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

Size = tuple[int, int]


def background(seed: int, size_wh: Size) -> Image:
    """Paint the background that `seed` stands for; `(H, W, 3)` uint8 BGR, the caller's own."""
    rng = np.random.Generator(np.random.PCG64([seed, *size_wh]))
    painter = _PAINTERS[int(rng.integers(len(_PAINTERS)))]
    return painter(rng, size_wh)


def _hills(rng: np.random.Generator, size_wh: Size, level: float, swing: float) -> Points:
    """Land below a wavy line at `level` (0 top, 1 bottom) that rises and falls by `swing`."""
    width, height = size_wh
    knots = [(x, level + swing * float(rng.uniform(-1.0, 1.0))) for x in np.linspace(-0.1, 1.1, 7)]
    line = curve(knots, closed=False)
    return np.concatenate([line, polygon([(1.1, 1.1), (-0.1, 1.1)])]) * (width, height)


def _cloud(rng: np.random.Generator, size_wh: Size, x: float, y: float, colour: Colour) -> list[Shape]:
    width, height = size_wh
    unit = min(width, height) * float(rng.uniform(0.05, 0.11))
    lobes = [(-1.2, 0.1, 0.8, 0.45), (-0.4, -0.25, 0.8, 0.62), (0.5, -0.1, 0.75, 0.52), (1.3, 0.15, 0.7, 0.40)]
    return [
        Shape(ellipse(x * width + a * unit, y * height + b * unit, c * unit, d * unit), colour) for a, b, c, d in lobes
    ]


def _clouds(rng: np.random.Generator, size_wh: Size, colour: Colour) -> list[Shape]:
    places = [(float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.04, 0.36))) for _ in range(int(rng.integers(1, 5)))]
    return [lobe for x, y in places for lobe in _cloud(rng, size_wh, x, y, colour)]


def _tree(rng: np.random.Generator, size_wh: Size, x: float, y: float, colour: Colour) -> list[Shape]:
    unit = min(size_wh) * float(rng.uniform(0.03, 0.07))
    left, top = x * size_wh[0], y * size_wh[1]
    trunk = box(left - 0.12 * unit, top - unit, left + 0.12 * unit, top + 0.1 * unit)
    tiers = [
        polygon([(left, top - h * unit), (left + w * unit, top - b * unit), (left - w * unit, top - b * unit)])
        for h, w, b in ((2.2, 0.8, 0.5), (2.7, 0.6, 1.3))
    ]
    return [Shape(trunk, (60.0, 84.0, 110.0)), *(Shape(tier, colour) for tier in tiers)]


def _sky(rng: np.random.Generator) -> tuple[Colour, Colour]:
    hue, value = float(rng.choice([0.55, 0.58, 0.53, 0.05, 0.90])), float(rng.uniform(0.88, 1.0))
    return hsv(hue, float(rng.uniform(0.28, 0.5)), value), hsv(hue + 0.02, float(rng.uniform(0.04, 0.16)), 1.0)


def _meadow(rng: np.random.Generator, size_wh: Size) -> Image:
    high, low = _sky(rng)
    image = column((high, high, low, low), size_wh)
    fill_all(image, _clouds(rng, size_wh, lighter(low, 0.75)))
    hue = float(rng.uniform(0.20, 0.36))
    for step, level in enumerate((0.48, 0.62, 0.80)):
        grass = hsv(hue - 0.01 * step, 0.30 + 0.12 * step, 0.82 - 0.06 * step)
        trees = (
            [
                (float(rng.uniform(0.0, 1.0)), level + float(rng.uniform(0.05, 0.11)))
                for _ in range(int(rng.integers(0, 5)))
            ]
            if step < 2
            else []
        )
        fill(image, Shape(_hills(rng, size_wh, level, 0.06), lighter(grass, 0.15), darker(grass, 0.12)))
        fill_all(image, [part for x, y in trees for part in _tree(rng, size_wh, x, y, darker(grass, 0.28))])
    return image


def _sea(rng: np.random.Generator, size_wh: Size) -> Image:
    width, height = size_wh
    high, low = _sky(rng)
    image = column((high, low, low), size_wh)
    disc = min(size_wh) * float(rng.uniform(0.05, 0.1))
    fill(
        image,
        Shape(
            ellipse(float(rng.uniform(0.1, 0.9)) * width, 0.2 * height, disc, disc), lighter((170.0, 235.0, 255.0), 0.4)
        ),
    )
    fill_all(image, _clouds(rng, size_wh, lighter(low, 0.7)))
    hue, level = float(rng.uniform(0.49, 0.60)), float(rng.uniform(0.42, 0.55))
    for step in range(4):
        water = hsv(hue, 0.40 + 0.10 * step, 0.86 - 0.08 * step)
        top = level + step * (1.0 - level) * (0.18 + 0.03 * step)
        knots = np.linspace(-0.05, 1.05, 25)
        crest = curve([(x, top + 0.008 * step * (-1) ** i) for i, x in enumerate(knots)], closed=False)
        outline = np.concatenate([crest, polygon([(1.05, 1.1), (-0.05, 1.1)])]) * (width, height)
        fill(image, Shape(outline, lighter(water, 0.12), darker(water, 0.08)))
    return image


def _night(rng: np.random.Generator, size_wh: Size) -> Image:
    width, height = size_wh
    hue = float(rng.uniform(0.58, 0.78))
    image = column((hsv(hue, 0.70, 0.26), hsv(hue, 0.60, 0.42), hsv(hue + 0.08, 0.42, 0.66)), size_wh)
    unit = min(size_wh) / 480.0
    for x, y, glow in rng.uniform(0.0, 1.0, (40, 3)):
        fill(
            image,
            Shape(
                ellipse(x * width, 0.6 * y * height, (0.6 + glow) * unit, (0.6 + glow) * unit),
                mix((120.0, 90.0, 90.0), WHITE, glow),
            ),
        )
    moon = min(size_wh) * float(rng.uniform(0.05, 0.09))
    x, y = float(rng.uniform(0.1, 0.9)) * width, float(rng.uniform(0.1, 0.25)) * height
    fill(image, Shape(ellipse(x, y, 1.7 * moon, 1.7 * moon), (225.0, 225.0, 235.0), alpha=0.12))
    fill(image, Shape(ellipse(x, y, moon, moon), (215.0, 240.0, 248.0)))
    fill_all(
        image,
        [
            Shape(ellipse(x + a * moon, y + b * moon, c * moon, c * moon), (190.0, 220.0, 230.0))
            for a, b, c in ((-0.3, -0.2, 0.2), (0.3, 0.3, 0.26))
        ],
    )
    for step, level in enumerate((0.68, 0.82)):
        fill(
            image,
            Shape(
                _hills(rng, size_wh, level, 0.07), hsv(hue, 0.5, 0.30 - 0.10 * step), hsv(hue, 0.55, 0.22 - 0.08 * step)
            ),
        )
    return image


def _indoor(rng: np.random.Generator, size_wh: Size) -> Image:
    width, height = size_wh
    wall = hsv(float(rng.uniform(0.0, 1.0)), float(rng.uniform(0.10, 0.28)), float(rng.uniform(0.78, 0.96)))
    image = column((lighter(wall, 0.1), wall, darker(wall, 0.12)), size_wh)
    pitch = width / float(rng.integers(7, 15))
    fill_all(
        image, [Shape(box(x, 0, x + 0.5 * pitch, height), lighter(wall, 0.35)) for x in np.arange(0.0, width, pitch)]
    )
    _hang_pictures(rng, image, wall)
    level = float(rng.uniform(0.62, 0.76)) * height
    wood = hsv(float(rng.uniform(0.05, 0.10)), float(rng.uniform(0.3, 0.55)), float(rng.uniform(0.55, 0.85)))
    fill(image, Shape(box(-9, level, width + 9, height + 9), lighter(wood, 0.2), darker(wood, 0.15)))
    fill(image, Shape(box(-9, level, width + 9, level + 0.022 * height), lighter(wood, 0.35)))
    grain = np.sort(rng.uniform(level + 0.05 * height, height, 6))
    fill_all(
        image,
        [
            Shape(
                ribbon([(0, y), (0.5 * width, y + 2), (width, y)], max(1.0, 0.004 * height)),
                darker(wood, 0.25),
                alpha=0.5,
            )
            for y in grain
        ],
    )
    return image


def _hang_pictures(rng: np.random.Generator, image: Image, wall: Colour) -> None:
    height, width = image.shape[:2]
    for slot in range(int(rng.integers(1, 4))):
        left, top = (0.06 + 0.32 * slot + 0.06 * float(rng.uniform())) * width, float(rng.uniform(0.06, 0.2)) * height
        wide, tall = float(rng.uniform(0.12, 0.2)) * width, float(rng.uniform(0.16, 0.3)) * height
        frame, inside = darker(wall, float(rng.uniform(0.3, 0.7))), hsv(float(rng.uniform()), 0.25, 0.9)
        fill(image, Shape(box(left, top, left + wide, top + tall), lighter(frame, 0.1), darker(frame)))
        edge = 0.07 * wide
        fill(
            image,
            Shape(
                box(left + edge, top + edge, left + wide - edge, top + tall - edge),
                lighter(inside),
                darker(inside, 0.15),
            ),
        )


def _pattern(rng: np.random.Generator, size_wh: Size) -> Image:
    width, height = size_wh
    base = hsv(float(rng.uniform()), float(rng.uniform(0.12, 0.45)), float(rng.uniform(0.6, 0.98)))
    image = column((lighter(base, 0.2), base, darker(base, 0.2)), size_wh)
    ink, unit = mix(base, hsv(float(rng.uniform()), 0.3, 0.95), 0.35), min(size_wh) / float(rng.integers(6, 12))
    kind = int(rng.integers(3))
    for row in range(int(height / unit) + 2):
        for place in range(int(width / unit) + 2):
            x, y = (place + 0.5 * (row % 2)) * unit, row * unit
            if kind == 0:
                fill(image, Shape(ellipse(x, y, 0.22 * unit, 0.22 * unit), ink))
            elif kind == 1:
                fill(
                    image,
                    Shape(
                        polygon(
                            [(x, y - 0.3 * unit), (x + 0.3 * unit, y + 0.25 * unit), (x - 0.3 * unit, y + 0.25 * unit)]
                        ),
                        ink,
                    ),
                )
            elif (row + place) % 2:
                fill(image, Shape(box(place * unit, y, (place + 1) * unit, y + unit), ink))
    return image


def _paper(rng: np.random.Generator, size_wh: Size) -> Image:
    """Layers of cut paper with a few loose discs and strips, the ones that look least like any object."""
    width, height = size_wh
    hue = float(rng.uniform())
    tint, value = float(rng.uniform(0.22, 0.55)), float(rng.uniform(0.60, 0.98))
    image = column((hsv(hue, tint, value), hsv(hue + 0.1, tint, 0.85 * value)), size_wh)
    for step in range(int(rng.integers(2, 6))):
        sheet = hsv(hue + 0.03 * step, tint + 0.05 * step, value * (0.95 - 0.08 * step))
        fill(image, Shape(_hills(rng, size_wh, 0.25 + 0.15 * step, 0.09), lighter(sheet, 0.08), darker(sheet, 0.1)))
    for x, y, turn, size in rng.uniform(0.0, 1.0, (int(rng.integers(3, 12)), 4)):
        scrap, radius = hsv(hue + 0.5 * float(turn), 0.35, 0.9), (0.02 + 0.05 * size) * min(size_wh)
        flat = 0.25 if turn < 0.4 else 1.0
        fill(image, Shape(ellipse(x * width, y * height, radius, flat * radius, 6.3 * turn), scrap, alpha=0.55))
    return image


_PAINTERS: tuple[Callable[[np.random.Generator, Size], Image], ...] = (_meadow, _sea, _night, _indoor, _pattern, _paper)
