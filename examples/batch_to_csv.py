"""A folder of pictures to one CSV file, a row for each detection: decoding, running and writing overlap.

    python examples/batch_to_csv.py best.pt photos/ > detections.csv

A torn picture in the folder is left out with a warning. Nothing is kept in memory but a few pictures ahead.
"""

from __future__ import annotations

import csv
import sys

from yoloom import YOLO


def main(model_path: str, *sources: str) -> None:
    with YOLO(model_path) as model:
        rows = csv.writer(sys.stdout)
        rows.writerow(["path", "class", "confidence", "x1", "y1", "x2", "y2"])
        for result in model.map(sources, conf=0.3):
            for box in result.boxes:
                name = result.names[int(box.cls)]
                rows.writerow([result.path, name, f"{float(box.conf):.3f}", *box.xyxy[0].int().tolist()])


if __name__ == "__main__":
    main(*sys.argv[1:])
