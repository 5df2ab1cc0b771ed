"""What a plot of results shows. Pure functions: same arguments, same pixels, in any thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InvalidOption, UnknownOption
from yoloom.results.drawing.boxes import paint_frames, paint_labels
from yoloom.results.drawing.colors import Color, palette_color
from yoloom.results.drawing.drawing_obb import label_corners, paint_oriented
from yoloom.results.drawing.drawing_probs import paint_list
from yoloom.results.drawing.masks import paint_masks
from yoloom.results.drawing.poses import paint_poses
from yoloom.results.drawing.style import DrawingStyle, drawing_style
from yoloom.results.obb import OBB
from yoloom.results.summary import named
from yoloom.validation import shown

if TYPE_CHECKING:
    from yoloom.results.results import Results

Image = NDArray[np.uint8]  # (H, W, 3) BGR

# Arguments of Ultralytics' `plot` for fonts that are files, and for pictures on a GPU.
IDLE_OPTIONS = frozenset({"font", "im_gpu"})


@dataclass(frozen=True)
class PlotOptions:
    """What to draw, and how: the arguments of `Results.plot` with their meaning there. Immutable: shared freely."""

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


def plot_results(results: Results, picture: Image, options: PlotOptions) -> Image:
    """Draw what was found on a copy of `picture`: masks below, then boxes, keypoints, and labels on top.

    Raises:
        InvalidOption: for an option that can not be had.
    """
    canvas = np.array(picture, order="C")
    style = drawing_style(canvas.shape, options.line_width, options.font_size, options.kpt_radius, options.txt_color)
    colors = _colors(results, options.color_mode)
    if options.masks and results.masks is not None:
        paint_masks(canvas, results.masks, colors, style)
    if options.boxes:
        _paint_outlines(canvas, results, colors, style)
    if results.keypoints is not None:
        paint_poses(canvas, results.keypoints, options.kpt_line, style)
    _paint_words(canvas, results, colors, options, style)
    return canvas


def check_idle(given: Iterable[str]) -> None:
    """Raise UnknownOption for a name that is not one of Ultralytics' that mean nothing here."""
    for name in given:
        if name not in IDLE_OPTIONS:
            raise UnknownOption(
                f"plot() has no option {name!r}; accepted without effect: {', '.join(sorted(IDLE_OPTIONS))}."
            )


def _paint_outlines(canvas: Image, results: Results, colors: list[Color], style: DrawingStyle) -> None:
    found = results.detections
    if isinstance(found, OBB):
        paint_oriented(canvas, found, colors, style)
    elif found is not None:
        paint_frames(canvas, found.xyxy, colors, style)


def _paint_words(
    canvas: Image, results: Results, colors: list[Color], options: PlotOptions, style: DrawingStyle
) -> None:
    found = results.detections
    if found is None:
        if options.probs and results.probs is not None:
            paint_list(canvas, _labels(results, options.conf), colors, style)
    elif options.boxes and options.labels:
        corners: ArrayLike = label_corners(found) if isinstance(found, OBB) else found.xyxy[:, :2]
        paint_labels(canvas, corners, colors, _labels(results, options.conf), style)


def _labels(results: Results, conf: bool) -> list[str]:
    return [f"{name} {value:.2f}" if conf else name for name, value in named(results)]


def _colors(results: Results, color_mode: str) -> list[Color]:
    if color_mode not in ("class", "instance"):
        raise InvalidOption(f'color_mode: expected "class" or "instance", got {shown(color_mode)}')
    by_class = color_mode == "class" and results.classes
    return [palette_color(number) for number in (by_class or range(len(results)))]
