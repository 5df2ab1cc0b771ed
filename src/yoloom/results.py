"""What a prediction returns: one `Results` for each picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom import drawing, export_results
from yoloom.arrays import require_cpu
from yoloom.boxes import Boxes
from yoloom.display import show_image
from yoloom.drawing import Color
from yoloom.errors import InvalidImage, InvalidOption
from yoloom.frozen import Frozen, FrozenDict

__all__ = ["Boxes", "Results"]

NOT_TIMED = FrozenDict[str, float | None](preprocess=None, inference=None, postprocess=None)


class Results(Frozen):
    """The detections in one picture. Threads: anybody, frozen.

    `results[i]`, `results[mask]` and iteration give `Results` with the chosen detections.

    Args:
        orig_img: (H, W, 3) uint8 BGR. Not copied: the results own it from here on, and show it read-only.
        path: where the picture came from.
        names: class number to class name. A class without a name is called "class7".
        boxes: (N, 6) of x1, y1, x2, y2 in pixels, confidence, class. Copied. None means no detections.
        speed: milliseconds of "preprocess", "inference" and "postprocess".
        save_dir: the folder that the prediction was saved to, if any.

    Raises:
        InputError: for boxes of another shape.
    """

    __slots__ = ("boxes", "names", "orig_img", "path", "save_dir", "speed")

    orig_img: NDArray[np.uint8]
    path: str
    names: FrozenDict[int, str]
    boxes: Boxes
    speed: FrozenDict[str, float | None]
    save_dir: str | None
    masks = probs = keypoints = obb = None  # what other tasks find

    def __init__(
        self,
        orig_img: NDArray[np.uint8],
        path: str | os.PathLike[str],
        names: Mapping[int, str],
        boxes: ArrayLike | Boxes | None = None,
        *,
        speed: Mapping[str, float | None] = NOT_TIMED,
        save_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        image = orig_img.view()
        image.flags.writeable = False
        self._store(
            orig_img=image,
            path=os.fspath(path),
            names=_frozen_dict(names),
            boxes=_boxes(boxes, image.shape),
            speed=_frozen_dict(speed),
            save_dir=None if save_dir is None else os.fspath(save_dir),
        )

    @property
    def orig_shape(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        height, width = self.orig_img.shape[:2]
        return height, width

    @property
    def class_names(self) -> list[str]:
        """The name of each detection's class."""
        return [self.class_name(cls) for cls in self.boxes.cls.int().tolist()]

    def class_name(self, cls: int) -> str:
        """The name of a class, or "class7" where it has none."""
        return self.names.get(cls, f"class{cls}")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Results:
        return self.replace(boxes=self.boxes[index])

    def __iter__(self) -> Iterator[Results]:
        return (self[i] for i in range(len(self)))

    def replace(self, *, boxes: ArrayLike | Boxes | None) -> Results:
        """New results for the same picture with other boxes, as in the constructor."""
        return Results(self.orig_img, self.path, self.names, boxes, speed=self.speed, save_dir=self.save_dir)

    def new(self) -> Results:
        """New results for the same picture, without detections."""
        return self.replace(boxes=None)

    def update(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise: results never change, and doing nothing in silence would be worse. Use `replace`."""
        raise FrozenInstanceError("Results are frozen: write results = results.replace(boxes=...) instead of update()")

    def cpu(self) -> Results:
        """The results themselves: they are on the CPU."""
        return self

    def numpy(self) -> Results:
        """The results themselves: their arrays are numpy arrays."""
        return self

    def to(self, device: object = "cpu") -> Results:
        """The results themselves. Raises `UnknownDevice` for anything but "cpu"."""
        require_cpu(device)
        return self

    def cuda(self) -> Results:
        """Raise `UnknownDevice`: results live on the CPU."""
        return self.to("cuda")

    def plot(
        self,
        conf: bool = True,
        line_width: float | None = None,
        font_size: float | None = None,
        *,
        labels: bool = True,
        boxes: bool = True,
        img: NDArray[np.uint8] | None = None,
        color_mode: str = "class",
        txt_color: Color | None = None,
        pil: bool = False,
        show: bool = False,
        save: bool = False,
        filename: str | os.PathLike[str] | None = None,
        **idle: object,
    ) -> NDArray[np.uint8]:
        """Draw the detections on a copy of the picture: (H, W, 3) uint8 BGR, new and writable.

        Args:
            conf: write the confidence behind the name.
            line_width, font_size: pixels, cut to what fits; scaled to the picture when None.
            labels, boxes: write names; draw boxes, without which nothing is drawn.
            img: (H, W, 3) uint8 BGR to draw on a copy of, instead of the original picture.
            color_mode: one colour a "class", or one an "instance".
            txt_color: blue, green, red; black or white to suit each label when None.
            pil: return a `PIL.Image.Image` instead.
            show, save: show it too, see `show`; write it too, to `filename`, see `save`.
            idle: Ultralytics' font, masks, probs, kpt_radius, kpt_line and im_gpu, which change nothing here.

        Raises:
            InvalidImage, InvalidOption: for an `img` of another kind, or an option that can not be had.
        """
        drawing.check_idle(idle)
        picture = self.orig_img if img is None else _picture(img)
        labelled = (self.boxes.xyxy, self._colors(color_mode), self._labels(conf) if labels else ())
        what = labelled if boxes else ((), (), ())
        image = drawing.draw_boxes(picture, *what, line_width=line_width, font_size=font_size, text_color=txt_color)
        if save:
            export_results.save_image(image, self._picture_path(filename))
        if show:
            show_image(image, self.path)
        return export_results.to_pil(image) if pil else image

    def _colors(self, color_mode: str) -> list[Color]:
        if color_mode not in ("class", "instance"):
            raise InvalidOption(f'color_mode: expected "class" or "instance", got {color_mode!r}')
        numbers = self.boxes.cls.int().tolist() if color_mode == "class" else range(len(self))
        return [drawing.palette_color(number) for number in numbers]

    def _labels(self, conf: bool) -> list[str]:
        if not conf:
            return self.class_names
        return [f"{name} {value:.2f}" for name, value in zip(self.class_names, self.boxes.conf.tolist(), strict=True)]

    def _picture_path(self, filename: str | os.PathLike[str] | None) -> Path:
        return Path(export_results.picture_name(self.path) if filename is None else filename)

    def show(self, *, wait_ms: int = 0, **plot_options: Any) -> None:
        """Show the plot in the notebook, or in a window until a key is pressed or `wait_ms` have passed (0: for ever).

        Raises:
            BackendUnavailable: without a notebook, a display, or an OpenCV that opens windows.

        Threads: windows belong to the main thread.
        """
        show_image(self.plot(**plot_options), self.path, wait_ms)

    def save(self, filename: str | os.PathLike[str] | None = None, **plot_options: Any) -> str:
        """Write the plot and return its path: `filename`, or "results_" and the picture's name in the current folder.

        Folders are made where they are missing.

        Raises:
            InvalidOption: for a suffix that names no format for this picture, or a path that can not be written.
        """
        return export_results.save_image(self.plot(**plot_options), self._picture_path(filename))

    def save_txt(self, txt_file: str | os.PathLike[str], save_conf: bool = False) -> str:
        """Append a line "class x y w h [conf]" for each detection, in units of the picture's size; return the path.

        Without detections nothing is written. One call's lines stay together when threads share the file.
        """
        return export_results.save_txt(self, Path(txt_file), save_conf)

    def save_crop(self, save_dir: str | os.PathLike[str], file_name: str | os.PathLike[str] = "im.jpg") -> list[str]:
        """Write each box's part of the picture as JPEG `save_dir`/class name/`file_name`, and return the paths.

        A crop has 2 % and 10 pixels more than its box. Nothing is overwritten: im-2.jpg, im-3.jpg, ... come next.
        """
        return export_results.save_crops(self, Path(save_dir), Path(file_name))

    def summary(self, normalize: bool = False, decimals: int = 5) -> list[dict[str, Any]]:
        """One dictionary for each detection: name, class, confidence, box {x1, y1, x2, y2}; pixels, or 0 to 1."""
        return export_results.summary(self, normalize, decimals)

    def to_json(self, normalize: bool = False, decimals: int = 5) -> str:
        """The summary as JSON."""
        return export_results.to_json(self.summary(normalize, decimals))

    tojson = to_json

    def to_csv(self, normalize: bool = False, decimals: int = 5) -> str:
        """The summary as CSV with a header line."""
        return export_results.to_csv(self.summary(normalize, decimals))

    def to_df(self, normalize: bool = False, decimals: int = 5) -> Any:
        """The summary as a polars DataFrame, or a pandas one where polars is missing.

        Raises:
            BackendUnavailable: when neither is installed.
        """
        return export_results.to_df(self.summary(normalize, decimals))

    def to_supervision(self) -> Any:
        """The detections as a new `supervision.Detections`. Raises `BackendUnavailable` when that is not installed."""
        return export_results.to_supervision(self)

    def verbose(self) -> str:
        """The counts in words: "4 persons, 1 bus, " or "(no detections), "."""
        return export_results.verbose(self)

    def __reduce__(self) -> tuple[Callable[..., Results], tuple[Any, ...]]:
        rebuild = partial(Results, speed=self.speed, save_dir=self.save_dir)
        return rebuild, (self.orig_img, self.path, self.names, self.boxes)

    def __repr__(self) -> str:
        found = self.verbose().removesuffix(", ")
        return f"Results({found}; path={self.path!r}, orig_shape={self.orig_shape})"


def _frozen_dict(mapping: Mapping[Any, Any]) -> FrozenDict[Any, Any]:
    return mapping if isinstance(mapping, FrozenDict) else FrozenDict(mapping)


def _boxes(values: ArrayLike | Boxes | None, shape: tuple[int, ...]) -> Boxes:
    rows = values.data if isinstance(values, Boxes) else values
    return Boxes(np.empty((0, 6)) if rows is None else rows, (shape[0], shape[1]))


def _picture(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InvalidImage(f"img: expected a uint8 array of (H, W, 3), got {kind}")
    return image
