"""Results as text, tables, and other libraries' objects.

The libraries are imported at their first use, and none is a dependency.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable
from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData
from yoloom.results.summary import Row, columns, corner_names, summary


def to_json(rows: list[Row]) -> str:
    """Return the rows of a summary as compact JSON."""
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


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
    types = _polars_types(polars, results)
    return polars.DataFrame(rows, schema={key: types[key] for key in keys})


def _polars_types(polars: Any, results: ResultsData) -> dict[str, Any]:
    corners = corner_names(2 if results.obb is None else 4)
    visible = ["visible"] * (results.keypoints is not None and results.keypoints.has_visible)
    numbers = polars.List(polars.Float64)
    return {
        "name": polars.String,
        "class": polars.Int64,
        "confidence": polars.Float64,
        "box": polars.Struct(dict.fromkeys(corners, polars.Float64)),
        "segments": polars.Struct(dict.fromkeys("xy", numbers)),
        "keypoints": polars.Struct(dict.fromkeys(["x", "y", *visible], numbers)),
    }


def to_supervision(results: ResultsData) -> Any:
    """Return the detections as `supervision.Detections`, or `Classifications`, with arrays of their own."""
    supervision = _require("supervision", "to_supervision() needs supervision: pip install supervision")
    boxes = results.detections
    if boxes is None and results.probs is None:
        return supervision.Detections.empty()
    if boxes is None:
        values = results.probs.data.numpy()
        return supervision.Classifications(class_id=np.arange(len(values)), confidence=values)
    data: dict[str, NDArray[Any]] = {"class_name": np.array(results.class_names, dtype=str)}
    if isinstance(boxes, OBB):
        data["xyxyxyxy"] = boxes.xyxyxyxy.numpy()
    return supervision.Detections(
        xyxy=boxes.xyxy.numpy(),
        mask=None if results.masks is None else results.masks.on_picture().astype(bool),
        confidence=boxes.conf.numpy(),
        class_id=boxes.cls.long().numpy(),
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
