"""Draws boxes and their labels on a picture. Pure functions: same arguments, same pixels, in any thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.results.boxes import OBB
from yoloom.results.drawing.labels import LabelWriter
from yoloom.results.drawing.style import Color, DrawingStyle, drawing_style

Image: TypeAlias = NDArray[np.uint8]  # (H, W, 3) BGR

SHIFT = 4  # bits behind the point of OpenCV's coordinates


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
    """Draw boxes on a copy of a picture; the first box and its label lie on top.

    Args:
        image: (H, W, 3) uint8 BGR; not changed.
        xyxy: (N, 4) corners in pixels; cut at the edge of the picture.
        colors: N colours (BGR).
        labels: N texts in any language, or none; an empty text draws no label.
        line_width: pixels, at most the picture's longer side; scaled to the picture when None.
        font_size: pixels, at most MAX_FONT_SIZE; scaled to the picture when None.
        text_color: BGR; black or white to suit each label when None.

    Returns:
        (H, W, 3) uint8 BGR, new and writable.

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
    width = style.line_width
    for box, color in reversed(list(zip(corners, colors, strict=True))):
        left, top, right, bottom = (max(edge - width // 2, 0) for edge in box)
        for y in (top, bottom):
            canvas[y : y + width, left : right + width] = color
        for x in (left, right):
            canvas[top : bottom + width, x : x + width] = color


def paint_oriented(canvas: Image, obb: OBB, colors: Sequence[Color], style: DrawingStyle) -> None:
    """Paint N oriented boxes on `canvas` (H, W, 3) itself; the first lies on top."""
    corners = subpixels(obb.xyxyxyxy, canvas.shape)
    for quad, color in reversed(list(zip(corners, colors, strict=True))):
        cv2.polylines(canvas, [quad], True, color, style.line_width, cv2.LINE_AA, SHIFT)


def paint_labels(
    canvas: Image, corners_xy: ArrayLike, colors: Sequence[Color], labels: Sequence[str], style: DrawingStyle
) -> None:
    """Write N labels, or none, on `canvas` itself, each over its corner (N, 2); the first lies on top."""
    if any(labels):
        writer = LabelWriter(canvas, style)
        corners = _on_canvas(np.asarray(corners_xy, np.float64).reshape(-1, 2), canvas)
        for (x, y), color, label in reversed(list(zip(corners, colors, labels, strict=True))):
            writer.write_above(label, (x, y), color)


def label_corners(obb: OBB) -> NDArray[np.float32]:
    """Return where the label of each oriented box goes: its highest corner, (N, 2)."""
    corners = np.asarray(obb.xyxyxyxy)
    highest: NDArray[np.float32] = corners[np.arange(len(corners)), corners[..., 1].argmin(axis=1)]
    return highest


def subpixels(points_xy: ArrayLike, shape_hw: tuple[int, ...]) -> NDArray[np.int32]:
    """Convert points (..., 2) in pixels to int32 in sixteenths of a pixel, as OpenCV takes them.

    A point far outside stays outside, and so does one that is no number.
    """
    limit = 4 * max(shape_hw[:2])  # OpenCV's integers end somewhere
    within = np.clip(np.nan_to_num(np.asarray(points_xy, np.float64), nan=-limit), -limit, limit)
    return np.rint(within * (1 << SHIFT)).astype(np.int32)


def _on_canvas(points: NDArray[np.float64], canvas: Image) -> list[list[int]]:
    """Return rows of x, y, ... as whole pixels of the canvas."""
    height, width = canvas.shape[:2]
    edge = np.tile((width - 1, height - 1), points.shape[1] // 2)
    return np.rint(np.clip(np.nan_to_num(points), 0, edge)).astype(int).tolist()  # type: ignore[no-any-return]
