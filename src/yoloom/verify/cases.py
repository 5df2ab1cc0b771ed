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

CROPPED = 1 / 2  # of the pictures, at most
SMALLEST_CROP = 0.6  # of a side; less would leave little to be found


@dataclass(frozen=True)
class Picture:
    """One picture, given to the target as it is, by all callers. Immutable, unless the target writes to it.

    Attributes:
        name: of its file, or a number.
        pixels: (H, W, 3) uint8 BGR.
    """

    name: str
    pixels: NDArray[np.uint8]

    def crop(self, top: int, left: int, size_hw: tuple[int, int]) -> Picture:
        """Return a copy of a part."""
        height, width = size_hw
        part = self.pixels[top : top + height, left : left + width].copy()
        return Picture(f"{self.name}[{top}:{top + height}, {left}:{left + width}]", part)

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
    """The pictures of a check, and how many more there were.

    Attributes:
        whole: as they were given.
        cropped: parts of them, in sizes of which the widths are odd. Each size comes twice where there is room, so that
            there are two pictures to mix up.
        left_out: pictures that were given and are not used.
    """

    whole: list[Picture]
    cropped: list[Picture]
    left_out: int

    @property
    def pictures(self) -> list[Picture]:
        """Return all of them."""
        return [*self.whole, *self.cropped]


class NewSizes:
    """Crops pictures to sizes that none before had. Thread safety: one thread at a time."""

    def __init__(self, pictures: Sequence[Picture], seed: str) -> None:
        """Note the sizes of these pictures: a crop has another one, unless they have so few pixels that all are used.

        Args:
            pictures: to crop.
            seed: of sizes and places.
        """
        self._pictures = pictures
        self._rng = random.Random(seed)  # noqa: S311  must repeat, and guards nothing
        self._used = {picture.pixels.shape[:2] for picture in pictures}
        self._next = 0

    def crop(self, count: int) -> list[Picture]:
        """Return `count` crops of one size, of the next pictures in turn: an odd width, and any height."""
        chosen = [self._pictures[(self._next + index) % len(self._pictures)] for index in range(count)]
        self._next += count
        most_hw = [min(picture.pixels.shape[axis] for picture in chosen) for axis in (0, 1)]
        for _ in range(MAX_TRIES):
            height, width = (self._rng.randint(max(1, int(SMALLEST_CROP * most)), most) for most in most_hw)
            size_hw = height, width - (width + 1) % 2 or 1
            if size_hw not in self._used:
                break
        self._used.add(size_hw)
        crops = []
        for picture in chosen:
            top, left = (self._rng.randint(0, picture.pixels.shape[axis] - size_hw[axis]) for axis in (0, 1))
            crops.append(picture.crop(top, left, size_hw))
        return crops


def find_pictures(images: Any, most: int, seed: int) -> FoundPictures:
    """Decode the pictures of a check, and crop some of them.

    Args:
        images: paths, folders, patterns, arrays or encoded bytes, one or a list; None for the bundled ones.
        most: pictures to have, with crops. Of more than these, some are drawn, and only they are decoded.
        seed: of that draw, and of the crops.

    Raises:
        InputError: there is no picture, or one can not be read.
    """
    most_whole = most - int(CROPPED * most)
    if images is None:
        whole = [
            Picture(path.stem, np.asarray(cv2.resize(decode_image(path), size_wh), np.uint8))
            for path, size_wh in zip(PICTURES[:most_whole], itertools.cycle(SIZES_WH), strict=False)
        ]
        left_out = 0
    else:
        sources = list(enumerate(expand(images)))
        rng = random.Random(f"{seed}/pictures")  # noqa: S311
        whole = []
        for number, source in rng.sample(sources, min(len(sources), most_whole)):
            name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"image {number}"
            whole.append(Picture(name, decode_image(source)))
        left_out = len(sources) - len(whole)
    sizes = NewSizes(whole, f"{seed}/crops")
    cropped = [crop for _ in range(0, most - len(whole), 2) for crop in sizes.crop(2)][: most - len(whole)]
    return FoundPictures(whole, cropped[: max(2, len(whole))], left_out)


def most_pictures(grid: Grid, count: int) -> int:
    """Return how many pictures `count` cases can have: where there are options, about as many as sets of them."""
    return max(1, count // math.isqrt(count)) if grid else count


def draw_option_sets(grid: Grid, most: int, seed: int) -> list[Options]:
    """Draw at most so many different sets of options. Each states all options: nothing depends on an earlier call."""
    rng = random.Random(f"{seed}/cases")  # noqa: S311
    sets: dict[str, Options] = {}
    for _ in range(MAX_TRIES * most):
        options = {name: rng.choice(list(values)) for name, values in grid.items()}
        sets.setdefault(repr(options), options)
        if len(sets) == most:
            break
    return list(sets.values())


def combine(pictures: Sequence[Picture], option_sets: Sequence[Options]) -> list[Case]:
    """Number all pairs: each picture with the same sets of options.

    So an answer for another caller's options is always among the references.
    """
    product = itertools.product(pictures, option_sets)
    return [Case(number, picture, options) for number, (picture, options) in enumerate(product)]
