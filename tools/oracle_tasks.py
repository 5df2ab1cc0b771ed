"""What Ultralytics finds on photographs with the checkpoints of oracle_checkpoints.py, in its environment.

`make` puts NAME.answers.npz beside NAME.pt, see `answers`; `put_images` the images: bus.jpg, zidane.jpg and odd.png, a
piece of an odd size.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cpu_torchvision  # noqa: F401  # isort: skip  before ultralytics
import cv2
import numpy as np
from ultralytics import YOLO
from ultralytics.utils import ASSETS

from oracle_checkpoints import LARGER, PLANS

Options = dict[str, Any]
Case = tuple[str, Options]

BASE: tuple[Case, ...] = (("bus.jpg", {"imgsz": 320, "conf": 0.4}), ("zidane.jpg", {"imgsz": 320, "conf": 0.3}))
VARIANTS: tuple[Case, ...] = (
    ("bus.jpg", {"imgsz": [320, 480], "conf": 0.3}),
    ("odd.png", {"imgsz": 320, "iou": 0.3}),
    ("zidane.jpg", {"imgsz": 320, "conf": 0.2, "classes": "even"}),
    ("bus.jpg", {"imgsz": 256, "max_det": 7}),
    ("odd.png", {"imgsz": 320, "agnostic_nms": True, "iou": 0.5}),
    ("zidane.jpg", {"imgsz": [256, 448], "rect": False, "conf": 0.4}),
    ("odd.png", {"imgsz": 320, "conf": 0.15, "iou": 0.9, "max_det": 1000}),
    ("odd.png", {"imgsz": 640}),
)
NO_NMS: tuple[Case, ...] = (
    ("bus.jpg", {"imgsz": 320, "nms": False}),
    ("zidane.jpg", {"imgsz": 320, "nms": False, "conf": 0.3, "max_det": 20, "classes": "even"}),
)
SEGMENT: tuple[Case, ...] = (
    ("bus.jpg", {"imgsz": 320, "retina_masks": True, "max_det": 8}),
    ("odd.png", {"imgsz": 320, "retina_masks": True, "conf": 0.4}),
)
RAW_ONLY = (
    *("yolov3-spp", "yolov5s-p6", "yolov8s-p2", "yolov8s-p6", "yolov8s-ghost", "yolov9m", "yolov9c", "yolov9e"),
    *("yolov10m", "yolov10b", "yolov10l", "yolov10x", "yolo12l", "yolo26s-p2", "yolo26s-p6"),
)
"""More of the same: of the larger networks, one of each family and task is judged."""
JUDGED = tuple(name for name in PLANS if name not in RAW_ONLY and "channels=" not in name)
CLASSIFY: tuple[Case, ...] = (
    ("bus.jpg", {"imgsz": 224}),
    ("zidane.jpg", {"imgsz": 224}),
    ("odd.png", {"imgsz": 320}),
    ("bus.jpg", {"imgsz": [192, 256]}),
)
IOU, IOU_TIE = 0.7, 1e-3  # of class 79, boxes are compared in steps of 1/16 pixel
FEW_MASKS = 40  # a mask of each would fill the disk
ODD_ROWS, ODD_COLUMNS = slice(150, 483), slice(101, 602)


def cases_of(name: str, task: str, one_to_one: bool) -> list[Case]:
    """The same for the same name: every variant comes up with several networks, not with all."""
    if task == "classify":
        return list(CLASSIFY)
    turn = PLANS.index(name)
    count = 1 if name in LARGER else 3
    chosen = [VARIANTS[(turn * count + step) % len(VARIANTS)] for step in range(count)]
    cases = [*BASE, *chosen, *(SEGMENT if task == "segment" else ()), *(NO_NMS if one_to_one else ())]
    return [(image, _with_few_masks(options)) for image, options in cases] if task == "segment" else cases


def _with_few_masks(options: Options) -> Options:
    return {**options, "max_det": min(options.get("max_det", FEW_MASKS), FEW_MASKS)}


def judged(path: Path) -> dict[str, Any]:
    """The answers of one checkpoint."""
    model = YOLO(path)
    cases = cases_of(path.stem, model.task, hasattr(model.model.model[-1], "one2one_cv2"))
    return answers(path, [(image, _with_class_numbers(options, len(model.names))) for image, options in cases])


def answers(path: Path, cases: list[Case], task: str | None = None) -> dict[str, Any]:
    """What the model file finds in the images of its folder. task: of a file that Ultralytics would guess it for.

    `cases`, a JSON list of {"image", "options"}, and for case 3 the arrays 3.boxes (N, 6), 3.keypoints (N, K, 2 or 3),
    3.obb (N, 7), 3.probs (classes,), as the results have them, 3.masks, (N, H, W) bits packed along the last axis with
    their 3.masks_shape, and 3.unsure, the rows that come or go when `iou` moves by IOU_TIE: rounding may decide there.
    """
    found: dict[str, Any] = {"cases": json.dumps([{"image": image, "options": options} for image, options in cases])}
    for index, (image, options) in enumerate(cases):
        opened = partial(YOLO, path, task)
        found |= {f"{index}.{key}": value for key, value in _answer(opened, path.parent / image, options)}
    return found


def _with_class_numbers(options: Options, count: int) -> Options:
    return options | ({"classes": list(range(0, count, 2))} if "classes" in options else {})


def _answer(opened: Callable[[], YOLO], image: Path, options: Options) -> Iterator[tuple[str, Any]]:
    model = opened()  # one for each: Ultralytics keeps some options for the next call
    result = _result(model, image, options)
    for key in ("boxes", "keypoints", "obb", "probs"):
        if getattr(result, key) is not None:
            yield key, getattr(result, key).data.numpy()
    if result.masks is not None:
        masks = result.masks.data.numpy()
        yield from (("masks", np.packbits(masks.astype(bool), axis=-1)), ("masks_shape", masks.shape))
    if result.probs is None and options.get("nms") is not False:
        iou = options.get("iou", IOU)
        others = [_result(model, image, {**options, "iou": iou + step}) for step in (-IOU_TIE, IOU_TIE)]
        yield "unsure", _not_in_all([_rows(other) for other in (result, *others)])


def _result(model: YOLO, image: Path, options: Options) -> Any:
    (result,) = model.predict(image, verbose=False, device="cpu", **options)
    return result


def _rows(result: Any) -> np.ndarray:
    rows: np.ndarray = (result.boxes if result.obb is None else result.obb).data.numpy()
    return rows


def _not_in_all(lists: list[np.ndarray]) -> np.ndarray:
    sets = [{row.tobytes(): row for row in rows} for rows in lists]
    known = {key: row for rows in sets for key, row in rows.items()}
    unsure = [row for key, row in known.items() if not all(key in rows for rows in sets)]
    return np.array(unsure, np.float32).reshape(-1, lists[0].shape[1])


def make(folder: Path, name: str) -> None:
    path = folder / f"{name}.pt"
    np.savez_compressed(path.with_suffix(".answers.npz"), **judged(path))


def put_images(folder: Path) -> None:
    for name in ("bus.jpg", "zidane.jpg"):
        shutil.copy(ASSETS / name, folder)
    photograph = cv2.imread(str(ASSETS / "bus.jpg"))
    assert photograph is not None
    cv2.imwrite(str(folder / "odd.png"), photograph[ODD_ROWS, ODD_COLUMNS])
