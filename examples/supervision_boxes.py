"""Annotate pictures with supervision, whose detections are made of results as they are.

pip install supervision
python examples/supervision_boxes.py best.pt a.jpg
"""

from __future__ import annotations

import sys

import supervision as sv

from yoloom import YOLO


def main(model_path: str, *paths: str) -> None:
    with YOLO(model_path) as model:
        for result in model.map(paths, conf=0.3):
            detections = sv.Detections.from_ultralytics(result)
            picture = sv.BoxAnnotator().annotate(result.orig_img.copy(), detections)
            print(f"{result.path}: {len(detections)} boxes on {picture.shape[1]} x {picture.shape[0]} pixels")


if __name__ == "__main__":
    main(*sys.argv[1:])
