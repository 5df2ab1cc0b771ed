"""Anything that shows a picture becomes BGR uint8 in memory of its own, or one typed error."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from examples import examples
from scenes import scene
from yoloom.errors import ImageDecodeError, ImageTooLarge, InputError, InvalidImage, SourceNotFound
from yoloom.images import decode
from yoloom.images.decode import MAX_PIXELS, decode_image
from yoloom.testing import barrier_run, shaken

BGR = scene(3, (96, 64)).image
GRAY = np.ascontiguousarray(BGR[:, :, 1])
FORMATS = [".png", ".jpg", ".webp", ".bmp", ".tiff", ".ppm"]


def encoded(suffix: str, image: np.ndarray = BGR) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def is_own_bgr(image: np.ndarray) -> bool:
    return image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.flags.c_contiguous


# ---- Files and bytes


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_and_bytes(tmp_path: Path, suffix: str) -> None:
    content = encoded(suffix)
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(content)
    expected = cv2.imread(str(path))
    for source in (path, str(path), content, bytearray(content), memoryview(content)):
        assert np.array_equal(decode_image(source), expected)
    if suffix not in (".jpg", ".webp"):
        assert np.array_equal(expected, BGR)


def test_path_with_any_letters(tmp_path: Path) -> None:
    path = tmp_path / "žlutý kůň 写真 #%.png"
    path.write_bytes(encoded(".png"))
    assert np.array_equal(decode_image(path), BGR)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (GRAY, np.stack([GRAY] * 3, axis=2)),
        (np.dstack([BGR, GRAY]), BGR),
        (BGR.astype(np.uint16) * 257, BGR),
        (GRAY.astype(np.uint16) * 257, np.stack([GRAY] * 3, axis=2)),
    ],
    ids=["gray", "alpha", "16 bit", "16 bit gray"],
)
def test_png_of_every_kind(image: np.ndarray, expected: np.ndarray) -> None:
    assert np.array_equal(decode_image(encoded(".png", image)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(BGR[:, :, ::-1]).save(file, "JPEG", exif=exif, quality=95)
    image = decode_image(file.getvalue())
    assert image.shape == ((64, 96, 3) if orientation <= 4 else (96, 64, 3))
    assert np.array_equal(image, cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_COLOR))
    upright = decode_image(Image.open(io.BytesIO(file.getvalue())))
    assert np.abs(image.astype(int) - upright).mean() < 2  # two JPEG decoders


# ---- Orientation: one for all ways in


def turned(container: str, orientation: int, **options: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    quarters = np.kron([[9, 99], [160, 250]], np.ones((32, 48))).astype(np.uint8)  # all turns differ
    Image.fromarray(np.dstack([quarters] * 3)).save(file, container, exif=exif, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("container", ["AVIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_every_container_lies_the_same_by_every_way(tmp_path: Path, container: str, orientation: int) -> None:
    # Before: an AVIF lay on its side as a path or bytes, and upright as a PIL image.
    if container == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    content = turned(container, orientation)
    path = tmp_path / "turned"
    path.write_bytes(content)
    images = [decode_image(source) for source in (content, path, Image.open(path))]
    assert {image.shape for image in images} == {(64, 96, 3) if orientation <= 4 else (96, 64, 3)}
    corner = int(images[0][5, 5, 0])
    assert abs(corner - {1: 9, 2: 99, 3: 250, 4: 160, 5: 9, 6: 160, 7: 250, 8: 99}[orientation]) < 8
    assert all(np.abs(images[0].astype(int) - image).mean() < 2 for image in images[1:])


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_avif_by_any_of_its_brands(brand: bytes) -> None:
    content = turned("AVIF", 6)
    content = content[:8] + brand + content[12:]  # some encoders write a general one of the family first
    assert decode_image(content).shape == (96, 64, 3)


XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("container", ["AVIF", "JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("exif", [False, True])
def test_what_only_xmp_says_turns_nothing(container: str, exif: bool) -> None:
    # PIL believes XMP where EXIF is silent, OpenCV never does: a picture lay in two ways.
    if container == "AVIF" and not features.check("avif"):
        pytest.skip("Pillow without AVIF")
    file = io.BytesIO()
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options: dict[str, Any] = {"pnginfo": text} if container == "PNG" else {"xmp": XMP}
    if exif:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 8
    Image.new("RGB", (96, 64)).save(file, container, **options)
    image = Image.open(io.BytesIO(file.getvalue()))
    assert image.getexif()[0x0112] == (8 if exif else 6)
    expected = (96, 64, 3) if exif else (64, 96, 3)
    assert decode_image(file.getvalue()).shape == decode_image(image).shape == expected


# ---- Pictures that are cut short


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"restart_marker_rows": 1}),
        ("PNG", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "jpeg"}),
        ("GIF", {}),
        pytest.param("AVIF", {}, marks=pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")),
    ],
)
def test_a_part_of_a_picture_is_refused(container: str, options: dict[str, Any], share: float) -> None:
    file = io.BytesIO()
    Image.effect_noise((160, 120), 60).convert("RGB").save(file, container, **options)
    whole = file.getvalue()
    assert decode_image(whole).shape == (120, 160, 3)
    with pytest.raises(ImageDecodeError):
        decode_image(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("cut", [1, 2, 3, 500])
def test_a_cut_jpeg_is_refused_whatever_opencv_says(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    # OpenCV 4 fills the rest with grey, and says nothing.
    thumbnail = io.BytesIO()
    Image.new("RGB", (16, 16)).save(thumbnail, "JPEG")
    exif = b"Exif\0\0" + thumbnail.getvalue()  # has an end of its own
    file = io.BytesIO()
    Image.effect_noise((160, 120), 60).convert("RGB").save(file, "JPEG", exif=exif)
    monkeypatch.setattr(decode.cv2, "imdecode", lambda *_: np.full((120, 160, 3), 128, np.uint8))
    assert decode_image(file.getvalue() + bytes(1000)).shape == (120, 160, 3)
    with pytest.raises(ImageDecodeError, match="cut short"):
        decode_image(file.getvalue()[:-cut])


# ---- Pixels whose range nobody knows


RAMP = np.linspace(0, 1, 48).reshape(6, 8)


@pytest.mark.parametrize(
    "pixels", [RAMP.astype(np.float32), (RAMP * 255).astype(np.float32), (RAMP * 65535).astype(np.int32)]
)
def test_pil_modes_without_a_range_are_refused(pixels: np.ndarray) -> None:
    # PIL cuts them to 0..255 without a word: a picture of 0..1 becomes black, one of 16 bits white.
    image = Image.fromarray(pixels)
    assert image.mode in ("I", "F")
    with pytest.raises(InvalidImage, match=f"PIL mode '{image.mode}'.*scale it to 0..255"):
        decode_image(image)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L"])
def test_pil_modes_of_16_bits_keep_their_range(mode: str) -> None:
    levels = np.array([[0, 255, 256], [4095, 32768, 65535]], np.uint16)
    data = levels.astype(">u2" if mode == "I;16B" else "<u2").tobytes()
    expected = (levels >> 8).astype(np.uint8)
    assert np.array_equal(decode_image(Image.frombytes(mode, (3, 2), data)), np.dstack([expected] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_pil_modes_of_8_bits_keep_white(mode: str) -> None:
    image = Image.new("RGB", (4, 3), (255, 255, 255)).convert("RGBA" if mode == "RGBX" else mode.replace("PA", "P"))
    assert decode_image(image).min() > 250


def test_a_pil_mode_that_does_not_convert_is_named() -> None:
    with pytest.raises(InvalidImage, match="mode 'La'"):
        decode_image(Image.new("La", (4, 3)))


@pytest.mark.parametrize("pixels", [RAMP, np.dstack([RAMP] * 3), RAMP * 255])
def test_a_map_of_floats_is_refused(pixels: np.ndarray) -> None:
    # OpenCV cuts its numbers to bytes, and gives gray ones without the axis of channels.
    content = encoded(".pfm", pixels.astype(np.float32))
    with pytest.raises(InvalidImage, match="map of floats"):
        decode_image(content)


# ---- Arrays


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (BGR, BGR),
        (GRAY, np.stack([GRAY] * 3, axis=2)),
        (GRAY[:, :, None], np.stack([GRAY] * 3, axis=2)),
        (np.dstack([BGR, GRAY]), BGR),
        (BGR.astype(np.uint16) * 256 + 255, BGR),
        (GRAY.astype(np.uint16) * 256, np.stack([GRAY] * 3, axis=2)),
        (np.dstack([BGR, GRAY]).astype(np.uint16) * 257, BGR),
        (BGR[::-1, ::-1], BGR[::-1, ::-1].copy()),
        (BGR[:, :, ::-1], BGR[:, :, ::-1].copy()),
        (BGR[::2, 1::3], BGR[::2, 1::3].copy()),
        (np.asfortranarray(BGR), BGR),
        (BGR.swapaxes(0, 1), BGR.swapaxes(0, 1).copy()),
        (GRAY.T, np.stack([GRAY.T] * 3, axis=2)),
        (np.broadcast_to(np.array([1, 2, 3], np.uint8), (5, 4, 3)), np.tile(np.array([1, 2, 3], np.uint8), (5, 4, 1))),
        (BGR[:1, :1], BGR[:1, :1].copy()),
    ],
)
def test_arrays_of_every_kind(array: np.ndarray, expected: np.ndarray) -> None:
    before = array.copy()
    image = decode_image(array)
    assert is_own_bgr(image)
    assert np.array_equal(image, expected)
    assert not np.shares_memory(image, array)
    assert image.flags.writeable
    image[...] = 0
    assert np.array_equal(array, before)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (BGR.astype(np.float32), "uint8 or uint16, got float32"),
        (BGR.astype(np.float64) / 255, "float64"),
        (BGR > 5, "bool"),
        (BGR.astype(np.int64), "int64"),
        (BGR.astype(np.int8), "int8"),
        (np.array(BGR.tolist(), object), "object"),
        (np.array([["a"]]), "uint8 or uint16"),
        (BGR[:, :, :2], r"shape \(64, 96, 2\)"),
        (np.zeros((8, 8, 5), np.uint8), r"shape \(8, 8, 5\)"),
        (BGR[None], "as a list"),
        (np.zeros((3, 64, 96), np.uint8), "move the channels last"),
        (np.zeros((1, 64, 96), np.uint8), "move the channels last"),
        (np.zeros(7, np.uint8), r"shape \(7,\)"),
        (np.zeros((), np.uint8), r"shape \(\)"),
        (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        (np.zeros((5, 0), np.uint8), "at least one pixel"),
        (np.zeros((0, 0, 3), np.uint8), "at least one pixel"),
    ],
)
def test_arrays_that_are_no_image(array: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidImage, match=message):
        decode_image(array)


def test_array_of_too_many_pixels() -> None:
    huge = np.broadcast_to(np.uint8(0), (10_000, 10_000, 3))  # one byte
    with pytest.raises(ImageTooLarge, match=r"10000 x 10000 = 100 million pixels, the limit is 67"):
        decode_image(huge)
    with pytest.raises(ImageTooLarge):
        decode_image(BGR, max_pixels=BGR.shape[0] * BGR.shape[1] - 1)
    assert is_own_bgr(decode_image(BGR, max_pixels=BGR.shape[0] * BGR.shape[1]))


# ---- PIL


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "LA", "YCbCr", "HSV"])
def test_pil_images(mode: str) -> None:
    picture = Image.fromarray(BGR[:, :, ::-1]).convert(mode)
    image = decode_image(picture)
    assert is_own_bgr(image)
    assert np.array_equal(image[:, :, ::-1], np.asarray(picture.convert("RGB")))
    if mode == "RGB":
        assert np.array_equal(image, BGR)


@pytest.mark.parametrize("dtype", ["<u2", ">u2"])
def test_pil_image_of_16_bits(dtype: str) -> None:
    gray16 = (GRAY.astype(np.uint16) * 257).astype(dtype)
    mode = "I;16" if dtype == "<u2" else "I;16B"
    picture = Image.frombytes(mode, (96, 64), gray16.tobytes())
    assert np.array_equal(decode_image(picture), np.stack([GRAY] * 3, axis=2))


def test_pil_image_is_left_as_it_is() -> None:
    picture = Image.fromarray(BGR[:, :, ::-1])
    before = picture.tobytes()
    decode_image(picture)[...] = 0
    assert picture.tobytes() == before


def test_lazy_pil_image_cut_short() -> None:
    with pytest.raises(ImageDecodeError, match="PIL image"):
        decode_image(Image.open(io.BytesIO(encoded(".png")[:-500])))


def test_closed_pil_image(tmp_path: Path) -> None:
    path = tmp_path / "closed.png"
    path.write_bytes(encoded(".png"))
    picture = Image.open(path)
    picture.close()
    with pytest.raises(ImageDecodeError):
        decode_image(picture)


def test_pil_image_without_pixels() -> None:
    with pytest.raises(InvalidImage, match="at least one pixel"):
        decode_image(Image.new("RGB", (0, 5)))


def test_pil_image_of_too_many_pixels() -> None:
    with pytest.raises(ImageTooLarge):
        decode_image(Image.new("1", (96, 64)), max_pixels=96 * 64 - 1)


def test_one_lazy_pil_image_for_many_threads() -> None:
    """PIL reads the file at first use, which only one thread may do at a time. Seen to fail without the locks."""
    content = encoded(".png", scene(4, (320, 240)).image)
    expected = decode_image(content)
    for _ in range(5):
        picture = Image.open(io.BytesIO(content))
        with shaken():
            images = barrier_run(8, lambda _, picture=picture: decode_image(picture))
        assert all(np.array_equal(image, expected) for image in images)


# ---- What is no image


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match=r"no such image: .*no\.jpg"):
        decode_image(tmp_path / "no.jpg")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can not be read"):
        decode_image(tmp_path)


@pytest.mark.parametrize("path", ["a\0b.jpg", "x" * 5000 + ".jpg"])
def test_paths_that_can_not_exist(path: str) -> None:
    with pytest.raises(InputError):
        decode_image(path)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"not an image", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF89a", b"RIFF"]
)
def test_bytes_that_are_no_image(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageDecodeError, match="the bytes given"):
        decode_image(content)
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(ImageDecodeError, match=r"bad\.jpg"):
        decode_image(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_images_cut_short(suffix: str) -> None:
    """A picture that ends early is never half a picture."""
    content = encoded(suffix)
    for length in {*range(0, len(content), max(1, len(content) // 25)), len(content) - 3}:
        with pytest.raises(ImageDecodeError):
            decode_image(content[:length])


@given(st.sampled_from(FORMATS), st.data())
@settings(max_examples=examples(50))
def test_damaged_images(suffix: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(suffix, BGR[:8, :8]))
    for _ in range(data.draw(st.integers(1, 5))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = decode_image(bytes(damaged))
    except InputError:
        return
    assert is_own_bgr(image)


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    try:
        image = decode_image(content)
    except InputError:
        return
    assert is_own_bgr(image)


def _png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def test_decompression_bomb_is_refused_by_its_header() -> None:
    header = _png_chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + _png_chunk(b"IDAT", zlib.compress(bytes(1000))) + _png_chunk(b"IEND", b"")
    with pytest.raises(ImageTooLarge, match="900 million pixels"):
        decode_image(bomb)
    assert MAX_PIXELS < 30_000**2


@pytest.mark.parametrize("suffix", FORMATS)
def test_limit_holds_for_every_format(suffix: str) -> None:
    with pytest.raises(ImageTooLarge):
        decode_image(encoded(suffix), max_pixels=96 * 64 - 1)
    assert decode_image(encoded(suffix), max_pixels=96 * 64).shape == (64, 96, 3)


@pytest.mark.parametrize("source", [None, 5, 1.5, object(), {"a": 1}, [[1, 2], [3, 4]], int, lambda: 1])
def test_values_that_are_no_image(source: Any) -> None:
    with pytest.raises(InvalidImage, match="an image is a path, encoded bytes, a PIL image, or an array"):
        decode_image(source)


def test_tensor_gets_a_hint() -> None:
    class Tensor:
        shape = (1, 3, 64, 64)

    with pytest.raises(InvalidImage, match="as a list"):
        decode_image(Tensor())


def test_pillow_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "PIL.Image")
    assert np.array_equal(decode_image(BGR), BGR)
    with pytest.raises(InvalidImage):
        decode_image(object())


def test_same_bits_in_many_threads() -> None:
    content = encoded(".jpg")
    expected = decode_image(content)
    decode: Callable[[int], np.ndarray] = lambda _: decode_image(content)  # noqa: E731
    assert all(np.array_equal(image, expected) for image in barrier_run(8, decode))


def test_arrays_of_other_classes_become_plain(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", BGR)
    for array in (np.ma.masked_array(BGR, BGR > 9), np.load(tmp_path / "a.npy", mmap_mode="r")):
        image = decode_image(array, borrow=True)
        assert type(image) is np.ndarray
        assert is_own_bgr(image)


def test_foreign_byte_order() -> None:
    wide = BGR.astype(">u2") << 8
    assert np.array_equal(decode_image(wide.astype(">u2")), BGR)


def test_released_memoryview() -> None:
    view = memoryview(encoded(".png"))
    view.release()
    with pytest.raises(InvalidImage, match="memoryview"):
        decode_image(view)


def test_pil_images_share_a_few_locks() -> None:
    images = [Image.new("L", (1, 1)) for _ in range(200)]
    assert len({id(decode._pil_locks.of(image)) for image in images}) > 8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_refused_and_not_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(ImageDecodeError, match="pipe"):
        decode_image(tmp_path / "a.jpg")
