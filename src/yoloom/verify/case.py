"""What is asked of a target: pictures, each with options, drawn from a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Options = Mapping[str, Any]
Grid = Mapping[str, Sequence[Any]]
"""Option -> the values that it may have."""

MAX_TRIES = 20  # draws of options that nobody has yet for a picture


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


def draw_cases(pictures: Sequence[Picture], grid: Grid, count: int, seed: int) -> list[Case]:
    """Up to `count` different cases, the same for the same seed.

    Pictures take turns in a drawn order, so each has several sets of options, or, when there are more than `count`,
    some are left out. Every case states all options of the grid: nothing depends on what a call before it asked for.
    """
    rng = random.Random(f"{seed}/cases")  # noqa: S311  must repeat, and guards nothing
    turns = rng.sample(list(pictures), len(pictures))
    cases: list[Case] = []
    taken: set[tuple[str, str]] = set()
    for turn in range(count):
        picture = turns[turn % len(turns)]
        options = _new_options(rng, grid, picture, taken)
        if options is not None:
            cases.append(Case(len(cases), picture, options))
    return cases


def _new_options(rng: random.Random, grid: Grid, picture: Picture, taken: set[tuple[str, str]]) -> Options | None:
    for _ in range(MAX_TRIES):
        options = {name: rng.choice(list(values)) for name, values in grid.items()}
        key = (picture.name, repr(options))
        if key not in taken:
            taken.add(key)
            return options
    return None
