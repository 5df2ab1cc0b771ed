"""The boxes of one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from yoloom.arrays import Array, frozen, require_cpu
from yoloom.errors import InputError
from yoloom.frozen import Frozen

COLUMNS = 6  # x1, y1, x2, y2, confidence, class


class Boxes(Frozen):
    """Detected boxes, one a row, read by column. Threads: anybody, frozen.

    `boxes[i]`, `boxes[mask]` and iteration give `Boxes` again. All arrays are float32, read-only, and the boxes' own.

    Args:
        boxes: (N, 6) of x1, y1, x2, y2 in pixels, confidence, class; (6,) is one row. Copied.
        orig_shape: (height, width) of the picture in pixels.

    Raises:
        InputError: for any other shape.
    """

    __slots__ = ("data", "orig_shape")

    data: Array  # (N, 6)
    orig_shape: tuple[int, int]
    id = None  # no track numbers
    is_track = False

    def __init__(self, boxes: ArrayLike, orig_shape: tuple[int, int]) -> None:
        height, width = orig_shape
        self._store(data=_rows(boxes), orig_shape=(int(height), int(width)))

    @property
    def xyxy(self) -> Array:
        """(N, 4) left, top, right, bottom in pixels."""
        return self.data[:, :4]

    @property
    def conf(self) -> Array:
        """(N,) confidence, 0 to 1."""
        return self.data[:, 4]

    @property
    def cls(self) -> Array:
        """(N,) class numbers, as float32 like the rest of the row."""
        return self.data[:, 5]

    @property
    def xywh(self) -> Array:
        """(N, 4) centre x, centre y, width, height in pixels."""
        return frozen(_xywh(self.xyxy))

    @property
    def xyxyn(self) -> Array:
        """(N, 4) `xyxy` divided by the picture's width and height."""
        return frozen(self.xyxy / self._scale)

    @property
    def xywhn(self) -> Array:
        """(N, 4) `xywh` divided by the picture's width and height."""
        return frozen(self.xywh / self._scale)

    @property
    def _scale(self) -> Array:
        height, width = self.orig_shape
        return frozen((width, height, width, height), np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, 6)."""
        return len(self), COLUMNS

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> Boxes:
        return Boxes(self.data[index], self.orig_shape)

    def __iter__(self) -> Iterator[Boxes]:
        return (self[i] for i in range(len(self)))

    def cpu(self) -> Boxes:
        """The boxes themselves: they are on the CPU."""
        return self

    def numpy(self) -> Boxes:
        """The boxes themselves: their arrays are numpy arrays."""
        return self

    def to(self, device: object = "cpu") -> Boxes:
        """The boxes themselves. Raises `UnknownDevice` for anything but "cpu"."""
        require_cpu(device)
        return self

    def cuda(self) -> Boxes:
        """Raise `UnknownDevice`: results live on the CPU."""
        return self.to("cuda")

    def __reduce__(self) -> tuple[Callable[..., Boxes], tuple[Any, ...]]:
        return Boxes, (self.data, self.orig_shape)

    def __repr__(self) -> str:
        return f"Boxes of x1, y1, x2, y2, conf, cls; shape={self.shape}, orig_shape={self.orig_shape}:\n{self.data}"


def _rows(values: ArrayLike) -> Array:
    rows = frozen(np.atleast_2d(values), np.float32)
    if rows.ndim != 2 or rows.shape[1] != COLUMNS:
        raise InputError(f"boxes: expected (N, {COLUMNS}) of x1, y1, x2, y2, conf, cls; got the shape {rows.shape}")
    return rows


def _xywh(xyxy: Array) -> Array:
    low, high = xyxy[:, :2], xyxy[:, 2:]
    return np.concatenate([(low + high) / 2, high - low], axis=1).view(Array)
