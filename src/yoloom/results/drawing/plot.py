"""The plot of results. Pure functions: same arguments, same pixels, in any thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InvalidOption, UnknownOption
from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData
from yoloom.results.drawing.box_drawing import label_corners, paint_frames, paint_labels, paint_oriented
from yoloom.results.drawing.labels import paint_list
from yoloom.results.drawing.mask_drawing import paint_masks
from yoloom.results.drawing.pose_drawing import paint_poses
from yoloom.results.drawing.style import Color, drawing_style, palette_color
from yoloom.results.summary import named
from yoloom.validation import shown

Image = NDArray[np.uint8]  # (H, W, 3) BGR

# Arguments of Ultralytics' `plot` for fonts that are files, and for pictures on a GPU.
IDLE_OPTIONS = frozenset({"font", "im_gpu"})


@dataclass(frozen=True)
class PlotOptions:
    """The arguments of `Results.plot` that change the drawing, with their meaning there.

    Thread safety: any number of threads.
    """

    conf: bool = True
    line_width: float | None = None
    font_size: float | None = None
    labels: bool = True
    boxes: bool = True
    masks: bool = True
    probs: bool = True
    kpt_radius: float | None = None
    kpt_line: bool = True
    color_mode: str = "class"
    txt_color: Color | None = None


def plot_results(results: ResultsData, picture: Image, options: PlotOptions) -> Image:
    """Draw the detections on a copy of `picture`: masks below, then boxes, keypoints, and labels on top.

    Raises:
        InvalidOption: for a size, a colour or a `color_mode` that can not be used.
    """
    canvas = np.array(picture, order="C")
    style = drawing_style(canvas.shape, options.line_width, options.font_size, options.kpt_radius, options.txt_color)
    if options.color_mode not in ("class", "instance"):
        raise InvalidOption(f'color_mode: expected "class" or "instance", got {shown(options.color_mode)}')
    by_class = options.color_mode == "class" and results.classes
    colors = [palette_color(number) for number in (by_class or range(len(results)))]
    boxes = results.detections
    if options.masks and results.masks is not None:
        paint_masks(canvas, results.masks, colors, style)
    if options.boxes and isinstance(boxes, OBB):
        paint_oriented(canvas, boxes, colors, style)
    elif options.boxes and boxes is not None:
        paint_frames(canvas, boxes.xyxy, colors, style)
    if results.keypoints is not None:
        paint_poses(canvas, results.keypoints, options.kpt_line, style)

    if boxes is not None and options.boxes and options.labels:
        corners: ArrayLike = label_corners(boxes) if isinstance(boxes, OBB) else boxes.xyxy[:, :2]
        paint_labels(canvas, corners, colors, _labels(results, options.conf), style)
    if boxes is None and options.probs and results.probs is not None:
        paint_list(canvas, _labels(results, options.conf), colors, style)
    return canvas


def check_idle(names: Iterable[str]) -> None:
    """Raise UnknownOption for a name that is not one of Ultralytics' that mean nothing here."""
    for name in names:
        if name not in IDLE_OPTIONS:
            raise UnknownOption(
                f"plot() has no option {name!r}; accepted without effect: {', '.join(sorted(IDLE_OPTIONS))}."
            )


def _labels(results: ResultsData, conf: bool) -> list[str]:
    return [f"{name} {value:.2f}" if conf else name for name, value in named(results)]
