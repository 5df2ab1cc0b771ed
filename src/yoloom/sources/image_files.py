"""Paths, folders and patterns → the images they stand for, in a fixed order."""

from __future__ import annotations

import csv
import glob
import os
import stat
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yoloom.errors import InputError, NoImagesFound, SourceNotFound, SourceWarning, UnsupportedSource
from yoloom.sources.opened import images_of_tensor, is_tensor
from yoloom.values import counted

IMAGE_SUFFIXES = frozenset(
    f".{name}"
    for name in "avif bmp dib gif jp2 jpe jpeg jpg mpo pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for name in "asf avi m4v mkv mov mp4 mpeg mpg ts wmv webm".split()  # noqa: SIM905
)

LIST_SUFFIXES = frozenset({".txt", ".csv"})
CAMERAS = "cameras and screens are not read by this version; pass each frame, e.g. of cv2.VideoCapture(0).read()."

_LONGEST_TEXT = 300  # characters of a path that a message prints


@dataclass(frozen=True)
class FoundFile(os.PathLike[str]):
    """A file that its caller did not name: found in a folder, by a pattern, or in a list of sources.

    Thread safety: any number of threads (immutable).
    """

    path: str

    def __fspath__(self) -> str:
        return self.path

    __str__ = __fspath__


def expand(source: Any) -> list[Any]:
    """Return the single images that a source stands for.

    Folders and patterns are sorted by path, and not searched below their first level unless the pattern says `**`.

    Args:
        source: an image, which is returned as it is; a folder or a pattern, which stands for the images in it; a .txt
            or .csv file, which lists sources; a tensor, which may hold several images; or a list of those.

    Returns:
        Images: `FoundFile` for those that the caller did not name, `TensorImage` for those of tensors.

    Raises:
        SourceNotFound: for a pattern that matches nothing, or a folder that can not be read.
        NoImagesFound: for an empty list, or no image in a folder or among the matches.
        UnsupportedSource: for an address, a video or a camera.
        InvalidImage: for a tensor that holds no images.
    """
    if isinstance(source, (list, tuple)):
        if not source:
            raise NoImagesFound("the list of sources is empty.")
        return [image for item in source for image in _expand_item(item)]
    return _expand_item(source)


def expand_lazily(sources: Iterable[Any]) -> Iterator[Any]:
    """Expand one source at a time; a source that stands for nothing gives its error instead."""
    for source in sources:
        try:
            images = _expand_item(source)
        except InputError as error:
            images = [error]
        yield from images


def _expand_item(source: Any, folder: Path | None = None) -> list[Any]:
    """folder: of the list that names the source, for one that is not found from where the program runs."""
    if type(source) is int:
        raise UnsupportedSource(f"{source}: {CAMERAS}")
    if not isinstance(source, (str, os.PathLike)):
        return [*images_of_tensor(source)] if is_tensor(source) else [source]
    text = os.fsdecode(source)
    path = Path(text)
    try:
        exists, is_folder = path.exists(), path.is_dir()
    except (OSError, ValueError):  # a name that is too long or closed to us, or no name: reading it will tell
        return [source]
    if not exists or not text:  # the path of an empty text is the folder where the program runs
        _check_text(text)
    if is_folder:
        return _images_in(path)
    if not exists and glob.has_magic(text):
        return _matches(text)
    if exists and path.suffix.lower() in LIST_SUFFIXES:
        return [image for item in _listed(path) for image in _expand_item(item, path.parent)]
    if path.suffix.lower() in VIDEO_SUFFIXES:
        raise UnsupportedSource(
            f"{text}: videos are not read by this version; pass the frames, e.g. through model.map."
        )
    if folder is not None:
        return [FoundFile(text if exists else os.fspath(folder / text))]
    return [source]


def _check_text(text: str) -> None:
    """Raise for a text that names something else than a file."""
    if not text:
        raise SourceNotFound("expected the path of an image, a folder or a pattern, got an empty text.")
    if "://" in text:
        raise UnsupportedSource(
            f"{_brief(text)}: addresses are not read. Fetch the picture and pass its bytes: "
            "model(urllib.request.urlopen(address, timeout=10).read())."
        )
    if text.isdecimal() or text == "screen" or text.endswith(".streams"):
        raise UnsupportedSource(f"{_brief(text)}: {CAMERAS}")


def _listed(path: Path) -> list[str]:
    """Read the sources that a file names: one in each line of a .txt, one in each cell of a .csv."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceNotFound(f"{path}: expected a list of sources, one in each line: {error}.") from error
    cells = [cell for row in csv.reader(lines) for cell in row] if path.suffix.lower() == ".csv" else lines
    names = [name.strip() for name in cells if name.strip()]
    names = names[1:] if path.suffix.lower() == ".csv" and names[:1] == ["source"] else names
    if not names:
        raise NoImagesFound(f"{path}: this list names no source.")
    return sorted(names)  # as Ultralytics takes them


def _images_in(folder: Path) -> list[FoundFile]:
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise SourceNotFound(f"{folder}: this folder can not be read: {error.strerror or error}.") from error
    images = [FoundFile(os.fspath(path)) for path in paths if _is_image(path)]
    _warn_of_videos(os.fspath(folder), paths)
    if not images:
        raise NoImagesFound(f"{folder}: no images in this folder (looked for {' '.join(sorted(IMAGE_SUFFIXES))}).")
    return images


def _warn_of_videos(source: str, paths: Sequence[Path]) -> None:
    videos = [path for path in paths if path.suffix.lower() in VIDEO_SUFFIXES]
    if videos:
        left_out = f"{_brief(source)}: {counted(len(videos), 'video')} left out, such as {videos[0].name}"
        warnings.warn(f"{left_out}: this version reads pictures only; pass the frames.", SourceWarning, stacklevel=5)


def _matches(pattern: str) -> list[FoundFile]:
    paths = sorted(Path(match) for match in glob.glob(pattern, recursive=True))  # noqa: PTH207  patterns may be absolute
    images = [FoundFile(os.fspath(path)) for path in paths if _is_image(path)]
    _warn_of_videos(pattern, paths)
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
