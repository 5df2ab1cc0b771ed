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

_LONGEST_TEXT = 300  # characters of a path that a message prints


def expand(source: Any) -> list[Any]:
    """Return the single images that a source stands for.

    Folders and patterns are sorted by path, and not searched below their first level unless the pattern says `**`.

    Args:
        source: an image, which is returned as it is; a folder or a pattern, which stands for the images in it; or a
            list of those.

    Raises:
        SourceNotFound: for a pattern that matches nothing, or a folder that can not be read.
        NoImagesFound: for an empty list, or no image in a folder or among the matches.
        UnsupportedSource: for an address, or a video.
    """
    if isinstance(source, (list, tuple)):
        if not source:
            raise NoImagesFound("the list of sources is empty.")
        return [image for item in source for image in _expand_item(item)]
    return _expand_item(source) if isinstance(source, (str, os.PathLike)) else [source]


def expand_lazily(sources: Iterable[Any]) -> Iterator[Any]:
    """Expand one source at a time; a source that stands for nothing gives its error instead."""
    for source in sources:
        try:
            images = _expand_item(source)
        except InputError as error:
            images = [error]
        yield from images


def _expand_item(source: Any) -> list[Any]:
    if not isinstance(source, (str, os.PathLike)):
        return [source]
    text = os.fsdecode(source)
    if not text:
        raise SourceNotFound("expected the path of an image, a folder or a pattern, got an empty text.")
    if "://" in text:
        raise UnsupportedSource(f"{_brief(text)}: addresses are not read; fetch the picture and pass its bytes.")
    path = Path(text)
    try:
        is_folder, is_pattern = path.is_dir(), not path.exists() and glob.has_magic(text)
    except OSError:  # a name that is too long, a folder on the way that is closed to us: reading it will tell
        is_folder = is_pattern = False
    if is_folder:
        return _images_in(path)
    if is_pattern:
        return _matches(text)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise UnsupportedSource(
            f"{text}: videos are not read by this version; pass the frames, e.g. through model.map."
        )
    return [source]


def _images_in(folder: Path) -> list[Path]:
    try:
        images = sorted(path for path in folder.iterdir() if _is_image(path))
    except OSError as error:
        raise SourceNotFound(f"{folder}: this folder can not be read: {error.strerror or error}.") from error
    if not images:
        raise NoImagesFound(f"{folder}: no images in this folder (looked for {' '.join(sorted(IMAGE_SUFFIXES))}).")
    return images


def _matches(pattern: str) -> list[Path]:
    paths = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    images = [path for path in paths if _is_image(path)]
    if not paths:
        folder = os.path.dirname(pattern)  # noqa: PTH120  a Path would drop what `glob` keeps
        hint = ""
        if glob.has_magic(folder) and os.path.isdir(folder):  # noqa: PTH112
            hint = (
                " Brackets in a pattern stand for one character; the folder of that name is "
                f"{_brief(glob.escape(folder))!r} in a pattern."
            )
        raise SourceNotFound(f"{_brief(pattern)}: nothing matches this pattern.{hint}")
    if not images:
        raise NoImagesFound(f"{pattern}: {len(paths)} files match, none of them an image.")
    return images


def _brief(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:40]}... ({len(text)} characters)"


def _is_image(path: Path) -> bool:
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return False
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nowhere, a file that is closed to us: reading it will tell
        return True
