"""A picture before it is decoded: its size by its header, and its pixels at their first use."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from yoloom.sync.striped_locks import StripedLocks

CHANNELS = 3  # of a decoded picture, a byte each


@dataclass(frozen=True)
class Encoded:
    """An image that is not decoded yet.

    Thread safety: any number of threads.

    Args:
        data: the bytes of its file.
        what: what errors call it.
    """

    data: bytes
    what: str


def decoded_nbytes(source: object) -> int | None:
    """Return how many bytes the decoded picture of a source will take, from its header alone.

    A picture that is cut short still has its header; whether it can be decoded shows when it is.

    Thread safety: any number of threads.

    Args:
        source: a path, encoded bytes, `Encoded`, a PIL image, or an array (H, W) or (H, W, 1, 3 or 4).

    Returns:
        Height x width x 3; None where the size can not be read: no image, a damaged header, a format that OpenCV may
        know all the same, a pipe, a file that is not there.
    """
    size_hw: tuple[int, int] | None = None
    try:
        if isinstance(source, np.ndarray):
            if source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (1, 3, 4)):
                size_hw = source.shape[0], source.shape[1]
        elif isinstance(source, Encoded):
            size_hw = read_size_hw(source.data)
        elif isinstance(source, (bytes, bytearray, memoryview)):
            size_hw = read_size_hw(bytes(source))
        elif isinstance(source, (str, os.PathLike)):
            path = Path(source)
            # A pipe would be read for ever. imagesize fetches addresses where they are text, so it gets a `Path`.
            size_hw = read_size_hw(path) if path.is_file() else None
        elif is_pil_image(source):
            size_hw = int(source.height), int(source.width)
    except Exception:  # noqa: BLE001  a damaged header, a file that can not be read; decoding it will say why
        return None
    return None if size_hw is None or min(size_hw) < 1 else size_hw[0] * size_hw[1] * CHANNELS


def read_size_hw(encoded: bytes | Path) -> tuple[int, int] | None:
    """Return height and width in pixels, or None for a format that has no header known here.

    Raises errors of any class where the header is damaged.
    """
    import imagesize  # here, because it imports an HTTP client

    width, height = imagesize.get(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded)
    return (height, width) if width > 0 and height > 0 else None


def is_pil_image(source: object) -> TypeGuard[Any]:
    """Return whether a source is a PIL image, without importing PIL: who holds one has imported it."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(source, pil.Image)


Decode = Callable[[], NDArray[np.uint8]]


# Guard `_image` and `_decode` of an image. Held while it is decoded: other threads that want the same pixels wait for
# them, and do not decode them again. Striped, so that an image has no lock of its own to pickle or to copy.
_locks = StripedLocks()


class LazyImage:
    """Stands for (H, W, 3) uint8 BGR pixels that may never be needed, and decodes them once.

    Thread safety: any number of threads.

    Args:
        shape_hw: height and width of what `decode` returns, in pixels.
        decode: makes the pixels.
    """

    __slots__ = ("_decode", "_image", "shape_hw")

    def __init__(self, shape_hw: tuple[int, int], decode: Decode) -> None:
        self.shape_hw = shape_hw
        self._decode = decode
        self._image: NDArray[np.uint8] | None = None

    def image(self) -> NDArray[np.uint8]:
        """Return the pixels, read-only. Raises what `decode` raises."""
        with _locks.of(self):
            if self._image is None:
                self._image = read_only(self._decode())
                self._decode = _decoded  # lets go of the encoded bytes
            return self._image


def _decoded() -> NDArray[np.uint8]:
    raise LookupError("the image was decoded before")


def read_only(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a view of the same pixels that can not be written to."""
    view: NDArray[np.uint8] = image.view()
    view.flags.writeable = False
    return view
