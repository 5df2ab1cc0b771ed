"""What was found, as plain dictionaries and in words. Functions of a `Results`, nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from yoloom.results.keypoints import Keypoints
from yoloom.results.masks import Masks
from yoloom.results.obb import OBB

if TYPE_CHECKING:
    from yoloom.results.results import Results

Row = dict[str, Any]


def summary(results: Results, normalize: bool = False, decimals: int = 5) -> list[Row]:
    """One dictionary for each detection, or for each of the five most probable classes."""
    keys = columns(results)
    values = zip(*_columns(results, normalize, decimals), strict=True)
    return [dict(zip(keys, row, strict=True)) for row in values]


def columns(results: Results) -> tuple[str, ...]:
    """The keys of each dictionary of the summary: the task's, whatever was found."""
    if results.detections is None and results.probs is not None:
        return "name", "class", "confidence"
    segments, keypoints = results.masks is not None, results.keypoints is not None
    return ("name", "class", "confidence", "box", *["segments"] * segments, *["keypoints"] * keypoints)


def verbose(results: Results) -> str:
    """The counts in words, by class number: "2 persons, 1 bus, "; or the five most probable classes."""
    if not len(results):
        return "(no detections), "
    if results.detections is None:
        return "".join(f"{name} {conf:.2f}, " for name, conf in named(results))
    counts = Counter(results.classes)
    return "".join(f"{n} {results.class_name(cls)}{'s' * (n > 1)}, " for cls, n in sorted(counts.items()))


def named(results: Results) -> Iterator[tuple[str, float]]:
    """Class name and confidence of each row of the summary."""
    return zip(results.class_names, results.confidences, strict=True)


def corner_names(count: int) -> list[str]:
    """ "x1", "y1", "x2", "y2", ... for `count` corners."""
    return [f"{axis}{number}" for number in range(1, count + 1) for axis in "xy"]


def _columns(results: Results, normalize: bool, decimals: int) -> Iterator[list[Any]]:
    yield results.class_names
    yield results.classes
    yield [round(conf, decimals) for conf in results.confidences]
    found = results.detections
    if found is None:
        return
    yield [_corners(corners, decimals) for corners in _corners_of(found, normalize)]
    if results.masks is not None:
        yield _segments(results.masks, normalize, decimals)
    if results.keypoints is not None:
        yield _points(results.keypoints, normalize, decimals)


def _corners_of(found: Any, normalize: bool) -> NDArray[np.float32]:
    name = "xyxyxyxy" if isinstance(found, OBB) else "xyxy"
    corners: NDArray[np.float32] = getattr(found, name + "n" * normalize)
    return corners


def _corners(values: NDArray[np.float32], decimals: int) -> Row:
    return dict(zip(corner_names(values.size // 2), _rounded(values.ravel(), decimals), strict=True))


def _segments(masks: Masks, normalize: bool, decimals: int) -> list[Row]:
    polygons = masks.xyn if normalize else masks.xy
    return [{axis: _rounded(xy[:, i], decimals) for i, axis in enumerate("xy")} for xy in polygons]


def _points(keypoints: Keypoints, normalize: bool, decimals: int) -> list[Row]:
    xy = keypoints.xyn if normalize else keypoints.xy
    values = {"x": xy[..., 0], "y": xy[..., 1]} | ({} if keypoints.conf is None else {"visible": keypoints.conf})
    return [{key: _rounded(value[i], decimals) for key, value in values.items()} for i in range(len(keypoints))]


def _rounded(values: NDArray[np.float32], decimals: int) -> list[float]:
    return [round(value, decimals) for value in values.tolist()]
