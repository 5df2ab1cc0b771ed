"""Prototypes and coefficients → masks, one detection at a time and only inside its box: memory is that of the masks.

A mask is Σ coefficient · prototype, enlarged bilinearly, positive, and inside the box. Any window of it is computed by
itself, and has the bits that it has in the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloom.images.letterbox import Letterbox, fit

_BAND = 1 << 16  # pixels of a mask that are computed at once
_PROTO_STEP = 4  # pixels of the network's input for one of a prototype

Window = tuple[int, int, int, int]
"""Rows and columns of a mask: top, bottom, left, right."""


@dataclass(frozen=True)
class Taps:
    """How the values of a line come from those of another: value = line[low] · (1 - share) + line[high] · share.

    Thread safety: any number of threads.
    """

    low: NDArray[np.intp]
    high: NDArray[np.intp]
    share: NDArray[np.float32]

    @classmethod
    def between(cls, source: int, target: int) -> Taps:
        """Stretch a line of `source` values over `target`, ends on ends: PyTorch's align_corners=False."""
        # The centre of target value i lies at (i + 1/2) · source / target - 1/2 on the source.
        step = np.float32(source) / np.float32(target)
        centres = np.arange(target, dtype=np.float32) + np.float32(0.5)
        where = np.maximum(centres * step - np.float32(0.5), np.float32(0))
        low = np.minimum(where.astype(np.intp), source - 1)
        return cls(low, np.minimum(low + 1, source - 1), where - low.astype(np.float32))

    @classmethod
    def of_plane(cls, source_hw: tuple[int, int], target_hw: tuple[int, int]) -> tuple[Taps, Taps]:
        """Stretch a plane: the taps of its rows and of its columns."""
        return cls.between(source_hw[0], target_hw[0]), cls.between(source_hw[1], target_hw[1])

    def __len__(self) -> int:
        return len(self.low)

    def part(self, start: int, stop: int) -> Taps:
        """Return the taps of the values `start` to `stop` of the new line."""
        return Taps(self.low[start:stop], self.high[start:stop], self.share[start:stop])

    @property
    def span(self) -> tuple[int, int]:
        """The first and last (exclusive) index that the taps use. There must be some."""
        return int(self.low[0]), int(self.high[-1]) + 1

    def after(self, first: int) -> Taps:
        """Return the same taps for a line whose first `first` values were left out."""
        return Taps(self.low - first, self.high - first, self.share)


@dataclass(frozen=True)
class Enlargement:
    """How prototypes become a mask: steps of bilinear enlargement, each for rows and columns, the last one first.

    Thread safety: any number of threads.
    """

    shape_hw: tuple[int, int]
    steps: tuple[tuple[Taps, Taps], ...]

    @classmethod
    def to_canvas(cls, protos_hw: tuple[int, int], letterbox: Letterbox) -> Enlargement:
        """Enlarge to masks as large as the network's input."""
        return cls(letterbox.canvas_hw, (Taps.of_plane(protos_hw, letterbox.canvas_hw),))

    @classmethod
    def to_source(cls, protos_hw: tuple[int, int], letterbox: Letterbox) -> Enlargement:
        """Enlarge to masks as large as the source: to a plane, cropped to the letterbox's content, and resized.

        The plane is the smallest, 1, 2 or 4 times the prototypes, on which half of the letterbox's padding is a whole
        number of pixels: the content's edges then lie between pixels.
        """
        source_hw = letterbox.source_hw
        canvas_hw = (protos_hw[0] * _PROTO_STEP, protos_hw[1] * _PROTO_STEP)
        content_hw = fit(source_hw, canvas_hw).content_hw
        spare = [canvas - content for canvas, content in zip(canvas_hw, content_hw, strict=True)]
        # Half of `spare` canvas pixels is spare · factor / (2 · _PROTO_STEP) pixels of the plane.
        factor = next(factor for factor in (1, 2, 4) if factor == 4 or all(s * factor % 8 == 0 for s in spare))

        plane_hw = (protos_hw[0] * factor, protos_hw[1] * factor)
        content = fit(source_hw, plane_hw)
        rows, columns = Taps.of_plane(protos_hw, plane_hw)
        rows = rows.part(content.top, content.top + content.content_hw[0])
        columns = columns.part(content.left, content.left + content.content_hw[1])
        return cls(source_hw, (Taps.of_plane(content.content_hw, source_hw), (rows, columns)))

    def window(
        self, protos: NDArray[np.float32], coefficients: NDArray[np.float32], window: Window
    ) -> NDArray[np.float32]:
        """Return the enlarged logits in one window of the mask, from as little of `protos` (M, h, w) as it takes."""
        steps = []
        for all_rows, all_columns in self.steps:
            rows, columns = all_rows.part(*window[:2]), all_columns.part(*window[2:])
            window = (*rows.span, *columns.span)  # of the plane before this step
            steps.append((rows.after(window[0]), columns.after(window[2])))

        top, bottom, left, right = window
        protos = protos[:, top:bottom, left:right]
        # Added up in order, one by one, so that equal input gives equal bits: a matrix product would not.
        plane: NDArray[np.float32] = coefficients[0] * protos[0]
        scaled = np.empty_like(plane)
        for coefficient, proto in zip(coefficients[1:], protos[1:], strict=True):
            plane += np.multiply(proto, coefficient, out=scaled)

        for rows, columns in reversed(steps):
            plane = enlarge(plane, rows, columns)
        return plane


def draw_masks(
    protos: NDArray[np.float32], coefficients: NDArray[np.float32], xyxy: NDArray[np.float32], enlargement: Enlargement
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Draw the masks of the detections that have one: where the logits are positive, inside the box.

    Args:
        protos: (M, h, w).
        coefficients: (N, M).
        xyxy: (N, 4) boxes in pixels of the masks.
        enlargement: of the prototypes.

    Returns:
        Masks (K, H, W) uint8 of 0 and 1, and the indices (K,) of the detections that they belong to: those whose mask
        is not empty.
    """
    height, width = enlargement.shape_hw
    masks = np.zeros((len(xyxy), height, width), np.uint8)
    drawn: list[int] = []
    with np.errstate(all="ignore"):  # a network that overflowed
        # Pixels whose column is in x1 <= column < x2, and rows alike; none for a box that is no numbers.
        limit = np.array([width, height] * 2, np.float32)
        edges = np.clip(np.ceil(np.where(np.isnan(xyxy).any(axis=1, keepdims=True), 0, xyxy)), 0, limit).astype(int)
        for index, (left, top, right, bottom) in enumerate(edges.tolist()):
            if top >= bottom or left >= right:
                continue
            inside = masks[len(drawn), top:bottom, left:right].view(np.bool_)
            band = max(_BAND // (right - left), 1)
            for start in range(top, bottom, band):
                stop = min(start + band, bottom)
                logits = enlargement.window(protos, coefficients[index], (start, stop, left, right))
                np.greater(logits, 0, out=inside[start - top : stop - top])
            if inside.any():  # else the next mask is drawn in its place, which is all zeros still
                drawn.append(index)
    return masks[: len(drawn)], np.array(drawn, np.intp)


def enlarge(plane: NDArray[np.float32], rows: Taps, columns: Taps) -> NDArray[np.float32]:
    """Return the values (len(rows), len(columns)) between those of `plane` (H, W)."""
    across = _blend(plane[:, columns.low], plane[:, columns.high], columns.share)
    return _blend(across[rows.low], across[rows.high], rows.share[:, None])


def _blend(low: NDArray[np.float32], high: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return low · (1 - share) + high · share, in the memory of `low` and `high`."""
    low *= np.float32(1) - share
    high *= share
    low += high
    return low
