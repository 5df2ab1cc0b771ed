"""Messages about sources that are no picture: never longer than a screen, each with the way out."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from yoloom.errors import InputError
from yoloom.images.decode import decode_image
from yoloom.sources.image_files import expand

SCREEN = 500  # characters


def png(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    Image.new("RGB", (9, 9)).save(folder / "a.png")
    return folder / "a.png"


def message_of(source: Any) -> str:
    with pytest.raises(InputError) as error:
        list(map(decode_image, expand(source)))
    assert len(str(error.value)) < SCREEN
    return str(error.value)


@pytest.mark.parametrize("size", [400, 5_000, 300_000])
@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "https://"])
def test_text_that_is_no_path(size: int, prefix: str) -> None:
    message = message_of(prefix + base64.b64encode(os.urandom(size)).decode())
    assert "characters" in message


def test_base64_has_a_way_out() -> None:
    assert "base64.b64decode" in message_of("iVBORw0KGgo" + "A" * 5000)


@pytest.mark.parametrize("use", [lambda image: image.close(), lambda image: image.fp.close()])
def test_pil_image_whose_file_is_closed(tmp_path: Path, use: Callable[[Any], None]) -> None:
    image = Image.open(png(tmp_path))
    use(image)
    assert "closed" in message_of(image)


def test_pil_image_after_its_with(tmp_path: Path) -> None:
    with Image.open(png(tmp_path)) as image:
        pass
    assert "closed" in message_of(image)


def test_pattern_in_a_folder_with_brackets(tmp_path: Path) -> None:
    png(tmp_path / "[x]")
    message = message_of(f"{tmp_path}/[x]/*.png")
    assert repr(f"{tmp_path}/[[]x]") in message
    assert len(expand(f"{tmp_path}/[[]x]/*.png")) == 1
    assert "stand for one character" not in message_of(f"{tmp_path}/no*.png")


@pytest.mark.parametrize(
    ("name", "data", "hint"),
    [
        ("._a.png", b"\0\5\x16\7" + b"\0" * 90, "dot_clean"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "pillow-heif"),
        ("a.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "pillow-heif"),
        ("a.jpg", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        ("a.jpg", b"<!DOCTYPE html><html></html>", "web page"),
        ("a.pdf", b"%PDF-1.7", "render"),
        ("a.svg", b"<svg></svg>", "render"),
    ],
)
def test_files_that_look_like_something_else(tmp_path: Path, name: str, data: bytes, hint: str) -> None:
    (tmp_path / name).write_bytes(data)
    assert hint in message_of(tmp_path / name)


def test_a_list_for_one_image_is_sent_to_predict() -> None:
    assert "Several images are for predict or map" in message_of([[b"a", b"b"]])


@pytest.mark.parametrize("make", [io.BytesIO, lambda data: io.BufferedReader(io.BytesIO(data))])
def test_open_files(make: Callable[[bytes], Any]) -> None:
    assert "source.read()" in message_of(make(b"abc"))
