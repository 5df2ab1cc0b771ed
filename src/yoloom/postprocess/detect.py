"""Detection: the raw output of one image → rows x1, y1, x2, y2, confidence, class, extras in canvas pixels.

```
RAW         (4 + nc + extras, A) ─▶ candidates ─┬▶ xyxy ─▶ NMS ─┐
OBJECTNESS  (A, 5 + nc + extras) ─▶ products ────┤              │
CANDIDATES  (K, 6 + extras)      ─▶ cut at conf ─┘              │
END2END     (N, 6 + extras)      ─▶ scores and classes kept ────┴▶ rows (N, 6 + extras) ─▶ back to the source
```

Whatever passes `conf` is checked: what no sound network gives is InvalidOutput (sanity.py).
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidOutput
from yoloom.formats.model import Layout
from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import BOX_VALUES, Detections, OutputLayout
from yoloom.postprocess.nms import MAX_CANDIDATES, nms
from yoloom.postprocess.sanity import check_classes, check_rows, check_scores


def find(
    outputs: tuple[NDArray[np.float32], ...],
    layout: OutputLayout,
    letterbox: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Find boxes. outputs: (4 + nc, A), or rows (N, 6). Raises InvalidModel for other shapes."""
    rows = detect(outputs[0], layout, 0, letterbox.canvas_hw, options, keep)
    if len(rows):
        rows[:, :4] = letterbox.to_source(rows[:, :4])
    return Detections(boxes=rows)


def detect(
    output: NDArray[np.float32],
    layout: OutputLayout,
    extras: int,
    canvas_hw: tuple[int, int],
    options: PredictOptions,
    keep: Set[int] | None,
) -> NDArray[np.float32]:
    """Return rows (N, 6 + extras) of an output of any layout.

    Raises InvalidModel for an output of another shape, and InvalidOutput for values that no network should give.
    """
    if layout.end2end:
        layout.check_rows(output, extras)
        check_scores(output[:, 4])
        rows = detect_end2end(output, options, keep)
        check_classes(rows[:, 5], layout.nc)
        check_rows(rows, canvas_hw, xyxy=True)
        return rows
    rows = candidates_of(output, layout, extras, canvas_hw, options, keep)
    if len(rows):
        check_rows(rows, canvas_hw, xyxy=False)
    return _suppressed(rows, options)


def detect_raw(
    output: NDArray[np.float32], options: PredictOptions, keep: Set[int] | None, nc: int | None = None
) -> NDArray[np.float32]:
    """Filter and suppress the output of a one-to-many head. The same input gives the same bits, always.

    Args:
        output: (4 + nc + extras, A) of xywh in canvas pixels, a score for each class, and the extras.
        options: conf, iou, max_det and agnostic_nms are used.
        keep: class ids, None for all.
        nc: number of classes; None where there are no extras.

    Returns:
        (N, 6 + extras) float32, best first.
    """
    return _suppressed(candidates(output, len(output) - BOX_VALUES if nc is None else nc, options, keep), options)


def _suppressed(rows: NDArray[np.float32], options: PredictOptions) -> NDArray[np.float32]:
    """Turn candidates, x, y, w, h first, into corners where they lie, and return those that NMS keeps."""
    if not len(rows):
        return rows
    centre, half = rows[:, :2], rows[:, 2:4] / np.float32(2)
    with np.errstate(all="ignore"):  # a network that overflowed
        rows[:, :4] = np.concatenate([centre - half, centre + half], axis=1)
    return rows[nms(rows[:, :4], rows[:, 5], iou=options.iou, max_det=options.max_det, agnostic=options.agnostic_nms)]


def detect_end2end(output: NDArray[np.float32], options: PredictOptions, keep: Set[int] | None) -> NDArray[np.float32]:
    """Filter the output of a network whose graph suppressed already.

    Args:
        output: (N, 6 + extras) rows x1, y1, x2, y2 (oriented boxes: x, y, w, h), score, class, extras in canvas pixels,
            zeros as padding.
        options: conf and max_det are used.
        keep: class ids, None for all.

    Returns:
        (M, 6 + extras) float32.
    """
    rows = of_classes(output[output[:, 4] > options.conf], keep)
    return rows[: options.max_det].astype(np.float32)


def candidates_of(
    output: NDArray[np.float32],
    layout: OutputLayout,
    extras: int,
    canvas_hw: tuple[int, int],
    options: PredictOptions,
    keep: Set[int] | None,
) -> NDArray[np.float32]:
    """Return the candidates of an output that is not suppressed, see `candidates`.

    Rows that were ranked in the graph are in the order that `candidates` gives: the score down, then the anchor up.
    Raises InvalidModel for an output of another shape.
    """
    if layout.ranked:
        layout.check_rows(output, extras)
        check_scores(output[:, 4])
        return of_classes(output[output[:, 4] > options.conf], keep)[:MAX_CANDIDATES]
    if layout.form is Layout.RAW:
        return candidates(output, layout.classes_in(output, extras), options, keep, checked=True)
    if layout.form is Layout.TRANSPOSED:
        return candidates(output.T, layout.classes_in(output.T, extras), options, keep, checked=True)
    if layout.form is Layout.ROWS:
        layout.check_rows(output, extras)
        check_scores(output[:, 4])
        rows = of_classes(output[output[:, 4] > options.conf], keep).astype(np.float32)
        check_classes(rows[:, 5], layout.nc)
        corner, other = rows[:, :2].copy(), rows[:, 2:4].copy()
        rows[:, :2], rows[:, 2:4] = (corner + other) / 2, other - corner
        return _best_first(rows)
    return _by_objectness(output, layout, extras, canvas_hw, options, keep)


def _by_objectness(
    output: NDArray[np.float32],
    layout: OutputLayout,
    extras: int,
    canvas_hw: tuple[int, int],
    options: PredictOptions,
    keep: Set[int] | None,
) -> NDArray[np.float32]:
    """Return the candidates of (A, 5 + nc + extras): the score is objectness times the best class."""
    before = BOX_VALUES + 1
    first_extra = before + layout.classes_in(output.T, extras, before)
    objectness = output[:, BOX_VALUES]
    check_scores(objectness)
    anchors = np.flatnonzero(objectness > options.conf)  # the product is at most as large
    rows = output[anchors]
    classes = rows[:, before:first_extra]
    check_scores(classes)
    cls = classes.argmax(axis=1)
    best = classes[np.arange(len(rows)), cls] * rows[:, BOX_VALUES]
    boxes = rows[:, :BOX_VALUES]
    if layout.form is Layout.YOLOX:
        boxes = _decoded(boxes, anchors, len(output), canvas_hw)
    parts = (boxes, best[:, None], cls[:, None].astype(np.float32), rows[:, first_extra:])
    found = np.concatenate(parts, axis=1)[best > options.conf]
    return _best_first(of_classes(found, keep))


def _decoded(
    boxes: NDArray[np.float32], anchors: NDArray[np.intp], count: int, canvas_hw: tuple[int, int]
) -> NDArray[np.float32]:
    """Turn YOLOX's boxes into pixels: centre = (cell + offset) * stride, size = exp(size) * stride."""
    height, width = canvas_hw
    cells, strides = [], []
    for stride in (8, 16, 32):
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1).astype(np.float32))
        strides.append(np.full((len(cells[-1]), 1), stride, np.float32))
    grid, stride_of = np.concatenate(cells), np.concatenate(strides)
    if len(grid) != count:
        raise InvalidOutput(
            f"the model gave {count} anchors for a canvas of {width} x {height} pixels; YOLOX has {len(grid)}: give "
            "another layout, YOLO(path, layout=...)."
        )
    with np.errstate(over="ignore"):  # found by `check_rows`
        centre = (boxes[:, :2] + grid[anchors]) * stride_of[anchors]
        return np.concatenate([centre, np.exp(boxes[:, 2:4]) * stride_of[anchors]], axis=1)


def _best_first(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows[np.argsort(-rows[:, 4], kind="stable")[:MAX_CANDIDATES]]


def candidates(
    output: NDArray[np.float32], nc: int, options: PredictOptions, keep: Set[int] | None, checked: bool = False
) -> NDArray[np.float32]:
    """Return the anchors whose best class scores above `conf`, best first; the first of equals stays first.

    Args:
        output: (4 + nc + extras, A).
        nc: number of classes.
        options: conf is used.
        keep: class ids, None for all.
        checked: raise InvalidOutput for scores outside 0..1, of any anchor.

    Returns:
        (N, 6 + extras) float32 of the 4 box values as they are, score, class, extras, at most MAX_CANDIDATES.
    """
    first_extra = BOX_VALUES + nc
    best_of_anchors = output[BOX_VALUES:first_extra].max(axis=0)
    if checked:
        check_scores(best_of_anchors)
    anchors = np.flatnonzero(best_of_anchors > options.conf)
    if not len(anchors):
        return np.empty((0, len(output) - nc + 2), np.float32)
    columns = output[:, anchors]
    scores = columns[BOX_VALUES:first_extra]
    cls = scores.argmax(axis=0)
    best = scores[cls, np.arange(len(anchors))][:, None]
    parts = (columns[:BOX_VALUES].T, best, cls[:, None].astype(np.float32), columns[first_extra:].T)
    return _best_first(of_classes(np.concatenate(parts, axis=1), keep))


def of_classes(rows: NDArray[np.float32], keep: Set[int] | None) -> NDArray[np.float32]:
    """Return the rows whose class, their column 5, is in `keep`; None for all."""
    return rows if keep is None else rows[np.isin(rows[:, 5], list(keep))]
