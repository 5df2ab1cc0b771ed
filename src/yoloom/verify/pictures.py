"""What the targets are shown."""

from __future__ import annotations

import itertools
import os
import random
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from yoloom.assets import PICTURES
from yoloom.images.decode import decode_image
from yoloom.sources.image_files import expand
from yoloom.verify.cases import Picture

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
    """The pictures that come with the package, each at the next of the sizes."""
    return [
        Picture(path.stem, np.asarray(cv2.resize(decode_image(path), size_wh), np.uint8))
        for path, size_wh in zip(PICTURES, itertools.cycle(SCENE_SIZES_WH), strict=False)
    ]


def _name(source: Any, number: int) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"image {number}"
