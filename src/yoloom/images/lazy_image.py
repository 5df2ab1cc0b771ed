"""A picture that is decoded when it is first looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from yoloom.sync.striped_locks import StripedLocks

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
