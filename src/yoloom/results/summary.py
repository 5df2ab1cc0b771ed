"""Results as plain dictionaries, and in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData

Row = dict[str, Any]


def summary(results: ResultsData, normalize: bool = False, decimals: int = 5) -> list[Row]:
    """Return one dictionary for each detection, or for each of the five most probable classes."""
    values: list[list[Any]] = [
        results.class_names,
        results.classes,
        [round(conf, decimals) for conf in results.confidences],
    ]
    boxes, masks, keypoints = results.detections, results.masks, results.keypoints
    if boxes is not None:
        name = "xyxyxyxy" if isinstance(boxes, OBB) else "xyxy"
        corners = getattr(boxes, name + "n" * normalize)
        keys = corner_names(corners[:1].size // 2)
        values.append([dict(zip(keys, _rounded(box.ravel(), decimals), strict=True)) for box in corners])
        if masks is not None:
            polygons = masks.xyn if normalize else masks.xy
            values.append([{axis: _rounded(xy[:, i], decimals) for i, axis in enumerate("xy")} for xy in polygons])
        if keypoints is not None:
            xy = keypoints.xyn if normalize else keypoints.xy
            axes = {"x": xy[..., 0], "y": xy[..., 1]}
            if keypoints.conf is not None:
                axes["visible"] = keypoints.conf
            values.append([{key: _rounded(axes[key][i], decimals) for key in axes} for i in range(len(keypoints))])
    return [dict(zip(columns(results), row, strict=True)) for row in zip(*values, strict=True)]


def columns(results: ResultsData) -> tuple[str, ...]:
    """Return the keys of each dictionary of the summary: the task's, however many detections there are."""
    if results.detections is None and results.probs is not None:
        return "name", "class", "confidence"
    segments, keypoints = results.masks is not None, results.keypoints is not None
    return ("name", "class", "confidence", "box", *["segments"] * segments, *["keypoints"] * keypoints)


def verbose(results: ResultsData) -> str:
    """Return the counts in words, by class number: "2 persons, 1 bus, "; or the five most probable classes."""
    if not len(results):
        return "(no detections), "
    if results.detections is None:
        return "".join(f"{name} {conf:.2f}, " for name, conf in named(results))
    counts = Counter(results.classes)
    return "".join(f"{n} {results.class_name(cls)}{'s' * (n > 1)}, " for cls, n in sorted(counts.items()))


def named(results: ResultsData) -> Iterator[tuple[str, float]]:
    """Return class name and confidence of each row of the summary."""
    return zip(results.class_names, results.confidences, strict=True)


def corner_names(count: int) -> list[str]:
    """Return "x1", "y1", "x2", "y2", ... for `count` corners."""
    return [f"{axis}{number}" for number in range(1, count + 1) for axis in "xy"]


def _rounded(values: NDArray[np.float32], decimals: int) -> list[float]:
    return [round(value, decimals) for value in values.tolist()]
