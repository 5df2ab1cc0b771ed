"""Pictures of any kind → one (H, W, 3) uint8 BGR array that belongs to the request."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import ImageDecodeError, ImageTooLarge, InvalidImage, SourceNotFound, SourceWarning
from yoloom.images.header import Encoded, is_pil_image, read_size_hw
from yoloom.sync.striped_locks import StripedLocks
from yoloom.system.shortage import is_shortage, naming_limits

MAX_PIXELS = 2**26
"""Largest picture that is accepted unless the model is opened with another: 67 megapixels, 200 MB once decoded."""

# Guard the first look at a PIL image, which reads its file and its EXIF into it: two threads that share an image must
# not do that at once, two images may.
_pil_locks = StripedLocks()

_EXPECTED = (
    "an image is a path, encoded bytes, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA"
)

_LOOKALIKES: tuple[tuple[tuple[bytes, ...], str], ...] = (
    (
        (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypheif", b"ftyphevc"),
        " It is HEIC: convert it to JPEG, or open it with pillow-heif and pass the PIL image.",
    ),
    ((b"version https://git-lfs",), " It is a pointer of Git LFS: fetch the picture itself with `git lfs pull`."),
    (
        (b"\0\5\x16\7",),
        " It is a Mac's side file (AppleDouble) and no picture: delete it, or run `dot_clean`.",
    ),
    ((b"<!DOCTYPE", b"<!doctype", b"<html", b"<HTML"), " It is a web page: the download went wrong."),
    ((b"%PDF",), " It is a PDF: render its pages, and pass those."),
    ((b"<svg", b"<?xml"), " It is XML, such as SVG: render it, and pass the pixels."),
    (
        (b"II*\0", b"MM\0*"),
        " If it holds floats or numbers of 32 bits, whose range it does not say: scale them to 0..255, and pass uint8.",
    ),
)
_MAY_HOLD_MANY = (b"GIF8", b"II*\0", b"MM\0*")  # GIF and TIFF; other containers say so in their first chunks
_FLOAT_MAPS = (b"PF\n", b"Pf\n", b"PF ", b"Pf ", b"PF\r", b"Pf\r")
_PIL_IMAGE = "the PIL image"
_ORIENTATION = 274  # the tag of EXIF
_NOTES = frozenset({"xmp", "XML:com.adobe.xmp", "Raw profile type exif"})  # where PIL looks for it as well
_OF_UNKNOWN_RANGE = ("I", "F")  # modes of PIL: signed numbers of 32 bits, and floats
_OPENCV_TURNS_WEBP = int(cv2.__version__.partition(".")[0]) >= 5
_LIST_HINT = " A list of sources is for predict or map: model(path)."
_DECODING = 3  # a guess: how many times the memory of a picture its decoder takes
_LONGEST_PATH = 300  # characters of a path that a message prints


def decode_image(source: object, max_pixels: int = MAX_PIXELS, borrow: bool = False) -> NDArray[np.uint8]:
    """Decode one picture into memory that nobody else holds.

    Thread safety: any number of threads, also with the same PIL image.

    Args:
        source: a path or encoded bytes (decoded by OpenCV, AVIF by Pillow; the container's orientation is applied), a
            PIL image, or an array of uint8 or uint16: gray, BGR or BGRA.
        max_pixels: the largest picture that is accepted.
        borrow: return `source` itself where it is a plain, contiguous (H, W, 3) array of uint8.

    Returns:
        (H, W, 3) uint8 BGR.

    Raises:
        SourceNotFound: for a path that names no file.
        ImageDecodeError: for bytes that are no image, or are cut short.
        ImageTooLarge: for more than `max_pixels`, before their memory is taken.
        InvalidImage: for an array that is no image, a source of another kind, or pixels whose range nobody knows.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, max_pixels, borrow)
    encoded = source if isinstance(source, Encoded) else read_encoded(source)
    if encoded is not None:
        return _decode_bytes(encoded.data, encoded.what, max_pixels)
    if is_pil_image(source):
        return _from_pil(source, max_pixels)
    raise InvalidImage(f"{_EXPECTED}, got {type(source).__module__}.{type(source).__qualname__}.{_hint(source)}")


def read_encoded(source: object) -> Encoded | None:
    """Read the bytes behind a path, or copy those given; None for a source of another kind.

    Raises SourceNotFound, ImageDecodeError or InvalidImage.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return Encoded(copied_bytes(source), "the bytes given")
    if not isinstance(source, (str, os.PathLike)):
        return None
    path = Path(source)
    try:
        is_endless = path.exists() and not (path.is_file() or path.is_dir())
    except (OSError, ValueError):  # reading it will say why
        is_endless = False
    if is_endless:
        raise ImageDecodeError(f"{path} is no file, but a pipe or a device: read it, and give its bytes.")
    try:
        return Encoded(path.read_bytes(), str(path))
    except (FileNotFoundError, ValueError):  # a name with a zero byte in it
        raise SourceNotFound(f"no such image: {short_path(path)}") from None
    except OSError as error:
        raise ImageDecodeError(f"{short_path(path)} can not be read: {error.strerror or error}") from error


def short_path(path: os.PathLike[str] | str) -> str:
    """Print a path for a message; of a text that is far too long to be one, its beginning and a hint."""
    text = os.fsdecode(path)
    if len(text) <= _LONGEST_PATH:
        return text
    return (
        f"{text[:40]}... ({len(text)} characters; if this is base64, pass the bytes: base64.b64decode(text, "
        "validate=True))"
    )


def copied_bytes(source: bytes | bytearray | memoryview) -> bytes:
    """Return the bytes in memory that nobody writes to. Raises InvalidImage for a memoryview that was released."""
    try:
        return bytes(source)
    except ValueError as error:
        raise InvalidImage(f"{_EXPECTED}, got a memoryview without its memory: {error}") from None


def _decode_bytes(data: bytes, what: str, max_pixels: int) -> NDArray[np.uint8]:
    if not data:
        raise ImageDecodeError(f"{what}: expected an encoded image, got 0 bytes.")
    # A decompression bomb is refused before its memory is taken. Formats without a readable header go to OpenCV.
    try:
        size_hw = read_size_hw(data)
    except Exception as error:  # a damaged header makes the parser raise errors of any class
        _check_memory(None, what, error)
        raise ImageDecodeError(f"{what}: the image header is damaged: {error}") from error
    if size_hw is not None:
        _check_size(size_hw, what, max_pixels)
    if data.startswith(_MAY_HOLD_MANY) or b"ANIM" in data[:64] or b"acTL" in data[:64] or b"ftypavis" in data[:16]:
        _warn_of_frames(data, what)
    if _is_left_to_pil(data):
        return _from_pil(_opened_by_pil(data, what), max_pixels, what)
    if data.startswith(_FLOAT_MAPS):
        raise InvalidImage(f"{what}: a map of floats, whose range it does not say: scale it to 0..255, and pass uint8.")
    if _is_cut_jpeg(data):  # some decoders fill the rest with grey, and say nothing
        raise ImageDecodeError(f"{what}: the JPEG is cut short ({len(data)} bytes): copy or download it again.")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # absurd sizes in the header
        _check_memory(size_hw, what, error)
        raise ImageDecodeError(f"{what}: OpenCV can not decode it: {error}") from error
    if image is None:
        _check_memory(size_hw, what)
        hint = next((hint for marks, hint in _LOOKALIKES if data[4:].startswith(marks) or data.startswith(marks)), "")
        hint = hint or (_LIST_HINT if what.lower().endswith((".txt", ".csv")) else "")
        raise ImageDecodeError(f"{what}: not an image that OpenCV reads, or cut short ({len(data)} bytes).{hint}")
    _check_size(image.shape, what, max_pixels)
    return np.asarray(image, np.uint8)


def _warn_of_frames(data: bytes, what: str) -> None:
    """Warn of an animation, or of a file of several pages: only its first picture is predicted."""
    from PIL import Image

    count = 1
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data)) as image:  # damage shows when it is decoded
        count = getattr(image, "n_frames", 1)
    if count > 1:
        text = (
            f"{what} holds {count} pictures, and the first one is predicted: pass each of PIL.ImageSequence.Iterator."
        )
        warnings.warn(text, SourceWarning, stacklevel=2)


def _check_memory(size_hw: tuple[int, int] | None, what: str, error: Exception | None = None) -> None:
    """Raise RuntimeFailed where there is no memory for a picture: OpenCV says the same of it as of a damaged one."""
    height, width = size_hw or (0, 0)
    with naming_limits(f"{what}: it can not be decoded"):
        np.empty((_DECODING, height, width, 3), np.uint8)
        if is_shortage(error):
            raise MemoryError(f"{height} x {width} pixels")


def _from_array(array: NDArray[Any], max_pixels: int, borrow: bool) -> NDArray[np.uint8]:
    if array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise InvalidImage(
            f"expected an array of uint8 or uint16, got {array.dtype}: scale it to 0..255 and convert it."
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[-1] not in (1, 3, 4)):
        raise InvalidImage(f"{_EXPECTED}, got shape {array.shape}.{_hint(array)}")
    if 0 in array.shape:
        raise InvalidImage(f"expected an image with at least one pixel, got shape {array.shape}.")
    _check_size(array.shape, "the array", max_pixels)
    is_plain = type(array) is np.ndarray  # no masked array, matrix or file in memory
    if borrow and is_plain and array.dtype == np.uint8 and array.shape[2:] == (3,) and array.flags.c_contiguous:
        return array
    plain = np.asarray(array)
    pixels = plain if plain.ndim == 3 else plain[:, :, None]
    if pixels.dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.shape[2] == 1:
        return np.repeat(pixels, 3, axis=2)
    return np.array(pixels[:, :, :3], np.uint8, order="C", copy=True)


def _is_left_to_pil(data: bytes) -> bool:
    """Tell whether a container says how its picture lies, and OpenCV does not listen.

    That is AVIF, whose properties `irot` and `imir` turn and mirror it, and for OpenCV 4 also WebP with EXIF.
    """
    if data[4:8] == b"ftyp":
        brands = data[8 : max(16, min(int.from_bytes(data[:4], "big"), 256))]
        return b"avif" in brands or b"avis" in brands
    has_exif = data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X" and bool(data[20:21] and data[20] & 8)
    return has_exif and not _OPENCV_TURNS_WEBP


def _opened_by_pil(data: bytes, what: str) -> Any:
    from PIL import Image, features

    try:
        return Image.open(io.BytesIO(data))
    except Exception as error:  # each of its formats has errors of its own
        hint = "" if features.check("avif") else " AVIF needs Pillow 11.3 or newer: pip install --upgrade pillow."
        raise ImageDecodeError(
            f"{what}: not an image that Pillow reads, or cut short ({len(data)} bytes).{hint}"
        ) from error


def _is_cut_jpeg(data: bytes) -> bool:
    """Tell whether a JPEG has no end behind the start of its pixels. Thumbnails, which have ends, lie before that."""
    at = 2
    while data[:2] == b"\xff\xd8" and data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker == 0xDA:
            return data.rfind(b"\xff\xd9") < at
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _from_pil(source: Any, max_pixels: int, what: str = _PIL_IMAGE) -> NDArray[np.uint8]:
    _check_size((source.height, source.width), what, max_pixels)
    if 0 in source.size:
        raise InvalidImage(f"expected an image with at least one pixel, got PIL size {source.size}.")
    try:
        with _pil_locks.of(source):
            upright = _upright(source)
    except MemoryError:
        raise
    except Exception as error:  # PIL decodes lazily, and each of its formats has errors of its own
        reason = str(error) or type(error).__name__
        if getattr(source, "fp", None) is None and "close" not in reason:
            reason += ", its file may be closed"
        hint = "Predict before its file is closed, or call its load() first."
        if what != _PIL_IMAGE:
            hint = "It may be cut short: copy or download it again."
        raise ImageDecodeError(f"{what} can not be decoded: {reason}. {hint}") from error
    if upright.mode in _OF_UNKNOWN_RANGE:
        raise InvalidImage(
            f"expected an image of 8 or 16 bits, got PIL mode {upright.mode!r}, whose range it does not say: scale it "
            "to 0..255, and pass np.asarray(image).astype(np.uint8)."
        )
    if upright.mode.startswith("I;16"):
        return _from_array(np.asarray(upright, np.uint16), max_pixels, borrow=False)
    try:
        rgb = np.asarray(upright.convert("RGB"), np.uint8)
    except ValueError as error:
        raise InvalidImage(f"expected an image that PIL converts to RGB, got mode {upright.mode!r}: {error}.") from None
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _upright(source: Any) -> Any:
    """Turn a copy as EXIF says. XMP and ImageMagick's notes, which PIL believes too, are not read from files either."""
    from PIL import Image, ImageOps

    if not _NOTES.isdisjoint(source.info):
        exif = Image.Exif()
        exif.load(source.info.get("exif", b""))
        if _ORIENTATION not in exif:
            return source.copy()
    return ImageOps.exif_transpose(source)


def _check_size(shape: tuple[int, ...], what: str, max_pixels: int) -> None:
    height, width = shape[:2]
    if height * width > max_pixels:
        raise ImageTooLarge(
            f"{what} has {height} x {width} = {height * width / 1e6:.0f} million pixels, the limit is "
            f"{max_pixels / 1e6:.0f}: shrink or tile it, or open the model with a higher max_pixels."
        )


def _hint(source: object) -> str:
    if hasattr(source, "read"):
        return " Pass what it holds: source.read(), or source.getvalue() of a BytesIO."
    if isinstance(source, (list, tuple)):
        return " Several images are for predict or map; each of them is one for submit."
    shape: tuple[Any, ...] = getattr(source, "shape", ())
    if len(shape) == 4:
        return " Pass the images of a batch as a list."
    if len(shape) == 3 and shape[0] in (1, 3):
        return " It looks like (channels, H, W): move the channels last."
    return ""
