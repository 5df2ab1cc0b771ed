"""A picture that is decoded when somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from yoloom.sync.striped_locks import StripedLocks

Decode = Callable[[], NDArray[np.uint8]]


# Guard what an image holds. Held while one is decoded, by those who need it.
_locks = StripedLocks()


class LazyImage:
    """Stands for (H, W, 3) uint8 BGR pixels that nobody may ever ask for. Shared freely: decoded once."""

    __slots__ = ("_decode", "_image", "shape_hw")

    def __init__(self, shape_hw: tuple[int, int], decode: Decode) -> None:
        """shape_hw: of what `decode` returns, in pixels."""
        self.shape_hw = shape_hw
        self._decode = decode
        self._image: NDArray[np.uint8] | None = None

    def image(self) -> NDArray[np.uint8]:
        """The pixels, read-only. Raises what `decode` raises."""
        with _locks.of(self):
            if self._image is None:
                self._image = read_only(self._decode())
                self._decode = _decoded  # lets go of the encoded bytes
            return self._image


def _decoded() -> NDArray[np.uint8]:
    raise LookupError("the image was decoded before")


def read_only(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same pixels, which can not be changed through what is returned."""
    view: NDArray[np.uint8] = image.view()
    view.flags.writeable = False
    return view
