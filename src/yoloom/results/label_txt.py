"""What was found, as lines of the label files that Ultralytics' tools read. Functions of a `Results`, nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from yoloom.results.boxes import Boxes
from yoloom.results.obb import OBB
from yoloom.results.summary import named

if TYPE_CHECKING:
    from yoloom.results.results import Results


def label_lines(results: Results, with_conf: bool) -> list[str]:
    """One line for each detection, in units of the picture's size, with the confidence at its end if asked for.

    ```
    detect    class x y w h                    obb       class x1 y1 x2 y2 x3 y3 x4 y4
    segment   class x1 y1 x2 y2 ... xm ym      classify  probability name, whether asked for or not
    pose      class x y w h  x1 y1 v1 ...  xk yk vk
    ```

    A detection whose mask is empty has no line.
    """
    if results.detections is None:
        return [f"{conf:.2f} {name}\n" for name, conf in named(results)]
    places = _places(results, results.detections)
    ends = [[conf] * with_conf for conf in results.confidences]
    rows = zip(results.classes, places, ends, strict=True)
    return [_line(cls, [*place, *end]) for cls, place, end in rows if place]


def _places(results: Results, found: Boxes | OBB) -> list[list[float]]:
    if isinstance(found, OBB):
        return [corners.ravel().tolist() for corners in found.xyxyxyxyn]
    if results.masks is not None:
        return [polygon.ravel().tolist() for polygon in results.masks.xyn]
    return np.concatenate([found.xywhn, _points(results)], axis=1).tolist()  # type: ignore[no-any-return]


def _points(results: Results) -> np.ndarray:
    keypoints = results.keypoints
    if keypoints is None:
        return np.empty((len(results), 0), np.float32)
    points = np.concatenate([keypoints.xyn, keypoints.data[..., 2:]], axis=2)
    return points.reshape(len(points), points[0].size if len(points) else 0)


def _line(cls: int, values: Iterable[float]) -> str:
    return f"{cls} {' '.join(f'{value:g}' for value in values)}\n"
