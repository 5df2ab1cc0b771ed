"""The bytes that a picture will take once it is decoded are known from its header, or said to be unknown."""

from __future__ import annotations

import io
import os
import struct
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

from yoloom.images.decode import decode_image
from yoloom.images.header import Encoded, decoded_nbytes

BGR = np.random.default_rng(0).integers(0, 256, (64, 97, 3), np.uint8)
NBYTES = 64 * 97 * 3
SUFFIXES = [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"]
avif = pytest.param(".avif", marks=pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF"))


def encoded(suffix: str, image: np.ndarray = BGR) -> bytes:
    if suffix in (".avif", ".gif"):  # OpenCV does not write every one of them everywhere
        file = io.BytesIO()
        Image.fromarray(image).save(file, suffix[1:])
        return file.getvalue()
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".ppm", ".jp2", avif])
def test_every_way_to_give_a_file(tmp_path: Path, suffix: str) -> None:
    content = encoded(suffix)
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(content)
    sources = [content, bytearray(content), memoryview(content), Encoded(content, "it"), path, str(path)]
    assert [decoded_nbytes(source) for source in sources] == [NBYTES] * len(sources)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("image", [BGR, BGR[:, :, 0], BGR[:1, :1], BGR[:3]], ids=["color", "gray", "pixel", "flat"])
def test_it_is_what_decoding_gives(suffix: str, image: np.ndarray) -> None:
    content = encoded(suffix, np.ascontiguousarray(image))
    assert decoded_nbytes(content) == decode_image(content).nbytes


def test_kinds_of_pixels_do_not_matter() -> None:
    for image in (np.dstack([BGR, BGR[:, :, 0]]), BGR.astype(np.uint16) << 8):
        content = encoded(".png", image)
        assert decoded_nbytes(content) == decode_image(content).nbytes == NBYTES


def test_a_turned_picture_has_as_many_bytes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(BGR).save(file, "JPEG", exif=exif)
    assert decode_image(file.getvalue()).shape == (97, 64, 3)
    assert decoded_nbytes(file.getvalue()) == NBYTES


def test_pil_images_that_are_not_read_yet() -> None:
    for suffix in (".png", ".jpg"):
        picture = Image.open(io.BytesIO(encoded(suffix)))
        assert decoded_nbytes(picture) == NBYTES
    for mode in ("L", "1", "RGBA", "CMYK", "I;16"):
        assert decoded_nbytes(Image.new(mode, (97, 64))) == NBYTES
    assert decoded_nbytes(Image.new("RGB", (0, 5))) is None


def test_pillow_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "PIL.Image")
    assert decoded_nbytes(object()) is None


@pytest.mark.parametrize("array", [BGR, BGR[:, :, 0], BGR[:, :, :1], np.dstack([BGR, BGR[:, :, 0]]), BGR[::-1]])
def test_arrays(array: np.ndarray) -> None:
    assert decoded_nbytes(array) == decode_image(array).nbytes == NBYTES
    assert decoded_nbytes(array.astype(np.uint16)) == NBYTES


@pytest.mark.parametrize(
    "source",
    [
        *(None, 5, [BGR], object(), Image, "no such file.png", "", "http://localhost/a.png", "a\0b.png", "x" * 5000),
        *(np.zeros(()), np.zeros(7), np.zeros((8, 8, 2)), BGR[None], np.zeros((0, 5, 3), np.uint8)),
        *(b"", b"\0", b"not an image" * 99, b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF89a", b"RIFF"),
    ],
)
def test_what_has_no_size(source: Any) -> None:
    assert decoded_nbytes(source) is None


@pytest.mark.parametrize("suffix", [*SUFFIXES, avif])
def test_cut_short_it_tells_the_truth_or_nothing(suffix: str) -> None:
    content = encoded(suffix)
    lengths = [*range(64), *range(64, len(content), max(1, len(content) // 50))]
    assert {decoded_nbytes(content[:length]) for length in lengths} <= {None, NBYTES}


@given(st.sampled_from(SUFFIXES), st.data())
def test_damaged_headers_raise_nothing(suffix: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(suffix, BGR[:8, :8]))
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, min(len(damaged) - 1, 60)))] = data.draw(st.integers(0, 255))
    nbytes = decoded_nbytes(damaged)
    assert nbytes is None or nbytes > 0


def test_a_bomb_says_its_size() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    assert decoded_nbytes(bomb) == 30_000 * 30_000 * 3


def test_a_released_memoryview_and_a_folder(tmp_path: Path) -> None:
    view = memoryview(encoded(".png"))
    view.release()
    assert decoded_nbytes(view) is None
    assert decoded_nbytes(tmp_path) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert decoded_nbytes(tmp_path / "a.jpg") is None


@pytest.mark.parametrize("source", [BGR, *map(encoded, SUFFIXES)], ids=["array", *SUFFIXES])
def test_it_is_quick(source: Any) -> None:
    """Under 0.1 ms, at its best of many: it is computed for each request."""
    decoded_nbytes(source)

    def seconds() -> float:
        started = time.perf_counter()
        decoded_nbytes(source)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(100)) < 1e-4
