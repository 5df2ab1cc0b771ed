"""Draws labelled boxes on a copy of a picture. Pure functions: same arguments, same pixels, in any thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.results.drawing.colors import Color
from yoloom.results.drawing.labels import LabelWriter
from yoloom.results.drawing.style import DrawingStyle, drawing_style

Image: TypeAlias = NDArray[np.uint8]  # (H, W, 3) BGR


def draw_boxes(
    image: Image,
    xyxy: ArrayLike,
    colors: Sequence[Color],
    labels: Sequence[str] = (),
    *,
    line_width: float | None = None,
    font_size: float | None = None,
    text_color: Color | None = None,
) -> Image:
    """Return a copy of `image` with boxes on it; the first box and its label lie on top.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        xyxy: (N, 4) corners in pixels; cut at the edge of the picture.
        colors: N colours (BGR).
        labels: N texts in any language, or none; an empty text draws no label.
        line_width: pixels, at most the picture's longer side; scaled to the picture when None.
        font_size: pixels, at most MAX_FONT_SIZE; scaled to the picture when None.
        text_color: BGR; black or white to suit each label when None.

    Raises:
        InvalidOption: for a size that is no finite number, or a colour that is not three numbers from 0 to 255.
    """
    canvas = np.array(image, order="C")
    style = drawing_style(canvas.shape, line_width, font_size, ink=text_color)
    paint_frames(canvas, xyxy, colors, style)
    paint_labels(canvas, np.asarray(xyxy, np.float64).reshape(-1, 4)[:, :2], colors, labels, style)
    return canvas


def paint_frames(canvas: Image, xyxy: ArrayLike, colors: Sequence[Color], style: DrawingStyle) -> None:
    """Paint boxes (N, 4) on `canvas` itself; the first lies on top."""
    corners = _on_canvas(np.asarray(xyxy, np.float64).reshape(-1, 4), canvas)
    for box, color in reversed(list(zip(corners, colors, strict=True))):
        _paint_frame(canvas, box, color, style.line_width)


def paint_labels(
    canvas: Image, corners_xy: ArrayLike, colors: Sequence[Color], labels: Sequence[str], style: DrawingStyle
) -> None:
    """Write N labels, or none, on `canvas` itself, each over its corner (N, 2); the first lies on top."""
    if any(labels):
        writer = LabelWriter(canvas, style)
        corners = _on_canvas(np.asarray(corners_xy, np.float64).reshape(-1, 2), canvas)
        for (x, y), color, label in reversed(list(zip(corners, colors, labels, strict=True))):
            writer.write_above(label, (x, y), color)


def _paint_frame(canvas: Image, box: Sequence[int], color: Color, width: int) -> None:
    left, top, right, bottom = (max(edge - width // 2, 0) for edge in box)
    for y in (top, bottom):
        canvas[y : y + width, left : right + width] = color
    for x in (left, right):
        canvas[top : bottom + width, x : x + width] = color


def _on_canvas(points: NDArray[np.float64], canvas: Image) -> list[list[int]]:
    """Rows of x, y, ... as whole pixels of the canvas."""
    height, width = canvas.shape[:2]
    edge = np.tile((width - 1, height - 1), points.shape[1] // 2)
    return np.rint(np.clip(np.nan_to_num(points), 0, edge)).astype(int).tolist()  # type: ignore[no-any-return]
