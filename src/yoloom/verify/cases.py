"""Draws the cases that a target is asked for: pictures, each with options, from a seed."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.assets import PICTURES
from yoloom.images.decode import decode_image
from yoloom.sources.image_files import expand

Options = Mapping[str, Any]
Grid = Mapping[str, Sequence[Any]]
"""Option → the values that it may have."""

MAX_TRIES = 20  # draws for each set of options

SIZES_WH = ((640, 480), (480, 640), (480, 480), (640, 360))
"""Several shapes, because a cache for one of them is a usual thing to get mixed up."""


@dataclass(frozen=True)
class Picture:
    """One picture, given to the target as it is, by all callers. Immutable, unless the target writes to it.

    Attributes:
        name: of its file, or a number.
        pixels: (H, W, 3) uint8 BGR.
    """

    name: str
    pixels: NDArray[np.uint8]

    def digest(self) -> bytes:
        """Return 16 bytes that stand for the pixels."""
        return hashlib.blake2b(self.pixels.tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class Case:
    """One picture with options, by number. Immutable: shared freely."""

    number: int
    picture: Picture
    options: Options

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.picture.name}({options})"


@dataclass(frozen=True)
class FoundPictures:
    """The pictures of a check, and how many more there were."""

    pictures: list[Picture]
    left_out: int


def find_pictures(images: Any, most: int, seed: int) -> FoundPictures:
    """Decode the pictures of a check.

    Args:
        images: paths, folders, patterns, arrays or encoded bytes, one or a list; None for the bundled ones.
        most: pictures to keep. Of more than these, that many are drawn, and only they are decoded.
        seed: of that draw.

    Raises:
        InputError: there is no picture, or one can not be read.
    """
    if images is None:
        bundled = [
            Picture(path.stem, np.asarray(cv2.resize(decode_image(path), size_wh), np.uint8))
            for path, size_wh in zip(PICTURES, itertools.cycle(SIZES_WH), strict=False)
        ]
        return FoundPictures(bundled[:most], 0)
    sources = list(enumerate(expand(images)))
    rng = random.Random(f"{seed}/pictures")  # noqa: S311  must repeat, and guards nothing
    pictures = []
    for number, source in rng.sample(sources, min(len(sources), most)):
        name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"image {number}"
        pictures.append(Picture(name, decode_image(source)))
    return FoundPictures(pictures, len(sources) - len(pictures))


def most_pictures(grid: Grid, count: int) -> int:
    """Return how many pictures `count` cases can have: where there are options, about as many as sets of them."""
    return max(1, count // math.isqrt(count)) if grid else count


def draw_cases(pictures: Sequence[Picture], grid: Grid, count: int, seed: int) -> list[Case]:
    """Draw about `count` cases: all pictures, each with the same sets of options; the same for the same seed.

    Each picture has every set, so that an answer for another caller's options is always among the references. Every
    case states all options of the grid: nothing depends on what a call before it asked for.
    """
    rng = random.Random(f"{seed}/cases")  # noqa: S311
    most = max(1, count // len(pictures))
    sets: dict[str, Options] = {}
    for _ in range(MAX_TRIES * most):
        options = {name: rng.choice(list(values)) for name, values in grid.items()}
        sets.setdefault(repr(options), options)
        if len(sets) == most:
            break
    product = itertools.product(pictures, sets.values())
    return [Case(number, picture, options) for number, (picture, options) in enumerate(product)]
