"""The plot of one picture's results, and how it is shown: in a notebook, a window, or a contact sheet."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import BackendUnavailable, InvalidOption, UnknownOption
from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData, named
from yoloom.results.drawing.box_drawing import (
    label_corners,
    paint_frames,
    paint_labels,
    paint_masks,
    paint_oriented,
    paint_poses,
)
from yoloom.results.drawing.style import Color, drawing_style, paint_list, palette_color
from yoloom.validation import shown

Image = NDArray[np.uint8]  # (H, W, 3) BGR

# An argument of Ultralytics' `plot` for pictures on a GPU.
IDLE_OPTIONS = frozenset({"im_gpu"})


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
    labels = [f"{name} {value:.2f}" if options.conf else name for name, value in named(results)]
    if boxes is not None and options.boxes and options.labels:
        corners: ArrayLike = label_corners(boxes) if isinstance(boxes, OBB) else boxes.xyxy[:, :2]
        paint_labels(canvas, corners, colors, labels, style)
    if boxes is None and options.probs and results.probs is not None:
        paint_list(canvas, labels, colors, style)
    return canvas


def check_idle(names: Iterable[str]) -> None:
    """Raise UnknownOption for a name that is not one of Ultralytics' that mean nothing here."""
    for name in names:
        if name not in IDLE_OPTIONS:
            raise UnknownOption(
                f"plot() has no option {name!r}; accepted without effect: {', '.join(sorted(IDLE_OPTIONS))}."
            )


GAP = 12  # pixels between the tiles of a contact sheet, and around them
GROUND = 255  # white


def show_image(image: NDArray[np.uint8], title: str, wait_ms: int = 0) -> None:
    """Show a picture inline in a notebook, else in a window until a key is pressed.

    Thread safety: owned by the main thread, as windows are.

    Args:
        image: (H, W, 3) uint8 BGR.
        title: of the window.
        wait_ms: how long to wait for the key; 0 waits for ever.

    Raises:
        BackendUnavailable: when there is neither a notebook nor a display and an OpenCV with windows.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if getattr(shell, "kernel", None) is not None:  # a notebook
        display = importlib.import_module("IPython.display")
        display.display(display.Image(data=cv2.imencode(".png", image)[1].tobytes()))
        return
    # Qt ends the process when it finds no display, so that is looked at first.
    if sys.platform.startswith("linux") and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        raise BackendUnavailable("show() found no display and no notebook; use save() instead")
    try:
        cv2.imshow(title, image)
        cv2.waitKey(wait_ms)
    except cv2.error as error:
        raise BackendUnavailable(
            "show() needs an OpenCV that can open windows: install opencv-python in place of opencv-python-headless, "
            "or use save() instead"
        ) from error


def contact_sheet(images: Sequence[NDArray[np.uint8]], columns: int, tile_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """Put `images` (H, W, 3 uint8 BGR) side by side, row by row, each resized to a tile of `tile_wh` pixels."""
    width, height = tile_wh
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), GROUND, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
        sheet[top : top + height, left : left + width] = cv2.resize(image, tile_wh, interpolation=cv2.INTER_AREA)
    return sheet
