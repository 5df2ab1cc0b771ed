"""What is asked of a target: pictures, each with options, drawn from a seed."""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Options = Mapping[str, Any]
Grid = Mapping[str, Sequence[Any]]
"""Option -> the values that it may have."""

MAX_TRIES = 20  # draws for each set of options


@dataclass(frozen=True)
class Picture:
    """pixels: (H, W, 3) uint8 BGR, given to the target as it is, by all callers. Its bytes are never changed by us."""

    name: str
    pixels: NDArray[np.uint8]

    def digest(self) -> bytes:
        return hashlib.blake2b(self.pixels.tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class Case:
    """One picture with options, by number. Immutable: shared freely."""

    number: int
    picture: Picture
    options: Options

    def __str__(self) -> str:
        asked = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.picture.name}({asked})"


def most_pictures(grid: Grid, count: int) -> int:
    """How many pictures `count` cases can have: where there are options, about as many as sets of them."""
    return max(1, count // math.isqrt(count)) if grid else count


def draw_cases(pictures: Sequence[Picture], grid: Grid, count: int, seed: int) -> list[Case]:
    """About `count` cases: all pictures, each with the same sets of options; the same for the same seed.

    Each picture has every set, so that an answer for somebody else's options is always among the references. Every case
    states all options of the grid: nothing depends on what a call before it asked for.
    """
    rng = random.Random(f"{seed}/cases")  # noqa: S311  must repeat, and guards nothing
    sets = _option_sets(rng, grid, max(1, count // len(pictures)))
    asked = itertools.product(pictures, sets)
    return [Case(number, picture, options) for number, (picture, options) in enumerate(asked)]


def _option_sets(rng: random.Random, grid: Grid, count: int) -> list[Options]:
    """Up to `count` different ones."""
    found: dict[str, Options] = {}
    for _ in range(MAX_TRIES * count):
        options = {name: rng.choice(list(values)) for name, values in grid.items()}
        found.setdefault(repr(options), options)
        if len(found) == count:
            break
    return list(found.values())
