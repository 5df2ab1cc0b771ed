"""What the targets are shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from yoloom.errors import NoImagesFound
from yoloom.images.decode import decode_image
from yoloom.scenes import scene
from yoloom.sources.files import expand
from yoloom.verify.case import Picture

SCENE_SEEDS = range(3_000_200, 3_000_206)
SCENE_SIZES_WH = ((640, 480), (480, 640), (480, 480), (640, 360))
"""Several shapes, because what is cached for one is a usual thing to get mixed up."""


def find_pictures(images: Any) -> list[Picture]:
    """The pictures of paths, folders, patterns, arrays or encoded bytes, one or a list; bundled scenes for None.

    Raises InputError.
    """
    if images is None:
        return _scenes()
    sources = expand(images)
    if not sources:
        raise NoImagesFound("the list of images is empty.")
    return [Picture(_name(source, number), decode_image(source)) for number, source in enumerate(sources)]


def _scenes() -> list[Picture]:
    sizes: Sequence[tuple[int, int]] = SCENE_SIZES_WH
    return [
        Picture(f"scene-{seed}", scene(seed, sizes[number % len(sizes)]).image.copy())
        for number, seed in enumerate(SCENE_SEEDS)
    ]


def _name(source: Any, number: int) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else f"image {number}"
