"""A file or a folder takes the place of another one whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from yoloom.system.files import file_identity, files_bytes, replacing
from yoloom.testing import barrier_run


def left_in(folder: Path) -> set[str]:
    return set(os.listdir(folder))


def write_folder(part: Path, content: str) -> None:
    part.mkdir()
    (part / "file").write_text(content)


def interrupted(write: Callable[[Path, str], object], part: Path) -> None:
    write(part, "new")
    raise KeyboardInterrupt


def test_a_new_file(tmp_path: Path) -> None:
    with replacing(tmp_path / "new.txt") as part:
        part.write_text("new")
        assert left_in(tmp_path) == {part.name}
    assert (tmp_path / "new.txt").read_text() == "new"
    assert left_in(tmp_path) == {"new.txt"}


def test_a_file_in_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_folder_in_the_place_of_another(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    write_folder(path, "old")
    (path / "older").touch()
    with replacing(path) as part:
        write_folder(part, "new")
        assert left_in(path) == {"file", "older"}
    assert left_in(tmp_path) == {"folder"}
    assert left_in(path) == {"file"}
    assert (path / "file").read_text() == "new"


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_error_leaves_the_old_one(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "it"
    write = write_folder if is_folder else Path.write_text
    write(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        interrupted(write, part)
    assert left_in(tmp_path) == {"it"}
    assert (path / "file" if is_folder else path).read_text() == "old"


@pytest.mark.parametrize("is_folder", [False, True])
def test_nothing_written_leaves_the_old_one(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "it"
    (write_folder if is_folder else Path.write_text)(path, "old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert left_in(tmp_path) == {"it"}
    assert (path / "file" if is_folder else path).read_text() == "old"


def test_many_writers_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write(index: int) -> None:
        for _ in range(20):
            with replacing(path) as part:
                part.write_text(str(index) * 1000)
            assert len(set(path.read_text())) == 1

    barrier_run(8, write)
    assert left_in(tmp_path) == {"file"}


def test_versions_of_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("12345")
    before = file_identity((path,))
    assert file_identity((path,)) == before
    with replacing(path) as part:
        part.write_text("54321")
    assert file_identity((path,)) != before
    assert files_bytes((path, path, tmp_path / "gone")) == 10
