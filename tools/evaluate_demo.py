"""COCO average precision of a detector on synthetic scenes.

    python tools/evaluate_demo.py src/yoloom/assets/demo.onnx

The scenes are the 200 that nothing was trained or tuned on, unless `--first` and `--count` name others.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from yoloom import scenes

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Boxes:
    """Boxes of one image: `xyxy (N, 4)` in pixels, `cls (N,)`, `conf (N,)` 0..1 (ones for ground truth)."""

    xyxy: Array
    cls: Array
    conf: Array


@dataclass(frozen=True)
class Average:
    """Mean average precision over the classes, 0..1: at IoU 0.50, and over IoU 0.50 to 0.95."""

    map50: float
    map50_95: float


def coco_map(ground_truth: Sequence[Boxes], detections: Sequence[Boxes]) -> Average:
    """COCO's mean average precision; item `i` of both is image `i`."""
    found = _rows(detections)
    if not found:
        return Average(0.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _dataset(ground_truth)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return Average(float(evaluation.stats[1]), float(evaluation.stats[0]))


def _dataset(ground_truth: Sequence[Boxes]) -> dict[str, Any]:
    rows = _rows(ground_truth)
    for number, row in enumerate(rows, start=1):
        row.update(id=number, iscrowd=0, area=row["bbox"][2] * row["bbox"][3])
    classes = sorted({row["category_id"] for row in rows})
    return {
        "info": {},
        "images": [{"id": image} for image in range(len(ground_truth))],
        "categories": [{"id": cls, "name": str(cls)} for cls in classes],
        "annotations": rows,
    }


def _rows(images: Iterable[Boxes]) -> list[dict[str, Any]]:
    return [
        {
            "image_id": image,
            "category_id": int(cls),
            "bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
            "score": float(conf),
        }
        for image, boxes in enumerate(images)
        for (x1, y1, x2, y2), cls, conf in zip(boxes.xyxy, boxes.cls, boxes.conf, strict=True)
    ]


def letterbox(image: Array, imgsz: int) -> tuple[Array, float, tuple[int, int]]:
    """Shrink an image to `imgsz` and pad it to multiples of 32.

    Returns the network's input `(1, 3, H, W)` float32, and the scale and the left and top padding that undo it.
    """
    height, width = image.shape[:2]
    scale = imgsz / max(height, width)
    inner = round(width * scale), round(height * scale)
    right, down = -inner[0] % 32, -inner[1] % 32
    left, top = right // 2, down // 2
    resized = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR) if scale != 1.0 else image
    framed = cv2.copyMakeBorder(
        resized, top, down - top, left, right - left, cv2.BORDER_CONSTANT, value=(114, 114, 114)
    )
    rgb = framed[..., ::-1].transpose(2, 0, 1)[None]
    return np.ascontiguousarray(rgb, dtype=np.float32) / 255.0, scale, (left, top)


def suppress(output: Array, conf: float = 0.001, iou: float = 0.7, max_det: int = 300) -> Boxes:
    """Class-wise greedy non-maximum suppression of one image's `(4 + nc, A)` output."""
    scores = output[4:]
    cls, anchor = np.nonzero(scores > conf)
    order = np.argsort(-scores[cls, anchor], kind="stable")[:30_000]
    cls, anchor = cls[order], anchor[order]
    centre, half = output[:2, anchor].T, output[2:4, anchor].T / 2.0
    xyxy = np.concatenate([centre - half, centre + half], axis=1)
    kept = list(_greedy(xyxy + cls[:, None] * 10_000.0, iou, max_det))
    return Boxes(xyxy[kept], cls[kept], scores[cls, anchor][kept])


def _greedy(xyxy: Array, iou: float, max_det: int) -> Iterator[int]:
    area = np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)
    left = np.arange(len(xyxy))
    while len(left) and max_det:
        first, left = left[0], left[1:]
        yield int(first)
        corner, opposite = np.maximum(xyxy[left, :2], xyxy[first, :2]), np.minimum(xyxy[left, 2:], xyxy[first, 2:])
        meet = np.prod(np.clip(opposite - corner, 0.0, None), axis=1)
        left = left[meet <= iou * (area[left] + area[first] - meet)]
        max_det -= 1


def detect(session: onnxruntime.InferenceSession, image: Array, imgsz: int) -> Boxes:
    """Detections of one BGR image, in its pixels."""
    pixels, scale, padding = letterbox(image, imgsz)
    found = suppress(session.run(None, {"images": pixels})[0][0])
    height, width = image.shape[:2]
    xyxy = (found.xyxy - np.array(padding * 2)) / scale
    return Boxes(np.clip(xyxy, 0.0, (width, height, width, height)), found.cls, found.conf)


def evaluate(model: Path, seeds: Iterable[int], size_wh: tuple[int, int], imgsz: int) -> Average:
    """Average precision of an ONNX file on the scenes of `seeds`."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    truth, found = [], []
    for seed in seeds:
        drawn = scenes.scene(seed, size_wh)
        truth.append(Boxes(drawn.xyxy, drawn.cls, np.ones(len(drawn.cls))))
        found.append(detect(session, drawn.image, imgsz))
    return coco_map(truth, found)


def main() -> None:
    """Read the command line, evaluate and print."""
    parser = argparse.ArgumentParser(description="COCO average precision of a detector on synthetic scenes.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--first", type=int, default=scenes.EVALUATION_SEEDS.start)
    parser.add_argument("--count", type=int, default=len(scenes.EVALUATION_SEEDS))
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.count)
    average = evaluate(options.model, seeds, tuple(options.size), options.imgsz)
    print(f"mAP50 {average.map50:.4f}  mAP50-95 {average.map50_95:.4f}  ({len(seeds)} scenes from seed {seeds.start})")


if __name__ == "__main__":
    main()
