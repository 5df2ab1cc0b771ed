"""Files, folders, patterns and lists → the single images they stand for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from yoloom.errors import InputError, NoImagesFound, SourceNotFound, SourceWarning, UnsupportedSource
from yoloom.sources.image_files import IMAGE_SUFFIXES, FoundFile, expand, expand_lazily


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.JPG", "a.png", "c.md", "10.webp", "9.webp"):
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
        expand(str(folder / "*.md"))
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


# ---- Files that nobody named


def test_what_is_found_is_marked_and_what_is_named_is_not(folder: Path) -> None:
    assert all(isinstance(one, FoundFile) for one in expand(folder) + expand(str(folder / "*.webp")))
    assert not any(isinstance(one, FoundFile) for one in expand([folder / "a.png", str(folder / "b.JPG")]))


@pytest.mark.parametrize("source", ["folder", "pattern", "deep pattern"])
def test_videos_that_are_left_out_are_counted(folder: Path, source: str) -> None:
    """Seen to fail: a folder of three pictures and a video gave three results, without a word."""
    for name in ("d.mp4", "e.MKV"):
        (folder / name).touch()
    with pytest.warns(SourceWarning, match=r"2 videos left out, such as d\.mp4: this version reads pictures only"):
        expand({"folder": folder, "pattern": folder / "*", "deep pattern": folder / "**" / "*"}[source])


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "LIST.TXT", "header.csv"])
def test_a_list_of_sources_is_read(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail: the list was decoded as a picture. Entries are found from here, and from beside the list."""
    (folder / "deeper" / "lists").mkdir()
    monkeypatch.chdir(folder)
    entries = ["b.JPG", "deeper", "../../a.png", "*.webp", "no.jpg"]
    glue = "\n" if name.lower().endswith(".txt") else ","
    path = folder / "deeper" / "lists" / name
    path.write_text("\ufeff" + "source\n" * (name == "header.csv") + glue.join(["", *entries, " "]), encoding="utf-8")
    found = expand(path)
    assert names(found) == ["10.webp", "9.webp", "a.png", "b.JPG", "e.png", "no.jpg"]
    assert all(isinstance(one, FoundFile) for one in found)
    assert (folder / "a.png").samefile(found[2])


@pytest.mark.parametrize(("content", "error"), [(b"\n \n", NoImagesFound), (b"\xff\xfe\0", SourceNotFound)])
def test_a_list_that_names_nothing(tmp_path: Path, content: bytes, error: type[InputError]) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(error, match="list"):
        expand(tmp_path / "list.txt")


@pytest.mark.parametrize("source", [0, 1, "0", "12", "screen", "cameras.streams"])
def test_cameras_are_called_cameras(source: object) -> None:
    """Seen to fail: `0` was "no such image: 0", or "got builtins.int"."""
    with pytest.raises(UnsupportedSource, match=r"cameras and screens are not read .* cv2\.VideoCapture"):
        expand(source)


def test_a_file_that_is_called_like_a_camera_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0").touch()
    monkeypatch.chdir(tmp_path)
    assert expand("0") == ["0"]
