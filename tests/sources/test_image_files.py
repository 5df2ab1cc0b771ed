"""Files, folders, patterns and lists → the single images they stand for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from yoloom.errors import InputError, NoImagesFound, SourceNotFound, UnsupportedSource
from yoloom.sources.image_files import IMAGE_SUFFIXES, expand, expand_lazily


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "c.txt", "d.mp4", "10.webp", "9.webp"):
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "e.png").write_bytes(b"?")
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def names(sources: list[object]) -> list[str]:
    return [Path(str(source)).name for source in sources]


def test_single_image_stays_what_it_was(folder: Path) -> None:
    array, text = np.zeros((2, 2), np.uint8), str(folder / "a.png")
    assert expand(text) == [text]
    assert expand(folder / "a.png") == [folder / "a.png"]
    assert expand(array)[0] is array
    assert expand(b"bytes") == [b"bytes"]
    assert expand(None) == [None]  # what it is not, decoding says


def test_missing_file_fails_when_it_is_read(tmp_path: Path) -> None:
    """So that in a list the others get their results."""
    assert expand(tmp_path / "no.jpg") == [tmp_path / "no.jpg"]


def test_folder_is_sorted_and_flat(folder: Path) -> None:
    assert names(expand(folder)) == ["10.webp", "9.webp", "a.png", "b.JPG"]
    assert expand(str(folder)) == expand(folder)
    assert expand(str(folder) + os.sep) == expand(folder)


def test_patterns(folder: Path) -> None:
    assert names(expand(str(folder / "*.webp"))) == ["10.webp", "9.webp"]
    assert names(expand(folder / "*.webp")) == ["10.webp", "9.webp"]
    assert names(expand(str(folder / "**" / "*.png"))) == ["a.png", "e.png"]
    assert names(expand(str(folder / "[ab].*"))) == ["a.png", "b.JPG"]
    assert names(expand(str(folder / "*"))) == ["10.webp", "9.webp", "a.png", "b.JPG"]


def test_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "photo[1].jpg"
    path.write_bytes(b"?")
    assert expand(path) == [path]


def test_lists_mix_everything(folder: Path) -> None:
    array = np.zeros((2, 2), np.uint8)
    mixed = expand([str(folder / "*.webp"), array, folder, folder / "a.png"])
    assert len(mixed) == 2 + 1 + 4 + 1
    assert mixed[2] is array
    assert expand((folder,)) == expand(folder)


def test_lazily_takes_one_source_at_a_time(folder: Path) -> None:
    taken = []

    def sources() -> Iterator[Path]:
        for source in (folder / "a.png", folder):
            taken.append(source)
            yield source

    images = expand_lazily(sources())
    assert next(images) == folder / "a.png"
    assert len(taken) == 1
    assert len(list(images)) == 4


def test_nothing_there(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(NoImagesFound, match="no images in this folder"):
        expand(folder / "empty")
    with pytest.raises(SourceNotFound, match="nothing matches"):
        expand(str(folder / "*.bmp"))
    with pytest.raises(NoImagesFound, match="1 files match, none of them an image"):
        expand(str(folder / "*.txt"))
    for empty in ([], ()):
        with pytest.raises(NoImagesFound, match="list of sources is empty"):
            expand(empty)


@pytest.mark.parametrize(
    "address", ["https://example.com/a.jpg", "http://example.com/*.jpg", "rtsp://camera/1", "tcp://x"]
)
def test_addresses(address: str) -> None:
    with pytest.raises(UnsupportedSource, match="addresses are not read"):
        expand(address)


@pytest.mark.parametrize("name", ["film.mp4", "FILM.AVI", "film.mkv", "film.webm"])
def test_videos(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsupportedSource, match="videos are not read"):
        expand(tmp_path / name)


@pytest.mark.parametrize("text", ["", "\0", "a\0*.jpg", "[", "x" * 5000, "x" * 5000 + "*"])
def test_strange_texts(text: str) -> None:
    """They name nothing; expanding says so in its own words or leaves it to decoding."""
    with contextlib.suppress(InputError):
        assert expand(text) == [text]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_folder_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir(mode=0)
    with pytest.raises(InputError):
        expand(tmp_path / "secret")


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


def test_an_empty_text_is_not_the_current_folder() -> None:
    with pytest.raises(SourceNotFound, match="empty text"):
        expand("")


def test_a_folder_that_can_not_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceNotFound, match="can not be read: Permission denied"):
        expand(tmp_path)


def test_a_link_to_nowhere_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "gone.jpg")
    assert names(expand(tmp_path)) == ["a.jpg"]
