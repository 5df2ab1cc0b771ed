"""Results as files: plots, label files, and crops."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import InvalidOption
from yoloom.images.crop import oriented_crop, upright_crop
from yoloom.results.boxes import OBB
from yoloom.results.data import ResultsData, named
from yoloom.system.files import replacing


def save_image(image: NDArray[np.uint8], path: Path) -> str:
    """Write a BGR picture, in the format that the suffix names, and return the path. Raises InvalidOption."""
    encoded = _encode(image, path.suffix)
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under its name only when it is whole: a reader, or an interruption, may come at any time.
        with replacing(path) as part:
            part.write_bytes(encoded)
    return str(path)


def plot_path(source: str, filename: str | os.PathLike[str] | None) -> Path:
    """Return `filename`, or a name for a plot of `source`: "results_bus.jpg"; a video or a camera gets ".jpg" added."""
    if filename is not None:
        return Path(filename)
    path = Path(source)
    return Path(f"results_{path.name}" if writes_color(path.suffix) else f"results_{path.name}.jpg")


@cache
def writes_color(suffix: str) -> bool:
    """Return whether OpenCV writes colour pictures under this suffix: .pgm is gray, some formats are not built in."""
    return _try_encode(np.zeros((8, 8, 3), np.uint8), suffix) is not None


def save_txt(results: ResultsData, txt_file: Path, save_conf: bool) -> str:
    """Append the lines of `label_lines` and return the path; without any, no file is made. Raises InvalidOption."""
    lines = label_lines(results, save_conf)
    if lines:
        with _naming(txt_file):
            txt_file.parent.mkdir(parents=True, exist_ok=True)
            with txt_file.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
    return str(txt_file)


def label_lines(results: ResultsData, with_conf: bool) -> list[str]:
    """Return the lines of a label file as Ultralytics' tools read it: one for each detection.

    Places are in units of the picture's size. With `with_conf` a line ends in the confidence.

    ```
    detect    class x y w h                    obb       class x1 y1 x2 y2 x3 y3 x4 y4
    segment   class x1 y1 x2 y2 ... xm ym      classify  probability name, with_conf or not
    pose      class x y w h  x1 y1 v1 ...  xk yk vk
    ```

    A detection whose mask is empty has no line.
    """
    boxes, masks, keypoints = results.detections, results.masks, results.keypoints
    if boxes is None:
        return [f"{conf:.2f} {name}\n" for name, conf in named(results)]
    places: list[Any]
    if isinstance(boxes, OBB):
        places = list(boxes.xyxyxyxyn)
    elif masks is not None:
        places = masks.xyn
    elif keypoints is not None:
        points = np.concatenate([keypoints.xyn, keypoints.data[..., 2:]], axis=2)
        places = [np.concatenate([box, body.ravel()]) for box, body in zip(boxes.xywhn, points, strict=True)]
    else:
        places = list(boxes.xywhn)

    lines = []
    for cls, conf, place in zip(results.classes, results.confidences, places, strict=True):
        values = [*place.ravel().tolist(), *[conf] * with_conf]
        if place.size:
            lines.append(f"{cls} {' '.join(f'{value:g}' for value in values)}\n")
    return lines


def save_crops(results: ResultsData, folder: Path, file_name: Path) -> list[str]:
    """Write what is in each box as a JPEG under `folder`/class name/, and return the paths. Raises InvalidOption."""
    boxes = results.detections
    if boxes is None:
        return []
    picture, paths = results.orig_img, []
    is_oriented = isinstance(boxes, OBB)
    places = boxes.xywhr if isinstance(boxes, OBB) else boxes.xywh
    for class_name, place in zip(results.class_names, places, strict=True):
        crop = oriented_crop(picture, place) if is_oriented else upright_crop(picture, place)
        if crop.size:
            # Without what a path could read as something else: the name comes out of a model file.
            safe_name = re.sub(r'[<>:"/\\|?*\x00-\x1f]|^[.\s]+|[.\s]+$', "_", class_name) or "_"
            paths.append(_write_new_jpeg(folder / safe_name / file_name, crop))
    return paths


def _write_new_jpeg(path: Path, image: NDArray[np.uint8]) -> str:
    """Write a JPEG under the first free name of im.jpg, im-2.jpg, ..., and return the path."""
    content = _encode(image, ".jpg")
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        candidate, number = path.with_suffix(".jpg"), 1
        while True:
            # Mode "x" decides between two threads that find the same name free: one of them goes on to the next.
            try:
                with candidate.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                number += 1
                candidate = path.with_name(f"{path.stem}-{number}.jpg")
                continue
            return str(candidate)


def _encode(image: NDArray[np.uint8], suffix: str) -> bytes:
    encoded = _try_encode(image, suffix)
    if encoded is not None:
        return encoded
    if not writes_color(suffix):
        raise InvalidOption(f"expected a file name that ends in .jpg, .png or the like, got the suffix {suffix!r}")
    height, width = image.shape[:2]
    raise InvalidOption(f"{suffix} can not hold a picture of {width} x {height} pixels: save it as .png or shrink it")


def _try_encode(image: NDArray[np.uint8], suffix: str) -> bytes | None:
    try:
        written, encoded = cv2.imencode(suffix, image)
    except (cv2.error, ValueError):  # a format that is not there, or refuses the size; a suffix that is no text
        return None
    return encoded.tobytes() if written else None  # without the flag, the first bytes of a file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that names the caller's path."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InvalidOption(f"{str(path)!r} can not be written: {reason}; choose another path") from error
