"""Results as lines of the label files that Ultralytics' tools read."""

from __future__ import annotations

from typing import Any

import numpy as np

from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData
from yoloom.results.summary import named


def label_lines(results: ResultsData, with_conf: bool) -> list[str]:
    """Return one line for each detection, in units of the picture's size, with the confidence at its end if wanted.

    ```
    detect    class x y w h                    obb       class x1 y1 x2 y2 x3 y3 x4 y4
    segment   class x1 y1 x2 y2 ... xm ym      classify  probability name, with_conf or not
    pose      class x y w h  x1 y1 v1 ...  xk yk vk
    ```

    A detection whose mask is empty has no line.
    """
    boxes, masks, keypoints = results.detections, results.masks, results.keypoints
    if boxes is None:
        return [f"{conf:.2f} {name}\n" for name, conf in named(results)]
    places: list[Any]
    if isinstance(boxes, OBB):
        places = list(boxes.xyxyxyxyn)
    elif masks is not None:
        places = masks.xyn
    elif keypoints is not None:
        points = np.concatenate([keypoints.xyn, keypoints.data[..., 2:]], axis=2)
        places = [np.concatenate([box, body.ravel()]) for box, body in zip(boxes.xywhn, points, strict=True)]
    else:
        places = list(boxes.xywhn)

    lines = []
    for cls, conf, place in zip(results.classes, results.confidences, places, strict=True):
        values = [*place.ravel().tolist(), *[conf] * with_conf]
        if place.size:
            lines.append(f"{cls} {' '.join(f'{value:g}' for value in values)}\n")
    return lines
