"""What a prediction returns: one `Results` for each picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InputError, InvalidImage
from yoloom.images.lazy_image import LazyImage, read_only
from yoloom.results import export_results
from yoloom.results import summary as words
from yoloom.results.boxes import Boxes
from yoloom.results.drawing.colors import Color
from yoloom.results.drawing.display import show_image
from yoloom.results.drawing.plot import PlotOptions, check_idle, plot_results
from yoloom.results.keypoints import Keypoints
from yoloom.results.masks import Masks
from yoloom.results.obb import OBB
from yoloom.results.on_cpu import TorchLike
from yoloom.results.probs import Probs
from yoloom.results.rows import ResultRows
from yoloom.values import FrozenDict

__all__ = ["OBB", "Boxes", "Keypoints", "Masks", "Probs", "Results"]

NOT_TIMED = FrozenDict[str, float | None](preprocess=None, inference=None, postprocess=None)

# For type checkers, a member has its own type: who asks for it knows the task. (typeshed has the same word for this.)
MaybeNone: TypeAlias = Any

T = TypeVar("T", bound=ResultRows)


class _Kept:
    """Stands for an argument that was not given, where None means something."""

    def __repr__(self) -> str:
        return "KEPT"


KEPT: Any = _Kept()


class Results(TorchLike):
    """What was found in one picture. Threads: anybody, frozen.

    A task that does not look for a member leaves it None: `boxes` is None for classify and obb.

    `results[i]`, `results[mask]` and iteration give `Results` with the chosen detections, and with what belongs to
    them. `len` counts detections, or classes where the task is classify.

    Args:
        orig_img: (H, W, 3) uint8 BGR. Not copied: the results own it from here on, and show it read-only.
        path: where the picture came from.
        names: class number to class name. A class without a name is called "class7".
        boxes: (N, 6) of x1, y1, x2, y2 in pixels, confidence, class.
        masks: (N, h, w) uint8 of 0 and 1, letterboxed or in the picture's size.
        probs: (nc,) probability of each class.
        keypoints: (N, K, 2 or 3) of x, y in pixels, and visibility.
        obb: (N, 7) of centre x, centre y, width, height in pixels, rotation in radians, confidence, class.
        speed: milliseconds of "preprocess", "inference" and "postprocess".
        save_dir: the folder that the prediction was saved to, if any.

    All five are copied, unless they are members of other results.

    Raises:
        InputError: for a member of another shape, or members with different numbers of detections.
    """

    __slots__ = ("_picture", "boxes", "keypoints", "masks", "names", "obb", "path", "probs", "save_dir", "speed")

    _picture: NDArray[np.uint8] | LazyImage
    path: str
    names: FrozenDict[int, str]
    boxes: Boxes | MaybeNone
    masks: Masks | MaybeNone
    probs: Probs | MaybeNone
    keypoints: Keypoints | MaybeNone
    obb: OBB | MaybeNone
    speed: FrozenDict[str, float | None]
    save_dir: str | None

    def __init__(
        self,
        orig_img: NDArray[np.uint8] | LazyImage,
        path: str | os.PathLike[str],
        names: Mapping[int, str],
        boxes: ArrayLike | Boxes | None = None,
        masks: ArrayLike | Masks | None = None,
        probs: ArrayLike | Probs | None = None,
        keypoints: ArrayLike | Keypoints | None = None,
        obb: ArrayLike | OBB | None = None,
        *,
        speed: Mapping[str, float | None] = NOT_TIMED,
        save_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        picture = orig_img if isinstance(orig_img, LazyImage) else read_only(orig_img)
        shape_hw = _shape_hw(picture)
        self._store(
            _picture=picture,
            path=os.fspath(path),
            names=_frozen_dict(names),
            boxes=_member(Boxes, boxes, shape_hw),
            masks=_member(Masks, masks, shape_hw),
            probs=_member(Probs, probs, shape_hw),
            keypoints=_member(Keypoints, keypoints, shape_hw),
            obb=_member(OBB, obb, shape_hw),
            speed=_frozen_dict(speed),
            save_dir=None if save_dir is None else os.fspath(save_dir),
        )
        _require_equal_lengths(self._per_detection())

    @property
    def orig_img(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR, read-only. With worker processes, a file's picture is decoded here when first asked."""
        return self._picture.image() if isinstance(self._picture, LazyImage) else self._picture

    @property
    def orig_shape(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        return _shape_hw(self._picture)

    @property
    def detections(self) -> Boxes | OBB | None:
        """What has a place, a confidence and a class: the oriented boxes or the boxes, or None where there are none."""
        found: Boxes | OBB | None = self.boxes if self.obb is None else self.obb
        return found

    @property
    def classes(self) -> list[int]:
        """The class number of each detection; for classify, of the five most probable classes, best first."""
        found = self.detections
        if found is None:
            return [] if self.probs is None else self.probs.top5
        return found.cls.int().tolist()  # type: ignore[no-any-return]

    @property
    def class_names(self) -> list[str]:
        """The names of `classes`."""
        return [self.class_name(cls) for cls in self.classes]

    @property
    def confidences(self) -> list[float]:
        """The confidences of `classes`, 0 to 1."""
        found = self.detections
        if found is None:
            return [] if self.probs is None else self.probs.top5conf.tolist()
        return found.conf.tolist()  # type: ignore[no-any-return]

    def class_name(self, cls: int) -> str:
        """The name of a class, or "class7" where it has none."""
        return self.names.get(cls, f"class{cls}")

    def __len__(self) -> int:
        members = (self.boxes, self.masks, self.probs, self.keypoints, self.obb)
        return next((len(member) for member in members if member is not None), 0)

    def __getitem__(self, index: Any) -> Results:
        chosen: dict[str, Any] = {name: member[index] for name, member in self._per_detection().items()}
        if chosen:
            return self.replace(**chosen)
        raise InputError("these results hold no detections to choose from; of a classification, use results.probs")

    def __iter__(self) -> Iterator[Results]:
        return (self[i] for i in range(len(self)))

    def replace(
        self,
        *,
        boxes: ArrayLike | Boxes | None = KEPT,
        masks: ArrayLike | Masks | None = KEPT,
        probs: ArrayLike | Probs | None = KEPT,
        keypoints: ArrayLike | Keypoints | None = KEPT,
        obb: ArrayLike | OBB | None = KEPT,
    ) -> Results:
        """New results for the same picture, with the given members in place of the old, as in the constructor."""
        return Results(
            self._picture,
            self.path,
            self.names,
            boxes=self.boxes if boxes is KEPT else boxes,
            masks=self.masks if masks is KEPT else masks,
            probs=self.probs if probs is KEPT else probs,
            keypoints=self.keypoints if keypoints is KEPT else keypoints,
            obb=self.obb if obb is KEPT else obb,
            speed=self.speed,
            save_dir=self.save_dir,
        )

    def new(self) -> Results:
        """New results for the same picture, without any member."""
        return self.replace(boxes=None, masks=None, probs=None, keypoints=None, obb=None)

    def update(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise: results never change, and doing nothing in silence would be worse. Use `replace`."""
        raise FrozenInstanceError("Results are frozen: write results = results.replace(boxes=...) instead of update()")

    def _per_detection(self) -> dict[str, ResultRows]:
        """The members with a row for each detection."""
        members = {"boxes": self.boxes, "masks": self.masks, "keypoints": self.keypoints, "obb": self.obb}
        return {name: member for name, member in members.items() if member is not None}

    def plot(
        self,
        conf: bool = True,
        line_width: float | None = None,
        font_size: float | None = None,
        *,
        labels: bool = True,
        boxes: bool = True,
        masks: bool = True,
        probs: bool = True,
        kpt_radius: float | None = None,
        kpt_line: bool = True,
        img: NDArray[np.uint8] | None = None,
        color_mode: str = "class",
        txt_color: Color | None = None,
        pil: bool = False,
        show: bool = False,
        save: bool = False,
        filename: str | os.PathLike[str] | None = None,
        **idle: object,
    ) -> NDArray[np.uint8]:
        """Draw what was found on a copy of the picture: (H, W, 3) uint8 BGR, new and writable.

        Args:
            conf: write the confidence behind the name.
            line_width, font_size: pixels, cut to what fits; scaled to the picture when None.
            labels, boxes: write names; draw boxes, without which there are no names.
            masks, probs: tint what masks cover; list the most probable classes.
            kpt_radius: of keypoints in pixels, like `line_width`. Points with a visibility below 0.25 are not drawn.
            kpt_line: draw the limbs of persons (17 keypoints).
            img: (H, W, 3) uint8 BGR to draw on a copy of, instead of the original picture.
            color_mode: one colour a "class", or one an "instance".
            txt_color: blue, green, red; black or white to suit each label when None.
            pil: return a `PIL.Image.Image` instead.
            show, save: show it too, see `show`; write it too, to `filename`, see `save`.
            idle: Ultralytics' font and im_gpu, which change nothing here.

        Raises:
            InvalidImage, InvalidOption: for an `img` of another kind, or an option that can not be had.
        """
        check_idle(idle)
        options = PlotOptions(
            conf=conf,
            line_width=line_width,
            font_size=font_size,
            labels=labels,
            boxes=boxes,
            masks=masks,
            probs=probs,
            kpt_radius=kpt_radius,
            kpt_line=kpt_line,
            color_mode=color_mode,
            txt_color=txt_color,
        )
        image = plot_results(self, self.orig_img if img is None else _picture(img), options)
        if save:
            export_results.save_image(image, self._picture_path(filename))
        if show:
            show_image(image, self.path)
        return export_results.to_pil(image) if pil else image

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
        """Append a line for each detection, in units of the picture's size, and return the path.

        ```
        detect    class x y w h [conf]                obb       class x1 y1 x2 y2 x3 y3 x4 y4 [conf]
        segment   class x1 y1 x2 y2 ... xm ym [conf]  classify  probability name, for five classes
        pose      class x y w h x1 y1 v1 ... [conf]
        ```

        Without detections nothing is written. One call's lines stay together when threads share the file.
        """
        return export_results.save_txt(self, Path(txt_file), save_conf)

    def save_crop(self, save_dir: str | os.PathLike[str], file_name: str | os.PathLike[str] = "im.jpg") -> list[str]:
        """Write each box's part of the picture as JPEG `save_dir`/class name/`file_name`, and return the paths.

        A crop has 2 % and 10 pixels more than its box; an oriented box is turned upright, and has no margin. A
        classification has no boxes, and nothing is written. Nothing is overwritten: im-2.jpg, im-3.jpg, ... come next.
        """
        return export_results.save_crops(self, Path(save_dir), Path(file_name))

    def summary(self, normalize: bool = False, decimals: int = 5) -> list[dict[str, Any]]:
        """One dictionary for each detection; pixels, or 0 to 1.

        Keys: name, class, confidence, box {x1, y1, x2, y2} (obb: to x4, y4), segments {x, y} where there are masks,
        keypoints {x, y, visible} where there are some. For classify: name, class, confidence of five classes.
        """
        return words.summary(self, normalize, decimals)

    def to_json(self, normalize: bool = False, decimals: int = 5) -> str:
        """The summary as JSON."""
        return export_results.to_json(self.summary(normalize, decimals))

    tojson = to_json

    def to_csv(self, normalize: bool = False, decimals: int = 5) -> str:
        """The summary as CSV with a header line."""
        return export_results.to_csv(self.summary(normalize, decimals), words.columns(self))

    def to_df(self, normalize: bool = False, decimals: int = 5) -> Any:
        """The summary as a polars DataFrame, or a pandas one where polars is missing.

        Raises:
            BackendUnavailable: when neither is installed.
        """
        return export_results.to_df(self, normalize, decimals)

    def to_supervision(self) -> Any:
        """The detections as new `supervision.Detections`, with masks in the picture's size; or `Classifications`.

        Raises:
            BackendUnavailable: when supervision is not installed.
        """
        return export_results.to_supervision(self)

    def verbose(self) -> str:
        """In words: "4 persons, 1 bus, ", "(no detections), ", or for classify "cat 0.91, dog 0.05, "."""
        return words.verbose(self)

    def __reduce__(self) -> tuple[Callable[..., Results], tuple[Any, ...]]:
        rebuild = partial(Results, speed=self.speed, save_dir=self.save_dir)
        members = (self.boxes, self.masks, self.probs, self.keypoints, self.obb)
        return rebuild, (self.orig_img, self.path, self.names, *members)

    def __repr__(self) -> str:
        found = self.verbose().removesuffix(", ")
        return f"Results({found}; path={self.path!r}, orig_shape={self.orig_shape})"


def _shape_hw(picture: NDArray[np.uint8] | LazyImage) -> tuple[int, int]:
    if isinstance(picture, LazyImage):
        return picture.shape_hw
    height, width = picture.shape[:2]
    return height, width


def _frozen_dict(mapping: Mapping[Any, Any]) -> FrozenDict[Any, Any]:
    return mapping if isinstance(mapping, FrozenDict) else FrozenDict(mapping)


def _member(kind: type[T], values: ArrayLike | ResultRows | None, shape_hw: tuple[int, int]) -> T | None:
    if values is None or (isinstance(values, kind) and values.orig_shape == shape_hw):
        return values
    return kind(values.data if isinstance(values, kind) else values, shape_hw)  # type: ignore[arg-type]


def _require_equal_lengths(members: Mapping[str, ResultRows]) -> None:
    if len({len(member) for member in members.values()}) > 1:
        counts = ", ".join(f"{name} of {len(member)}" for name, member in members.items())
        raise InputError(f"expected the same number of detections in each member, got {counts}; replace them together")


def _picture(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        kind = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InvalidImage(f"img: expected a uint8 array of (H, W, 3), got {kind}")
    return image
