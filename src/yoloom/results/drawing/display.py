"""Shows pictures in the notebook or in a window, and puts them side by side on one."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable

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
