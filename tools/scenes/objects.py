"""The twelve things a scene can hold, as vector drawings of about -1..1 in x and y.

Each function takes four numbers in 0..1, the `Tones` that vary its colours and details, and returns the shapes
to paint in order. Pure functions, free for any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from scenes.shapes import (
    WHITE,
    Colour,
    Points,
    Shape,
    arc,
    box,
    curve,
    darker,
    ellipse,
    hsv,
    lighter,
    mirrored,
    mix,
    moved,
    polygon,
    ribbon,
    rotated,
    smooth,
)

Tones = tuple[float, float, float, float]
Drawing = tuple[Shape, ...]

_CREAM: Colour = (205.0, 232.0, 248.0)
_WOOD: Colour = (70.0, 112.0, 158.0)
_GLASS: Colour = (245.0, 222.0, 178.0)
_RUBBER: Colour = (62.0, 52.0, 50.0)
_METAL: Colour = (214.0, 206.0, 200.0)


def _body(points: Points, colour: Colour, depth: float = 0.32) -> Shape:
    return Shape(points, lighter(colour, 0.12), darker(colour, depth))


def _detail(points: Points, colour: Colour, alpha: float = 1.0) -> Shape:
    return Shape(points, colour, alpha=alpha, solid=False)


def _shine(x: float, y: float, radius_x: float, radius_y: float, turn: float = 0.0, alpha: float = 0.5) -> Shape:
    return _detail(ellipse(x, y, radius_x, radius_y, turn), WHITE, alpha)


def _bright(hue: float, tone: float) -> Colour:
    return hsv(hue, 0.62 + 0.25 * tone, 0.96 - 0.12 * tone)


def apple(tones: Tones) -> Drawing:
    """Red, yellow or green, with a leaf."""
    hue = (0.99, 0.03, 0.13, 0.25)[int(tones[0] * 3.999)] + 0.03 * (tones[1] - 0.5)
    skin = hsv(hue, 0.78, 0.84 + 0.12 * tones[2])
    half = ((0.0, -0.44), (0.38, -0.62), (0.80, -0.48), (0.96, 0.0), (0.78, 0.58), (0.38, 0.94), (0.0, 0.84))
    leaf = smooth(((0.07, -0.66), (0.30, -0.98), (0.78, -1.0), (0.52, -0.70)))
    return (
        _body(ribbon([(0.0, -0.40), (0.02, -0.68), (0.12, -0.98)], 0.13), _WOOD),
        _body(leaf, hsv(0.30, 0.62, 0.68)),
        _body(smooth(mirrored(half)), skin),
        _detail(smooth(((-0.26, -0.50), (0.0, -0.40), (0.26, -0.50), (0.0, -0.28))), darker(skin, 0.5), 0.7),
        _shine(-0.50, -0.08, 0.16, 0.30, 0.35),
        _shine(-0.36, 0.36, 0.06, 0.08, 0.3, 0.35),
    )


def balloon(tones: Tones) -> Drawing:
    """A toy balloon on a wavy string."""
    skin = _bright(tones[0], tones[1])
    y = np.linspace(0.42, 1.0, 13)
    string = np.stack([0.10 * np.sin((y - 0.42) * (8.0 + 4.0 * tones[2])), y], axis=1)
    skin_half = ((0.0, -1.0), (0.42, -0.88), (0.66, -0.48), (0.55, -0.03), (0.22, 0.28), (0.0, 0.36))
    return (
        Shape(ribbon(string, 0.055), _METAL),
        _body(polygon([(0.0, 0.28), (0.13, 0.47), (-0.13, 0.47)]), darker(skin, 0.2)),
        _body(smooth(mirrored(skin_half)), skin),
        _shine(-0.30, -0.55, 0.12, 0.22, 0.4, 0.6),
        _shine(0.34, -0.10, 0.05, 0.14, 0.5, 0.25),
    )


def boat(tones: Tones) -> Drawing:
    """A sailing boat with two sails and a flag."""
    hull, sail = _bright(tones[0], tones[1]), mix(_CREAM, _bright(tones[2], 0.5), 0.75 * tones[3])
    keel = smooth(((-1.0, 0.36), (0.0, 0.44), (1.0, 0.36)), closed=False)
    hull_points = np.concatenate([keel, smooth(((0.72, 0.84), (0.0, 0.92), (-0.72, 0.84)), closed=False)])
    main = smooth(((0.08, -0.82), (0.62, -0.30), (0.86, 0.22)), closed=False)
    return (
        _body(ribbon([(0.0, -0.98), (0.0, 0.45)], 0.10), _WOOD),
        _body(polygon([(0.0, -1.0), (-0.34, -0.90), (0.0, -0.78)]), hull),
        _body(np.concatenate([main, polygon([(0.08, 0.22)])]), sail),
        _body(polygon([(-0.09, -0.62), (-0.70, 0.22), (-0.09, 0.22)]), darker(sail, 0.08)),
        _body(hull_points, hull),
        _detail(polygon([(-0.90, 0.52), (0.90, 0.52), (0.86, 0.62), (-0.86, 0.62)]), WHITE, 0.85),
    )


def _wheel(x: float) -> Drawing:
    return (
        _body(ellipse(x, 0.50, 0.25, 0.25), _RUBBER),
        _detail(ellipse(x, 0.50, 0.14, 0.14), _METAL),
        _detail(ellipse(x, 0.50, 0.06, 0.06), darker(_METAL, 0.5)),
    )


def car(tones: Tones) -> Drawing:
    """A small car from the side."""
    paint = _bright(tones[0], tones[1])
    roof = -0.46 - 0.10 * tones[2]
    cabin = curve(((-0.66, 0.02), (-0.46, roof), (0.20, roof), (0.56, 0.02)), closed=False)
    lower = smooth(
        ((-0.97, 0.40), (-0.95, 0.06), (-0.55, -0.04), (0.55, -0.04), (0.92, 0.12), (0.99, 0.40)), closed=False
    )
    sill = polygon([(0.94, 0.52), (-0.94, 0.52)])
    return (
        _body(cabin, paint),
        _body(np.concatenate([lower, sill]), paint),
        _detail(polygon([(-0.54, -0.03), (-0.40, roof + 0.10), (-0.12, roof + 0.09), (-0.12, -0.03)]), _GLASS),
        _detail(polygon([(-0.03, -0.03), (-0.03, roof + 0.09), (0.17, roof + 0.10), (0.42, -0.03)]), _GLASS),
        _detail(polygon([(0.02, -0.03), (0.10, roof + 0.09), (0.17, roof + 0.10), (0.12, -0.03)]), WHITE, 0.6),
        _detail(ribbon([(-0.07, 0.0), (-0.07, 0.44)], 0.03), darker(paint, 0.6)),
        _detail(box(-0.03, 0.10, 0.12, 0.15), darker(paint, 0.6)),
        _detail(ellipse(0.90, 0.22, 0.07, 0.09), (190.0, 245.0, 255.0)),
        _detail(ellipse(-0.92, 0.20, 0.05, 0.09), (60.0, 60.0, 235.0)),
        *_wheel(-0.54),
        *_wheel(0.54),
    )


def fish(tones: Tones) -> Drawing:
    """A round fish with stripes and a fan tail."""
    skin, trim = _bright(tones[0], tones[1]), _bright(tones[0] + 0.12 + 0.35 * tones[2], 0.6)
    tail = smooth(((-0.46, 0.0), (-0.96, -0.50), (-0.86, 0.0), (-0.96, 0.50)))
    trunk = smooth(
        (
            (0.98, 0.06),
            (0.62, -0.36),
            (0.10, -0.50),
            (-0.42, -0.22),
            (-0.60, 0.0),
            (-0.42, 0.22),
            (0.10, 0.50),
            (0.62, 0.42),
        )
    )
    stripes = (ribbon(arc(x - 0.55, 0.0, 0.6, 0.85, -reach, reach), 0.10) for x, reach in ((0.20, 27.0), (-0.06, 23.0)))
    return (
        _body(tail, trim),
        _body(smooth(((0.42, -0.36), (0.10, -0.80), (-0.34, -0.66), (-0.30, -0.24))), trim),
        _body(smooth(((0.20, 0.40), (-0.02, 0.74), (-0.24, 0.62), (-0.14, 0.34))), trim),
        _body(trunk, skin),
        *(_detail(stripe, lighter(trim, 0.25), 0.9) for stripe in stripes),
        _body(smooth(((0.22, 0.02), (-0.12, 0.22), (0.16, 0.26))), trim),
        _detail(ellipse(0.60, -0.06, 0.13, 0.13), WHITE),
        _detail(ellipse(0.63, -0.05, 0.07, 0.07), _RUBBER),
        _detail(ribbon(arc(0.88, 0.10, 0.14, 0.12, 80.0, 170.0), 0.04), darker(skin, 0.6)),
    )


def house(tones: Tones) -> Drawing:
    """A gabled house with a chimney, a door and two windows."""
    wall, roof = mix(_CREAM, _bright(tones[0], 0.2), 0.5 * tones[1]), hsv(0.02 + 0.08 * tones[2], 0.72, 0.72)
    door = _bright(tones[3], 0.9)
    panes = [(-0.58, 0.10), (0.26, 0.10)]
    return (
        _body(box(0.36, -0.86, 0.60, -0.20), darker(roof, 0.25)),
        _body(box(-0.78, -0.18, 0.78, 0.92), wall),
        _body(polygon([(0.0, -0.98), (1.0, -0.06), (0.88, 0.06), (-0.88, 0.06), (-1.0, -0.06)]), roof),
        _detail(ellipse(0.0, -0.36, 0.15, 0.15), WHITE),
        _detail(ellipse(0.0, -0.36, 0.11, 0.11), _GLASS),
        *(_detail(box(x - 0.04, y + 0.06, x + 0.36, y + 0.50), WHITE) for x, y in panes),
        *(_detail(box(x, y + 0.10, x + 0.32, y + 0.46), _GLASS) for x, y in panes),
        *(_detail(ribbon([(x + 0.16, y + 0.08), (x + 0.16, y + 0.48)], 0.04), WHITE) for x, y in panes),
        _body(box(-0.15, 0.36, 0.15, 0.92), door),
        _shine(0.08, 0.64, 0.04, 0.04, alpha=0.9),
    )


def kite(tones: Tones) -> Drawing:
    """A four-coloured diamond with a tail of bows."""
    first, second = _bright(tones[0], tones[1]), _bright(tones[0] + 0.3 + 0.3 * tones[2], 0.3)
    top, right, bottom, left, cross = (0.0, -1.0), (0.62, -0.38), (0.0, 0.42), (-0.62, -0.38), (0.0, -0.38)
    y = np.linspace(0.38, 1.0, 15)
    tail = np.stack([0.20 * np.sin((y - 0.38) * 7.5) * (1.0 if tones[3] < 0.5 else -1.0), y], axis=1)
    bows = (tail[7], tail[13])
    return (
        Shape(ribbon(tail, 0.06), _METAL),
        *(_body(polygon([(x, y), (x - 0.17, y - 0.10), (x - 0.17, y + 0.10)]), first) for x, y in bows),
        *(_body(polygon([(x, y), (x + 0.17, y - 0.10), (x + 0.17, y + 0.10)]), first) for x, y in bows),
        _body(polygon([top, right, bottom, left]), first),
        _detail(polygon([top, right, cross]), second),
        _detail(polygon([bottom, left, cross]), darker(second, 0.15)),
        _detail(ribbon([top, bottom], 0.04), WHITE, 0.7),
        _detail(ribbon([left, right], 0.04), WHITE, 0.7),
    )


def mug(tones: Tones) -> Drawing:
    """A mug of coffee with a handle and two bands."""
    glaze = mix(_bright(tones[0], tones[1]), _CREAM, 0.35 * tones[2])
    foot = arc(-0.18, 0.80, 0.56, 0.16, 0.0, 180.0)
    side = np.concatenate([polygon([(-0.82, -0.66), (0.46, -0.66)]), foot])
    coffee = ellipse(-0.18, -0.68, 0.53, 0.16)
    band = np.concatenate([arc(-0.18, 0.12, 0.60, 0.16, 0.0, 180.0), arc(-0.18, -0.10, 0.61, 0.16, 180.0, 0.0)])
    return (
        _body(ribbon(arc(0.44, 0.02, 0.46, 0.44, -96.0, 96.0), 0.20), glaze),
        _body(side, glaze),
        _detail(band, lighter(glaze, 0.65), 0.9),
        _body(ellipse(-0.18, -0.68, 0.65, 0.22), lighter(glaze, 0.2), 0.15),
        _detail(coffee, (38.0, 62.0, 98.0)),
        _detail(ellipse(-0.28, -0.68, 0.26, 0.06), (90.0, 130.0, 172.0), 0.7),
        _shine(-0.66, 0.10, 0.05, 0.42, 0.0, 0.4),
    )


def mushroom(tones: Tones) -> Drawing:
    """A toadstool with a spotted cap."""
    cap = hsv((0.99, 0.04, 0.08, 0.78)[int(tones[0] * 3.999)] + 0.02 * tones[1], 0.78, 0.88)
    stem = smooth(((-0.26, 0.0), (0.26, 0.0), (0.30, 0.50), (0.42, 0.88), (0.0, 0.98), (-0.42, 0.88), (-0.30, 0.50)))
    dome = smooth(
        (
            (-0.98, 0.10),
            (-0.84, -0.46),
            (-0.40, -0.88),
            (0.10, -0.98),
            (0.58, -0.78),
            (0.90, -0.36),
            (0.98, 0.10),
            (0.50, 0.26),
            (0.0, 0.22),
            (-0.50, 0.26),
        )
    )
    spots = [
        (-0.46, -0.38, 0.17, 0.15),
        (0.12, -0.62, 0.19, 0.14),
        (0.56, -0.22, 0.16, 0.15),
        (0.04, -0.10, 0.13, 0.10),
        (-0.74, 0.0, 0.10, 0.09),
    ]
    return (
        _body(stem, _CREAM, 0.25),
        _body(dome, cap),
        _detail(
            smooth(((-0.80, 0.16), (0.0, 0.10), (0.80, 0.16), (0.50, 0.25), (0.0, 0.21), (-0.50, 0.25))),
            darker(cap, 0.5),
            0.7,
        ),
        *(_detail(ellipse(*spot), lighter(_CREAM, 0.3)) for spot in spots),
        _shine(-0.62, -0.56, 0.07, 0.16, 0.75, 0.45),
    )


def rocket(tones: Tones) -> Drawing:
    """A rocket with three fins and a flame."""
    trim, shell = _bright(tones[0], tones[1]), mix(_METAL, _bright(tones[2], 0.0), 0.25 * tones[3])
    flame = ((0.0, 0.55), (0.17, 0.62), (0.12, 0.82), (0.0, 1.0))
    trunk = ((0.0, -1.0), (0.24, -0.62), (0.34, -0.10), (0.24, 0.56), (0.0, 0.60))
    nose = ((0.0, -1.0), (0.16, -0.78), (0.265, -0.52), (0.0, -0.45))
    fin = [(0.28, 0.06), (0.62, 0.40), (0.60, 0.80), (0.22, 0.56)]
    return (
        _body(smooth(mirrored(flame)), (40.0, 150.0, 255.0), 0.1),
        _detail(smooth(((0.0, 0.58), (0.08, 0.66), (0.0, 0.84), (-0.08, 0.66))), (150.0, 240.0, 255.0)),
        _body(polygon(fin), trim),
        _body(polygon([(-x, y) for x, y in fin]), trim),
        _body(smooth(mirrored(trunk)), shell),
        _body(smooth(mirrored(nose)), trim),
        _detail(ellipse(0.0, -0.16, 0.17, 0.17), darker(trim, 0.3)),
        _detail(ellipse(0.0, -0.16, 0.12, 0.12), _GLASS),
        _shine(-0.04, -0.20, 0.04, 0.05, 0.6, 0.9),
        _body(ribbon([(0.0, 0.28), (0.0, 0.68)], 0.11), darker(trim, 0.2)),
    )


def sunflower(tones: Tones) -> Drawing:
    """A sunflower on its stem, with two leaves."""
    petal, green = hsv(0.115 + 0.04 * (tones[0] - 0.5), 0.85, 0.98), hsv(0.28 + 0.06 * tones[1], 0.65, 0.60)
    leaf = smooth(((0.02, 0.78), (0.22, 0.44), (0.62, 0.42), (0.40, 0.74)))
    outer = smooth(((0.0, -0.18), (0.14, -0.42), (0.0, -0.64), (-0.14, -0.42)))
    count = 11 + int(tones[2] * 3.999)
    rings = [(i, 2.0 * np.pi * i / count) for i in range(count)]
    petals = [
        Shape(moved(rotated(outer, turn), 0.0, -0.36), petal if i % 2 else darker(petal, 0.16)) for i, turn in rings
    ]
    dots = [(0.15 * np.cos(a), 0.15 * np.sin(a) - 0.36) for a in np.arange(6) * np.pi / 3.0]
    return (
        _body(ribbon([(0.0, -0.2), (0.03, 0.4), (0.0, 1.0)], 0.11), green),
        _body(leaf, green),
        _body(moved(leaf * (-1.0, 1.0), 0.0, 0.10), green),
        *petals,
        _body(ellipse(0.0, -0.36, 0.29, 0.29), (38.0, 62.0, 100.0)),
        *(_detail(ellipse(x, y, 0.03, 0.03), (70.0, 130.0, 190.0), 0.8) for x, y in dots),
    )


def umbrella(tones: Tones) -> Drawing:
    """An open umbrella in two colours, with a hooked handle."""
    first = _bright(tones[0], tones[1])
    second = lighter(first, 0.75) if tones[2] < 0.6 else _bright(tones[0] + 0.45, 0.4)
    dome = arc(0.0, 0.02, 1.0, 0.88, 180.0, 360.0)
    scallops = np.concatenate([arc(x, 0.02, 0.25, 0.10, 360.0, 180.0) for x in (0.75, 0.25, -0.25, -0.75)])
    gore = np.concatenate([arc(0.0, 0.02, 0.5, 0.88, 270.0, 360.0), arc(0.25, 0.02, 0.25, 0.10, 360.0, 180.0)])
    side = np.concatenate(
        [
            arc(0.0, 0.02, 1.0, 0.88, 180.0, 270.0),
            arc(0.0, 0.02, 0.5, 0.88, 270.0, 180.0),
            arc(-0.75, 0.02, 0.25, 0.10, 360.0, 180.0),
        ]
    )
    hook = np.concatenate([polygon([(0.0, -0.1), (0.0, 0.4)]), arc(0.16, 0.76, 0.16, 0.18, 180.0, 10.0)])
    return (
        _body(ribbon(hook, 0.10), _WOOD),
        _body(ribbon([(0.0, -1.0), (0.0, -0.8)], 0.09), _WOOD),
        _body(np.concatenate([dome, scallops]), first),
        _detail(gore, second, 0.9),
        _detail(side, second, 0.9),
        _shine(-0.48, -0.50, 0.06, 0.20, 0.7, 0.35),
    )


DRAWERS: tuple[Callable[[Tones], Drawing], ...] = (
    apple,
    balloon,
    boat,
    car,
    fish,
    house,
    kite,
    mug,
    mushroom,
    rocket,
    sunflower,
    umbrella,
)
NAMES: tuple[str, ...] = tuple(draw.__name__ for draw in DRAWERS)


@lru_cache(maxsize=256)
def drawing(cls: int, tones: Tones) -> Drawing:
    """Return the drawing of a class; cached, because each pose that is tried needs it again."""
    return DRAWERS[cls](tones)
