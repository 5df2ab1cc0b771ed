"""What people write by hand around a runtime: letterbox, blob, threshold, NMS, and back to the picture's pixels.

For the contenders that bring a runtime or a queue, and nothing of YOLO. Needs numpy and OpenCV only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 640  # pixels; every contender computes squares of this size
GREY = 114
CLASS_OFFSET = 8192.0  # pixels that keep boxes of different classes apart in one NMS
Image = NDArray[np.uint8]
Rows = NDArray[np.float32]
"""(N, 6): xyxy in pixels of the picture, confidence, class."""


@dataclass(frozen=True)
class Letterboxed:
    """A picture on its canvas (SIDE, SIDE, 3) uint8 BGR, and how it got there."""

    canvas: Image
    gain: float
    corner_xy: tuple[int, int]
    picture_hw: tuple[int, int]


def letterbox(picture: Image) -> Letterboxed:
    height, width = picture.shape[:2]
    gain = min(SIDE / height, SIDE / width)
    new_wh = round(width * gain), round(height * gain)
    left, top = round((SIDE - new_wh[0]) / 2 - 0.1), round((SIDE - new_wh[1]) / 2 - 0.1)
    canvas = np.full((SIDE, SIDE, 3), GREY, np.uint8)
    canvas[top : top + new_wh[1], left : left + new_wh[0]] = cv2.resize(picture, new_wh)
    return Letterboxed(canvas, gain, (left, top), (height, width))


def blob(canvas: Image) -> NDArray[np.float32]:
    """(1, 3, SIDE, SIDE) float32 RGB in 0..1."""
    return np.asarray(cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True), np.float32)


def rows(output: NDArray[np.float32], placed: Letterboxed, options: Mapping[str, Any]) -> Rows:
    """What is found in one raw output (4 + nc, anchors), best first."""
    scores = output[4:]
    best = scores.max(0)
    keep = best > options.get("conf", 0.25)
    classes = scores[:, keep].argmax(0)
    if options.get("classes") is not None:
        wanted = np.isin(classes, options["classes"])
        keep[np.flatnonzero(keep)[~wanted]] = False
        classes = classes[wanted]
    boxes, confidences = _xyxy(output[:4, keep].T), best[keep]
    kept = _nms(boxes, confidences, classes, options.get("iou", 0.7))[: options.get("max_det", 300)]
    found = np.column_stack([_to_picture(boxes[kept], placed), confidences[kept], classes[kept]])
    return found.astype(np.float32)


def _xyxy(xywh: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.hstack([xywh[:, :2] - xywh[:, 2:] / 2, xywh[:, :2] + xywh[:, 2:] / 2])


def _nms(boxes: NDArray[np.float32], confidences: NDArray[np.float32], classes: Any, iou: float) -> NDArray[np.intp]:
    if not len(boxes):
        return np.empty(0, np.intp)
    apart = boxes[:, :2] + classes[:, None] * CLASS_OFFSET
    xywh = np.hstack([apart, boxes[:, 2:] - boxes[:, :2]])
    return np.asarray(cv2.dnn.NMSBoxes(xywh.tolist(), confidences.tolist(), 0.0, iou), np.intp)


def _to_picture(boxes: NDArray[np.float32], placed: Letterboxed) -> NDArray[np.float32]:
    height, width = placed.picture_hw
    back = (boxes - np.tile(placed.corner_xy, 2)) / placed.gain
    return np.asarray(np.clip(back, 0, [width, height, width, height]), np.float32)
