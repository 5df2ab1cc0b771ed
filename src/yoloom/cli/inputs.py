"""What was named on the command line → the images it stands for, and what of it is not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yoloom.errors import InputError, SourceNotFound
from yoloom.sources.files import expand


@dataclass(frozen=True)
class Inputs:
    """Image files in the order asked, and for each source without any, why. Immutable: shared freely."""

    images: list[str]
    missing: dict[str, InputError]


def find_inputs(sources: Sequence[str]) -> Inputs:
    """Look for the images of every file, folder and pattern; one that is missing does not stop the others."""
    found = {source: _images(source) for source in sources}
    return Inputs(
        [image for source in sources if not isinstance(images := found[source], InputError) for image in images],
        {source: images for source, images in found.items() if isinstance(images, InputError)},
    )


def _images(source: str) -> list[str] | InputError:
    try:
        images = [os.fspath(image) for image in expand(source)]
    except InputError as error:
        return error
    if images == [source] and _is_missing(Path(source)):
        return SourceNotFound(f"no such image: {source}")
    return images


def _is_missing(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte in the name
        return True
    except OSError:  # a folder on the way that is closed to us: reading it will tell
        return False
    return False
