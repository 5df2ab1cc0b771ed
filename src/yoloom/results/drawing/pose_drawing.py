"""Paints keypoints on a picture, and the limbs between them where they are those of a person."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.results.drawing.box_drawing import SHIFT, subpixels
from yoloom.results.drawing.style import BLACK, PALETTE, Color, DrawingStyle, palette_color
from yoloom.results.keypoints import Keypoints

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
