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
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import BackendUnavailable, InvalidOption

if TYPE_CHECKING:
    from yoloom.results import Results

CORNERS = ("x1", "y1", "x2", "y2")
TABLE_COLUMNS = ("name", "class", "confidence", "box")
CROP_GAIN = 1.02  # a crop is this much wider and higher than its box,
CROP_PADDING = 10  # and this many pixels on top


def summary(results: Results, normalize: bool = False, decimals: int = 5) -> list[dict[str, Any]]:
    """One dictionary for each detection: name, class, confidence, box."""
    boxes = results.boxes
    corners = boxes.xyxyn if normalize else boxes.xyxy
    columns = (boxes.cls.int().tolist(), boxes.conf.tolist(), corners.tolist())
    return [
        {
            "name": results.class_name(cls),
            "class": cls,
            "confidence": round(conf, decimals),
            "box": {corner: round(value, decimals) for corner, value in zip(CORNERS, xyxy, strict=True)},
        }
        for cls, conf, xyxy in zip(*columns, strict=True)
    ]


def verbose(results: Results) -> str:
    """The counts in words, by class number: "2 persons, 1 bus, "."""
    if not len(results):
        return "(no detections), "
    counts = Counter(results.boxes.cls.int().tolist())
    return "".join(f"{n} {results.class_name(cls)}{'s' * (n > 1)}, " for cls, n in sorted(counts.items()))


def to_json(rows: list[dict[str, Any]]) -> str:
    """The rows of a summary as compact JSON."""
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


def to_csv(rows: list[dict[str, Any]]) -> str:
    """The rows of a summary as CSV with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, TABLE_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_df(rows: list[dict[str, Any]]) -> Any:
    """The rows of a summary as a polars DataFrame, or a pandas one where only pandas is installed."""
    try:
        polars = importlib.import_module("polars")
    except ImportError:
        pandas = _require("pandas", "to_df() needs polars or pandas: pip install polars")
        return pandas.DataFrame(rows, columns=list(TABLE_COLUMNS))
    box = polars.Struct(dict.fromkeys(CORNERS, polars.Float64))
    types = (polars.String, polars.Int64, polars.Float64, box)
    return polars.DataFrame(rows, schema=dict(zip(TABLE_COLUMNS, types, strict=True)))


def to_supervision(results: Results) -> Any:
    """The boxes as `supervision.Detections`, with arrays of their own."""
    supervision = _require("supervision", "to_supervision() needs supervision: pip install supervision")
    boxes = results.boxes
    return supervision.Detections(
        xyxy=boxes.xyxy.numpy(),
        confidence=boxes.conf.numpy(),
        class_id=boxes.cls.long().numpy(),
        data={"class_name": np.array(results.class_names, dtype=str)},
    )


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
        part = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        try:
            part.write_bytes(encoded)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
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
    """Append one line for each detection: class, centre x, centre y, width, height (0 to 1) and the confidence."""
    boxes = results.boxes
    columns = np.column_stack([boxes.xywhn, boxes.conf] if save_conf else [boxes.xywhn]).tolist()
    lines = [_txt_line(cls, values) for cls, values in zip(boxes.cls.int().tolist(), columns, strict=True)]
    if lines:
        with _writing(txt_file):
            txt_file.parent.mkdir(parents=True, exist_ok=True)
            with txt_file.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
    return str(txt_file)


def save_crops(results: Results, folder: Path, file_name: Path) -> list[str]:
    """Write what is in each box as a JPEG under `folder`/class name/."""
    pairs = zip(results.class_names, results.boxes.xywh, strict=True)
    crops = [(name, _crop(results.orig_img, xywh)) for name, xywh in pairs]
    return [_write_new(folder / _folder_name(name) / file_name, crop) for name, crop in crops if crop.size]


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


def _txt_line(cls: int, values: list[float]) -> str:
    return f"{cls} {' '.join(f'{value:g}' for value in values)}\n"


def _crop(image: NDArray[np.uint8], xywh: NDArray[np.float32]) -> NDArray[np.uint8]:
    half = (xywh[2:] * CROP_GAIN + CROP_PADDING) / 2
    size_wh = image.shape[1::-1]
    left, top = np.clip(xywh[:2] - half, 0, size_wh).astype(int)
    right, bottom = np.clip(xywh[:2] + half, 0, size_wh).astype(int)
    return image[int(top) : int(bottom), int(left) : int(right)]


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
