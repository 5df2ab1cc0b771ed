"""Detection: the raw output of one image → rows x1, y1, x2, y2, confidence, class, extras in canvas pixels.

```
RAW         (4 + nc + extras, A) ─▶ candidates ─┬▶ xyxy ─▶ NMS ─┐
CANDIDATES  (K, 6 + extras)      ─▶ cut at conf ─┘              │
END2END     (N, 6 + extras)      ─▶ scores and classes kept ────┴▶ rows (N, 6 + extras) ─▶ back to the source
```
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np
from numpy.typing import NDArray

from yoloom.images.letterbox import Letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import BOX_VALUES, Detections, OutputLayout
from yoloom.postprocess.nms import MAX_CANDIDATES, nms


def find(
    outputs: tuple[NDArray[np.float32], ...],
    layout: OutputLayout,
    letterbox: Letterbox,
    options: PredictOptions,
    keep: Set[int] | None,
) -> Detections:
    """Find boxes. outputs: (4 + nc, A), or rows (N, 6). Raises InvalidModel for other shapes."""
    rows = detect(outputs[0], layout, 0, options, keep)
    if len(rows):
        rows[:, :4] = letterbox.to_source(rows[:, :4])
    return Detections(boxes=rows)


def detect(
    output: NDArray[np.float32], layout: OutputLayout, extras: int, options: PredictOptions, keep: Set[int] | None
) -> NDArray[np.float32]:
    """Return rows (N, 6 + extras) of an output of either layout. Raises InvalidModel for an output of another shape."""
    if layout.end2end:
        layout.check_rows(output, extras)
        return detect_end2end(output, options, keep)
    return _suppressed(candidates_of(output, layout, extras, options, keep), options)


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
    output: NDArray[np.float32], layout: OutputLayout, extras: int, options: PredictOptions, keep: Set[int] | None
) -> NDArray[np.float32]:
    """Return the candidates of an output that is not suppressed, see `candidates`.

    Rows that were ranked in the graph are in the order that `candidates` gives: the score down, then the anchor up.
    Raises InvalidModel for an output of another shape.
    """
    if not layout.ranked:
        return candidates(output, layout.classes_in(output, extras), options, keep)
    layout.check_rows(output, extras)
    return of_classes(output[output[:, 4] > options.conf], keep)[:MAX_CANDIDATES]


def candidates(
    output: NDArray[np.float32], nc: int, options: PredictOptions, keep: Set[int] | None
) -> NDArray[np.float32]:
    """Return the anchors whose best class scores above `conf`, best first; the first of equals stays first.

    Args:
        output: (4 + nc + extras, A).
        nc: number of classes.
        options: conf is used.
        keep: class ids, None for all.

    Returns:
        (N, 6 + extras) float32 of the 4 box values as they are, score, class, extras, at most MAX_CANDIDATES.
    """
    first_extra = BOX_VALUES + nc
    anchors = np.flatnonzero(output[BOX_VALUES:first_extra].max(axis=0) > options.conf)
    if not len(anchors):
        return np.empty((0, len(output) - nc + 2), np.float32)
    columns = output[:, anchors]
    scores = columns[BOX_VALUES:first_extra]
    cls = scores.argmax(axis=0)
    best = scores[cls, np.arange(len(anchors))][:, None]
    parts = (columns[:BOX_VALUES].T, best, cls[:, None].astype(np.float32), columns[first_extra:].T)
    rows = of_classes(np.concatenate(parts, axis=1), keep)
    return rows[np.argsort(-rows[:, 4], kind="stable")[:MAX_CANDIDATES]]


def of_classes(rows: NDArray[np.float32], keep: Set[int] | None) -> NDArray[np.float32]:
    """Return the rows whose class, their column 5, is in `keep`; None for all."""
    return rows if keep is None else rows[np.isin(rows[:, 5], list(keep))]
