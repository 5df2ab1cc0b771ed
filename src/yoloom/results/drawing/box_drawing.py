"""Paints boxes, masks and poses on a canvas (H, W, 3) uint8 BGR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.results.boxes import OBB
from yoloom.results.drawing.style import BLACK, PALETTE, Color, DrawingStyle, LabelWriter, drawing_style, palette_color
from yoloom.results.keypoints import Keypoints
from yoloom.results.masks import Masks

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
    """Write N labels, or none, on `canvas` itself, each over its corner (N, 2) if it fits there; the first on top."""
    if any(labels):
        writer = LabelWriter(canvas, style)
        corners = _on_canvas(np.asarray(corners_xy, np.float64).reshape(-1, 2), canvas)
        outer = style.line_width // 2  # how far the line of a box reaches beyond its corner
        for (x, y), color, label in reversed(list(zip(corners, colors, labels, strict=True))):
            if label:
                height = writer.size_wh(label)[1]
                writer.write(label, (x - outer, y - outer - height + 1), color)


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


OPACITY = 0.45  # of the colour over what is masked: the picture stays readable


def paint_masks(canvas: NDArray[np.uint8], masks: Masks, colors: Sequence[Color], style: DrawingStyle) -> None:
    """Tint what N masks cover on `canvas` (H, W, 3) itself, and draw their edges; the first lies on top."""
    for number, color in reversed(list(enumerate(colors))):
        left, top, piece = masks.cut_out(number)
        region = canvas[top : top + piece.shape[0], left : left + piece.shape[1]]
        if not region.size:
            continue
        mask = piece[: region.shape[0], : region.shape[1]]
        tint = np.array((*color, 0)) * OPACITY  # four numbers are one colour to OpenCV
        cv2.copyTo(cv2.add(cv2.convertScaleAbs(region, alpha=1 - OPACITY), tint), mask, region)
        edges, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(region, edges, -1, color, max(1, style.line_width // 2), cv2.LINE_AA)


MIN_VISIBILITY = 0.25  # a point below it is a guess, and not drawn

LEFT, RIGHT, MIDDLE = PALETTE[1], PALETTE[5], PALETTE[3]  # blue, pink, yellow: persons are often class 0, orange

# The person of COCO: 0 nose, then left and right: 1 eyes, 3 ears, 5 shoulders, 7 elbows, 9 wrists, 11 hips, 13 knees,
# 15 ankles.
PERSON_SIDES = (MIDDLE, *(LEFT, RIGHT) * 8)
PERSON_LIMBS = (
    *((0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6)),  # head and neck
    *((5, 6), (5, 11), (6, 12), (11, 12)),  # trunk
    *((5, 7), (7, 9), (6, 8), (8, 10)),  # arms
    *((11, 13), (13, 15), (12, 14), (14, 16)),  # legs
)


def paint_poses(canvas: NDArray[np.uint8], keypoints: Keypoints, limbs: bool, style: DrawingStyle) -> None:
    """Paint the keypoints of N detections on `canvas` (H, W, 3) itself; the first lies on top."""
    xy = np.asarray(keypoints.xy)
    seen: NDArray[np.bool_] = (xy != 0).any(axis=2)  # a point in the corner of the picture means that there is none
    if keypoints.conf is not None:
        seen &= np.asarray(keypoints.conf) >= MIN_VISIBILITY
    count = xy.shape[1]
    is_person = count == len(PERSON_SIDES)
    colors: Sequence[Color] = PERSON_SIDES if is_person else [palette_color(number) for number in range(count)]
    radius = style.point_radius << SHIFT
    detections = zip(subpixels(xy, canvas.shape).tolist(), seen.tolist(), strict=True)
    for points, drawn in reversed(list(detections)):
        for one, other in PERSON_LIMBS if limbs and is_person else ():
            if drawn[one] and drawn[other]:
                color = PERSON_SIDES[one] if PERSON_SIDES[one] == PERSON_SIDES[other] else MIDDLE
                cv2.line(canvas, points[one], points[other], color, style.line_width, cv2.LINE_AA, SHIFT)
        for point, color, is_drawn in zip(points, colors, drawn, strict=True):
            if is_drawn:
                cv2.circle(canvas, point, radius + (1 << SHIFT), BLACK, cv2.FILLED, cv2.LINE_AA, SHIFT)
                cv2.circle(canvas, point, radius, color, cv2.FILLED, cv2.LINE_AA, SHIFT)
