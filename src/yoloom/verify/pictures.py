"""What the targets are shown."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yoloom.images.decode import decode_image
from yoloom.scenes import scene
from yoloom.sources.files import expand
from yoloom.verify.cases import Picture

SCENE_SEEDS = range(3_000_200, 3_000_206)
SCENE_SIZES_WH = ((640, 480), (480, 640), (480, 480), (640, 360))
"""Several shapes, because what is cached for one is a usual thing to get mixed up."""


@dataclass(frozen=True)
class Found:
    """left_out: how many more there were."""

    pictures: list[Picture]
    left_out: int


def find_pictures(images: Any, most: int, seed: int) -> Found:
    """The pictures of paths, folders, patterns, arrays or encoded bytes, one or a list; bundled scenes for None.

    Of more than `most`, that many are drawn, and only they are decoded. Raises InputError.
    """
    if images is None:
        return Found(_scenes()[:most], 0)
    sources = list(enumerate(expand(images)))
    rng = random.Random(f"{seed}/pictures")  # noqa: S311  must repeat, and guards nothing
    chosen = rng.sample(sources, min(len(sources), most))
    return Found(
        [Picture(_name(source, number), decode_image(source)) for number, source in chosen], len(sources) - len(chosen)
    )


def _scenes() -> list[Picture]:
    sizes: Sequence[tuple[int, int]] = SCENE_SIZES_WH
    return [
        Picture(f"scene-{seed}", scene(seed, sizes[number % len(sizes)]).image.copy())
        for number, seed in enumerate(SCENE_SEEDS)
    ]


def _name(source: Any, number: int) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"image {number}"
