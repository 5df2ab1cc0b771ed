"""Paths, folders and patterns → the images they stand for, in a fixed order."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from yoloom.errors import InputError, NoImagesFound, SourceNotFound, UnsupportedSource

IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in "avif bmp dib gif jp2 jpe jpeg jpg mpo pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in "asf avi m4v mkv mov mp4 mpeg mpg ts wmv webm".split()  # noqa: SIM905
)


def expand(source: Any) -> list[Any]:
    """The single images that `source` stands for: itself, a folder's images, a pattern's matches, a list's items.

    Folders and patterns are sorted by path and not searched below their first level (unless the pattern says `**`).
    Raises SourceNotFound, NoImagesFound or UnsupportedSource.
    """
    if isinstance(source, (list, tuple)):
        if not source:
            raise NoImagesFound("the list of sources is empty.")
        return [image for item in source for image in _expand_item(item)]
    return _expand_item(source)


def expand_lazily(sources: Iterable[Any]) -> Iterator[Any]:
    """Like `expand`, one source at a time. A source that stands for nothing gives its error instead."""
    for source in sources:
        yield from _expand_or_error(source)


def _expand_or_error(source: Any) -> list[Any]:
    try:
        return _expand_item(source)
    except InputError as error:
        return [error]


def _expand_item(source: Any) -> list[Any]:
    if not isinstance(source, (str, os.PathLike)):
        return [source]
    text = os.fsdecode(source)
    if not text:
        raise SourceNotFound("expected the path of an image, a folder or a pattern, got an empty text.")
    if "://" in text:
        raise UnsupportedSource(f"{text}: addresses are not read; fetch the picture and pass its bytes.")
    path = Path(text)
    try:
        is_folder, is_pattern = path.is_dir(), not path.exists() and glob.has_magic(text)
    except OSError:  # a name that is too long, a folder on the way that is closed to us: reading it will tell
        is_folder = is_pattern = False
    if is_folder:
        return _images_in(path)
    return _matches(text) if is_pattern else [_single(source, text)]


def _single(source: Any, text: str) -> Any:
    if Path(text).suffix.lower() in VIDEO_SUFFIXES:
        raise UnsupportedSource(
            f"{text}: videos are not read by this version; pass the frames, e.g. through model.map."
        )
    return source


def _images_in(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if _is_image(path))
    except OSError as error:
        raise SourceNotFound(f"{folder}: this folder can not be read: {error.strerror or error}.") from error
    if not found:
        raise NoImagesFound(f"{folder}: no images in this folder (looked for {' '.join(sorted(IMAGE_SUFFIXES))}).")
    return found


def _is_image(path: Path) -> bool:
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nowhere, a file that is closed to us: reading it will tell
        return True


def _matches(pattern: str) -> list[Path]:
    found = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    images = [path for path in found if _is_image(path)]
    if not found:
        raise SourceNotFound(f"{pattern}: nothing matches this pattern.")
    if not images:
        raise NoImagesFound(f"{pattern}: {len(found)} files match, none of them an image.")
    return images
