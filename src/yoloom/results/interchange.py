"""Results as other programs want them: rows of plain values, JSON, CSV, data frames and objects of other libraries.

The libraries are imported at their first use, and none is a dependency.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable
from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData, named

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
        corners = np.asarray(boxes.xyxyxyxy if isinstance(boxes, OBB) else boxes.xyxy.reshape(-1, 2, 2))
        if normalize:  # in float64, as Ultralytics does, for the same last digit
            corners = corners.astype(np.float64) / results.orig_shape[::-1]
        keys = corner_names(corners.shape[1])
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


def corner_names(count: int) -> list[str]:
    """Return "x1", "y1", "x2", "y2", ... for `count` corners."""
    return [f"{axis}{number}" for number in range(1, count + 1) for axis in "xy"]


def _rounded(values: NDArray[np.float32], decimals: int) -> list[float]:
    return [round(value, decimals) for value in values.tolist()]


def to_csv(rows: list[Row], keys: Sequence[str]) -> str:
    """Return the rows of a summary as CSV with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_df(results: ResultsData, normalize: bool, decimals: int) -> Any:
    """Return the summary as a polars DataFrame, or a pandas one where only pandas is installed."""
    rows, keys = summary(results, normalize, decimals), columns(results)
    try:
        polars = importlib.import_module("polars")
    except ImportError:
        pandas = _require("pandas", "to_df() needs polars or pandas: pip install polars")
        return pandas.DataFrame(rows, columns=list(keys))
    corners = corner_names(2 if results.obb is None else 4)
    visible = ["visible"] * (results.keypoints is not None and results.keypoints.has_visible)
    numbers = polars.List(polars.Float64)
    types = {
        "name": polars.String,
        "class": polars.Int64,
        "confidence": polars.Float64,
        "box": polars.Struct(dict.fromkeys(corners, polars.Float64)),
        "segments": polars.Struct(dict.fromkeys("xy", numbers)),
        "keypoints": polars.Struct(dict.fromkeys(["x", "y", *visible], numbers)),
    }
    return polars.DataFrame(rows, schema={key: types[key] for key in keys})


def to_supervision(results: ResultsData) -> Any:
    """Return the detections as `supervision.Detections`, or `Classifications`, with arrays of their own."""
    supervision = _require("supervision", "to_supervision() needs supervision: pip install supervision")
    boxes = results.detections
    if boxes is None and results.probs is None:
        return supervision.Detections.empty()
    if boxes is None:
        values = np.array(results.probs.data)
        return supervision.Classifications(class_id=np.arange(len(values)), confidence=values)
    data: dict[str, NDArray[Any]] = {"class_name": np.array(results.class_names, dtype=str)}
    if isinstance(boxes, OBB):
        data["xyxyxyxy"] = np.array(boxes.xyxyxyxy)
    return supervision.Detections(
        xyxy=np.array(boxes.xyxy),
        mask=None if results.masks is None else results.masks.on_picture().astype(bool),
        confidence=np.array(boxes.conf),
        class_id=np.asarray(boxes.cls).astype(np.int64),
        data=data,
    )


def to_pil(image: NDArray[np.uint8]) -> Any:
    """Return a BGR picture as `PIL.Image.Image`."""
    pil = _require("PIL.Image", "pil=True needs Pillow: pip install pillow")
    return pil.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def _require(module: str, message: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendUnavailable(message) from error
