"""The keyword arguments of a prediction, for editors and type checkers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from yoloom.engine.scheduling.request_terms import Client


class CallOptions(TypedDict, total=False):
    """Options of `YOLO.predict` and of the other ways to ask. `yoloom.options` checks them.

    Options of Ultralytics that ask for nothing here are accepted too; those that programs often give are listed.
    """

    conf: float
    """Keep scores above it, 0 to 1; 0.25 by default."""
    iou: float
    """NMS drops a box that overlaps a better one by more, 0 to 1; 0.7 by default."""
    imgsz: int | Sequence[int] | None
    """Height and width of the network's input in pixels, or one number for both; the model's own by default."""
    rect: bool
    """Pad to the smallest rectangle where the model allows it; True by default."""
    max_det: int
    """Most boxes for one image; 300 by default."""
    classes: int | str | Sequence[int | str] | None
    """Ids or names of the classes to keep; all by default."""
    agnostic_nms: bool
    """Boxes of different classes suppress each other."""
    retina_masks: bool
    """Masks as large as the picture, and not as the network's input."""

    save: bool
    """Write the plot of each result."""
    save_txt: bool
    """Write the detections as lines of a label file."""
    save_conf: bool
    """Put the confidence at the end of each line."""
    save_crop: bool
    """Write the part of the picture in each box."""
    show: bool
    """Show the plot of each result."""
    show_labels: bool
    """Write the names of the classes on plots; True by default."""
    show_conf: bool
    """Write the confidence behind the name; True by default."""
    show_boxes: bool
    """Draw boxes on plots; True by default."""
    line_width: int | None
    """Width of lines on plots in pixels; scaled to the picture by default."""
    project: str | os.PathLike[str] | None
    """Folder in which the output's folder is made."""
    name: str | None
    """Name of the output's folder."""
    exist_ok: bool
    """Use the output's folder where it exists, in place of a new one beside it."""
    save_dir: str | os.PathLike[str] | None
    """The output's folder itself, in place of `project` and `name`."""

    client: str | bytes | int | float | tuple[Any, ...] | Client | None
    """Whose request it is: clients take turns. The calling thread or task by default."""
    priority: float
    """Among the requests of one client, the highest goes first; 0 by default."""
    on_full: Literal["wait", "reject", "drop_oldest", "latest"]
    """Fate of a request that finds no place in the queue."""

    device: Any
    """The device that the model was opened on: it is chosen there, YOLO(path, device=...)."""
    verbose: bool
    """Nothing is printed in any case."""
    batch: int
    """The engine plans its own batches."""
    half: bool
    """The number format is chosen when the model is opened, YOLO(path, precision=...)."""
    augment: Literal[False]
    """Not available."""
    vid_stride: int
    """Means nothing for pictures."""
