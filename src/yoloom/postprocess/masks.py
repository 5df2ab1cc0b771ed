"""Prototypes and coefficients → masks, one detection at a time and only inside its box: memory is that of the masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloom.images.fit import fit
from yoloom.images.letterbox import Letterbox
from yoloom.postprocess.bilinear import Taps, enlarge

_BAND = 1 << 16  # pixels of a mask that are computed at once
_PROTO_STEP = 4  # pixels of the network's input for one of a prototype

Window = tuple[int, int, int, int]
"""Rows and columns of a mask: top, bottom, left, right."""


@dataclass(frozen=True)
class Enlargement:
    """How prototypes become a mask: steps of bilinear enlargement, each for rows and columns, the last one first.

    Threads: anybody, frozen.
    """

    shape_hw: tuple[int, int]
    steps: tuple[tuple[Taps, Taps], ...]

    def window(self, logits: Logits, window: Window) -> NDArray[np.float32]:
        """The values of one window of the mask."""
        return _window(logits, self.steps, window)


@dataclass(frozen=True)
class Logits:
    """Σ coefficient · prototype of one detection, added up in order, so that equal input gives equal bits."""

    protos: NDArray[np.float32]  # (M, h, w)
    coefficients: NDArray[np.float32]  # (M,)

    def window(self, window: Window) -> NDArray[np.float32]:
        top, bottom, left, right = window
        protos = self.protos[:, top:bottom, left:right]
        total: NDArray[np.float32] = self.coefficients[0] * protos[0]
        scaled = np.empty_like(total)
        for coefficient, proto in zip(self.coefficients[1:], protos[1:], strict=True):
            total += np.multiply(proto, coefficient, out=scaled)
        return total


def to_canvas(protos_hw: tuple[int, int], placed: Letterbox) -> Enlargement:
    """Masks as large as the network's input."""
    return Enlargement(placed.canvas_hw, (_both(protos_hw, placed.canvas_hw),))


def to_source(protos_hw: tuple[int, int], placed: Letterbox) -> Enlargement:
    """Masks as large as the source: enlarged until the letterbox's edges lie between pixels, cropped, and resized."""
    factor = _whole_factor(protos_hw, placed.source_hw)
    plane_hw = (protos_hw[0] * factor, protos_hw[1] * factor)
    content = fit(placed.source_hw, plane_hw)
    bottom, right = content.top + content.content_hw[0], content.left + content.content_hw[1]
    rows, columns = _both(protos_hw, plane_hw)
    crop = rows.part(content.top, bottom), columns.part(content.left, right)
    return Enlargement(placed.source_hw, (_both(content.content_hw, placed.source_hw), crop))


def draw_masks(
    protos: NDArray[np.float32], coefficients: NDArray[np.float32], xyxy: NDArray[np.float32], enlargement: Enlargement
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Masks of the detections that have one, and which those are.

    protos: (M, h, w). coefficients: (N, M). xyxy: (N, 4) boxes in pixels of the masks. Returns (K, H, W) uint8 of 0
    and 1, where the enlarged logits are positive and inside the box, and the indices (K,) of those that are not empty.
    """
    masks = np.zeros((len(xyxy), *enlargement.shape_hw), np.uint8)
    found: list[int] = []
    with np.errstate(all="ignore"):  # a network that overflowed
        for index, window in enumerate(_windows(xyxy, enlargement.shape_hw)):
            logits = Logits(protos, coefficients[index])
            if _draw(masks[len(found)], logits, enlargement, window):
                found.append(index)
    return masks[: len(found)], np.array(found, np.intp)


def _draw(mask: NDArray[np.uint8], logits: Logits, enlargement: Enlargement, window: Window) -> bool:
    """Draw one mask on zeros; whether it has any pixel."""
    top, bottom, left, right = window
    if top >= bottom or left >= right:
        return False
    inside = mask[top:bottom, left:right].view(np.bool_)
    height = max(_BAND // (right - left), 1)
    for start in range(top, bottom, height):
        stop = min(start + height, bottom)
        values = enlargement.window(logits, (start, stop, left, right))
        np.greater(values, 0, out=inside[start - top : stop - top])
    return bool(inside.any())


def _window(logits: Logits, steps: tuple[tuple[Taps, Taps], ...], window: Window) -> NDArray[np.float32]:
    if not steps:
        return logits.window(window)
    top, bottom, left, right = window
    rows, columns = steps[0][0].part(top, bottom), steps[0][1].part(left, right)
    plane = _window(logits, steps[1:], (*rows.span, *columns.span))
    return enlarge(plane, rows.after(rows.span[0]), columns.after(columns.span[0]))


def _windows(xyxy: NDArray[np.float32], shape_hw: tuple[int, int]) -> list[Window]:
    """Pixels whose column is in x1 <= column < x2, and rows alike; none for a box that is no numbers."""
    limit = np.array([shape_hw[1], shape_hw[0]] * 2, np.float32)
    edges = np.clip(np.ceil(np.where(np.isnan(xyxy).any(axis=1, keepdims=True), 0, xyxy)), 0, limit).astype(int)
    return [(top, bottom, left, right) for left, top, right, bottom in edges.tolist()]


def _both(given_hw: tuple[int, int], wanted_hw: tuple[int, int]) -> tuple[Taps, Taps]:
    return Taps.between(given_hw[0], wanted_hw[0]), Taps.between(given_hw[1], wanted_hw[1])


def _whole_factor(protos_hw: tuple[int, int], source_hw: tuple[int, int]) -> int:
    """The smallest enlargement, 1, 2 or 4, at which half of the letterbox's padding is a whole number of pixels."""
    canvas_hw = (protos_hw[0] * _PROTO_STEP, protos_hw[1] * _PROTO_STEP)
    content_hw = fit(source_hw, canvas_hw).content_hw
    spare = [canvas - content for canvas, content in zip(canvas_hw, content_hw, strict=True)]
    return next(factor for factor in (1, 2, 4) if factor == 4 or all(s * factor % 8 == 0 for s in spare))
