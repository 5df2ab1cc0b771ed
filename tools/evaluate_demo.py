"""COCO average precision of a detector on synthetic scenes.

    python tools/evaluate_demo.py

The scenes are the 200 that nothing was trained or tuned on, unless `--first` and `--count` name others.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import scenes
from yoloom import YOLO
from yoloom.assets import DEMO_MODEL

Array = npt.NDArray[Any]

CONFIDENCE = 0.001
"""Least confidence: COCO's measure needs doubtful detections too."""


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
    """Compute COCO's mean average precision; item `i` of both is image `i`."""
    rows = _rows(detections)
    if not rows:
        return Average(0.0, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _dataset(ground_truth)
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
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


def evaluate(model: YOLO, seeds: Iterable[int], size_wh: tuple[int, int], imgsz: int) -> Average:
    """Measure a model on the scenes of `seeds`, through `YOLO.map` as users call it."""
    drawn = [scenes.scene(seed, size_wh) for seed in seeds]
    truth = [Boxes(scene.xyxy, scene.cls, np.ones(len(scene.cls))) for scene in drawn]
    results = model.map((scene.image for scene in drawn), imgsz=imgsz, conf=CONFIDENCE)
    return coco_map(truth, [Boxes(result.boxes.xyxy, result.boxes.cls, result.boxes.conf) for result in results])


def main() -> None:
    """Read the command line, evaluate and print."""
    parser = argparse.ArgumentParser(description="COCO average precision of a detector on synthetic scenes.")
    parser.add_argument("model", nargs="?", default=DEMO_MODEL)
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--size", type=int, nargs=2, default=(640, 480), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--first", type=int, default=scenes.EVALUATION_SEEDS.start)
    parser.add_argument("--count", type=int, default=len(scenes.EVALUATION_SEEDS))
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.count)
    with YOLO(options.model) as model:
        average = evaluate(model, seeds, tuple(options.size), options.imgsz)
    print(f"mAP50 {average.map50:.4f}  mAP50-95 {average.map50_95:.4f}  ({len(seeds)} scenes from seed {seeds.start})")


if __name__ == "__main__":
    main()
