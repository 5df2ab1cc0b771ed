"""Results in other forms: text, tables, other libraries' objects, and files. Functions of a `Results`, nothing else.

The libraries are imported when they are first asked for, and none is a dependency.
"""

from __future__ import annotations

import csv
import importlib
import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable, InvalidOption
from yoloom.images.crop import oriented_crop, upright_crop
from yoloom.results.boxes import Boxes
from yoloom.results.label_txt import label_lines
from yoloom.results.obb import OBB
from yoloom.results.summary import Row, columns, corner_names, summary
from yoloom.system.files import replacing

if TYPE_CHECKING:
    from yoloom.results.results import Results


def to_json(rows: list[Row]) -> str:
    """The rows of a summary as compact JSON."""
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


def to_csv(rows: list[Row], keys: Sequence[str]) -> str:
    """The rows of a summary as CSV with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_df(results: Results, normalize: bool, decimals: int) -> Any:
    """The summary as a polars DataFrame, or a pandas one where only pandas is installed."""
    rows, keys = summary(results, normalize, decimals), columns(results)
    try:
        polars = importlib.import_module("polars")
    except ImportError:
        pandas = _require("pandas", "to_df() needs polars or pandas: pip install polars")
        return pandas.DataFrame(rows, columns=list(keys))
    types = _polars_types(polars, results)
    return polars.DataFrame(rows, schema={key: types[key] for key in keys})


def _polars_types(polars: Any, results: Results) -> dict[str, Any]:
    corners = corner_names(2 if results.obb is None else 4)
    visible = ["visible"] * (results.keypoints is not None and results.keypoints.has_visible)
    numbers = polars.List(polars.Float64)
    return {
        "name": polars.String,
        "class": polars.Int64,
        "confidence": polars.Float64,
        "box": polars.Struct(dict.fromkeys(corners, polars.Float64)),
        "segments": polars.Struct(dict.fromkeys("xy", numbers)),
        "keypoints": polars.Struct(dict.fromkeys(["x", "y", *visible], numbers)),
    }


def to_supervision(results: Results) -> Any:
    """What was found as `supervision.Detections`, or `Classifications`, with arrays of their own."""
    supervision = _require("supervision", "to_supervision() needs supervision: pip install supervision")
    found = results.detections
    if found is None:
        return _classifications(supervision, results)
    return supervision.Detections(
        xyxy=found.xyxy.numpy(),
        mask=None if results.masks is None else results.masks.on_picture().astype(bool),
        confidence=found.conf.numpy(),
        class_id=found.cls.long().numpy(),
        data=_extras(results, found),
    )


def _classifications(supervision: Any, results: Results) -> Any:
    if results.probs is None:
        return supervision.Detections.empty()
    values = results.probs.data.numpy()
    return supervision.Classifications(class_id=np.arange(len(values)), confidence=values)


def _extras(results: Results, found: Boxes | OBB) -> dict[str, NDArray[Any]]:
    names = {"class_name": np.array(results.class_names, dtype=str)}
    return names | ({"xyxyxyxy": found.xyxyxyxy.numpy()} if isinstance(found, OBB) else {})


def to_pil(image: NDArray[np.uint8]) -> Any:
    """A BGR picture as `PIL.Image.Image`."""
    pil = _require("PIL.Image", "pil=True needs Pillow: pip install pillow")
    return pil.fromarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))


def save_image(image: NDArray[np.uint8], path: Path) -> str:
    """Write a BGR picture, in the format that the suffix names."""
    encoded = _encode(image, path.suffix)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Under its name only when it is whole, whoever is interrupted or looks meanwhile.
        with replacing(path) as part:
            part.write_bytes(encoded)
    return str(path)


def picture_name(source: str) -> str:
    """A file name for a picture made from `source`: "results_bus.jpg"; a video or a camera gets ".jpg" added."""
    path = Path(source)
    return f"results_{path.name}" if writes_color(path.suffix) else f"results_{path.name}.jpg"


@cache
def writes_color(suffix: str) -> bool:
    """Whether OpenCV writes colour pictures under this suffix: .pgm is gray, some formats are not built in."""
    return _encoded(np.zeros((8, 8, 3), np.uint8), suffix) is not None


def save_txt(results: Results, txt_file: Path, save_conf: bool) -> str:
    """Append the lines of `label_lines`; without any, no file is made."""
    lines = label_lines(results, save_conf)
    if lines:
        with _writing(txt_file):
            txt_file.parent.mkdir(parents=True, exist_ok=True)
            with txt_file.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
    return str(txt_file)


def save_crops(results: Results, folder: Path, file_name: Path) -> list[str]:
    """Write what is in each box as a JPEG under `folder`/class name/."""
    found = results.detections
    if found is None:
        return []
    pairs = zip(results.class_names, _crops(results.orig_img, found), strict=True)
    return [_write_new(folder / _folder_name(name) / file_name, crop) for name, crop in pairs if crop.size]


def _require(module: str, message: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BackendUnavailable(message) from error


def _encode(image: NDArray[np.uint8], suffix: str) -> bytes:
    encoded = _encoded(image, suffix)
    if encoded is not None:
        return encoded
    if not writes_color(suffix):
        raise InvalidOption(f"expected a file name that ends in .jpg, .png or the like, got the suffix {suffix!r}")
    height, width = image.shape[:2]
    raise InvalidOption(f"{suffix} can not hold a picture of {width} x {height} pixels: save it as .png or shrink it")


def _encoded(image: NDArray[np.uint8], suffix: str) -> bytes | None:
    try:
        written, encoded = cv2.imencode(suffix, image)
    except (cv2.error, ValueError):  # a format that is not there, or refuses the size; a suffix that is no text
        return None
    return encoded.tobytes() if written else None  # without the flag, the first bytes of a file


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say which file could not be written, as an error of the caller's path."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise InvalidOption(f"{str(path)!r} can not be written: {reason}; choose another path") from error


def _crops(image: NDArray[np.uint8], found: Boxes | OBB) -> Iterator[NDArray[np.uint8]]:
    if isinstance(found, OBB):
        return (oriented_crop(image, xywhr) for xywhr in found.xywhr)
    return (upright_crop(image, xywh) for xywh in found.xywh)


def _folder_name(class_name: str) -> str:
    """The class name without what a path could read as something else: it comes out of a model file."""
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]|^[.\s]+|[.\s]+$', "_", class_name) or "_"


def _write_new(path: Path, image: NDArray[np.uint8]) -> str:
    """Write a JPEG under the first free name of im.jpg, im-2.jpg, ...; two threads never get the same one."""
    content = _encode(image, ".jpg")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for candidate in _numbered(path):
            try:
                with candidate.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                continue
            return str(candidate)
    raise AssertionError("unreachable: the names never end")


def _numbered(path: Path) -> Iterator[Path]:
    yield path.with_suffix(".jpg")
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}-{number}.jpg")
