"""Objects that hold a picture for others to read: files that are open, and tensors of PyTorch."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidImage, UnsupportedSource
from yoloom.images.header import is_pil_image


@dataclass(frozen=True, eq=False)
class TensorImage:
    """One image of a tensor: pixels that are on their canvas already. The pixels belong to nobody else.

    Attributes:
        pixels: (H, W, 3) uint8 BGR.
    """

    pixels: NDArray[np.uint8]

    @property
    def shape_hw(self) -> tuple[int, int]:
        """Height and width in pixels: the network's input is as large."""
        return self.pixels.shape[0], self.pixels.shape[1]


def is_tensor(source: Any) -> bool:
    """Tell whether a source is a tensor, by its methods: PyTorch is not imported."""
    is_like_one = callable(getattr(source, "detach", None)) and callable(getattr(source, "cpu", None))
    return is_like_one and not isinstance(source, np.ndarray)


def read_one(source: Any) -> Any:
    """Return the one image of an object: of an open file its bytes, of a tensor its pixels, others as they are.

    Raises:
        InvalidImage: A file gives nothing, or no bytes; a tensor holds several images, or none.
        UnsupportedSource: It is a `cv2.VideoCapture`.
    """
    if is_tensor(source):
        images = images_of_tensor(source)
        if len(images) != 1:
            raise InvalidImage(f"expected one image, got a tensor of {len(images)}: pass it to predict.")
        return images[0]
    has_bytes = callable(getattr(source, "read", None)) and not is_pil_image(source)
    return _read(source) if has_bytes else source


def _read(file: Any) -> bytes:
    data = file.read()
    kind = f"{type(file).__module__}.{type(file).__qualname__}"
    if inspect.iscoroutine(data):
        data.close()  # it was never begun, and Python would warn of that
        raise InvalidImage(f"{kind} is read by `await`: pass its bytes, await source.read().")
    if isinstance(data, tuple):
        raise UnsupportedSource(f"{kind}: videos and cameras are not read by this version; pass each frame it reads.")
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidImage(f"expected the bytes of a picture from {kind}, got {type(data).__name__}: open it as 'rb'.")
    if not len(data):
        raise InvalidImage(f"{kind} gave no bytes: it is empty, or was read to its end before: source.seek(0).")
    return bytes(data)


def images_of_tensor(tensor: Any) -> list[TensorImage]:
    """Convert (B, 3, H, W) or (3, H, W) in RGB order: numbers of 0..1, or bytes of 0..255. Raises InvalidImage."""
    values = tensor.detach().cpu()
    if "bfloat16" in str(values.dtype):  # numpy has none
        values = values.float()
    array = np.asarray(values)
    batch = array[None] if array.ndim == 3 else array
    if batch.ndim != 4 or batch.shape[1] != 3 or 0 in batch.shape:
        raise InvalidImage(
            f"expected a tensor (B, 3, H, W) or (3, H, W) in RGB order, got shape {array.shape}. For pixels (H, W, 3) "
            "pass a numpy array, in BGR order."
        )
    if batch.dtype != np.uint8:
        if batch.dtype.kind != "f" or not (batch.min() >= 0 and batch.max() <= 1 + 1e-3):  # false for NaN too
            raise InvalidImage(
                f"expected a tensor with numbers of 0..1, or of uint8, got {array.dtype} from {batch.min():g} to "
                f"{batch.max():g}: divide it by 255."
            )
        batch = np.rint(np.clip(batch, 0, 1) * 255).astype(np.uint8)
    return [TensorImage(np.ascontiguousarray(image.transpose(1, 2, 0)[:, :, ::-1])) for image in batch]
