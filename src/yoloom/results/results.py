"""The results of a prediction: one `Results` for each picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InputError, InvalidImage
from yoloom.results import interchange
from yoloom.results.boxes import OBB, Boxes
from yoloom.results.data import ResultsData
from yoloom.results.drawing.plot import PlotOptions, check_idle, plot_results, show_image
from yoloom.results.drawing.style import Color
from yoloom.results.interchange import columns, summary, verbose
from yoloom.results.keypoints import Keypoints
from yoloom.results.masks import Masks
from yoloom.results.probs import Probs
from yoloom.results.save import plot_path, save_crops, save_image, save_txt
from yoloom.values import strict_json

__all__ = ["OBB", "Boxes", "Keypoints", "Masks", "Probs", "Results"]


class _Kept:
    """Stands for an argument that was not given, where None means that there is no such member."""

    def __repr__(self) -> str:
        return "KEPT"


KEPT: Any = _Kept()


class Results(ResultsData):
    """The results of one picture.

    A member that the task does not have is None: `boxes` is None for classify and obb.

    `results[i]`, `results[mask]` and iteration give `Results` with the chosen detections, and with what belongs to
    them. `len` counts detections, or classes where the task is classify.

    Thread safety: any number of threads.

    Args:
        orig_img: (H, W, 3) uint8 BGR. Not copied: the results own it from here on, and show it read-only.
        path: where the picture came from.
        names: class number to class name. A class without a name is called "class7".
        boxes: (N, 6) of x1, y1, x2, y2 in pixels, confidence, class. Copied, like the next four, unless it is a member
            of other results.
        masks: (N, h, w) uint8 of 0 and 1, letterboxed or in the picture's size.
        probs: (nc,) probability of each class.
        keypoints: (N, K, 2 or 3) of x, y in pixels, and visibility.
        obb: (N, 7) of centre x, centre y, width, height in pixels, rotation in radians, confidence, class.
        speed: milliseconds of "preprocess", "inference" and "postprocess".
        save_dir: the folder that the prediction was saved to, if any.
        frame: the name of the frame, for an image of one source among several (`yoloom.Frame`).

    Raises:
        InputError: for a member of another shape, or members with different numbers of detections.
    """

    __slots__ = ()

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
        """Make new results for the same picture, with the given members in place of the old.

        Args:
            boxes: as in the constructor, and so are the others; None takes the member away.
            masks: (N, h, w).
            probs: (nc,).
            keypoints: (N, K, 2 or 3).
            obb: (N, 7).

        Raises:
            InputError: for a member of another shape, or members with different numbers of detections.
        """
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
            frame=self.frame,
        )

    def numpy(self) -> Results:
        """Return the same results with plain numpy arrays of their own, whose methods mean what numpy means by them."""
        members = {name: getattr(self, name) for name in ("boxes", "masks", "probs", "keypoints", "obb")}
        return self.replace(**{name: member.numpy() for name, member in members.items() if member is not None})

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        """The attributes by name, for programs that read them so: `result.__dict__["boxes"]`."""
        names = (*self._keys, "orig_img", "orig_shape", "names", "path", "speed", "save_dir")
        return {name: getattr(self, name) for name in names}

    def new(self) -> Results:
        """Make new results for the same picture, without any member."""
        return self.replace(boxes=None, masks=None, probs=None, keypoints=None, obb=None)

    def update(self, *_args: object, **_kwargs: object) -> NoReturn:
        """Raise: results never change, and doing nothing in silence would be worse. Use `replace`."""
        raise FrozenInstanceError(f"Results are frozen and have no update(){self.INSTEAD}")

    def plot(
        self,
        conf: bool = True,
        line_width: float | None = None,
        font_size: float | None = None,
        font: str = "",
        pil: bool = False,
        img: NDArray[np.uint8] | None = None,
        kpt_radius: float | None = None,
        kpt_line: bool = True,
        labels: bool = True,
        boxes: bool = True,
        masks: bool = True,
        probs: bool = True,
        show: bool = False,
        save: bool = False,
        filename: str | os.PathLike[str] | None = None,
        color_mode: str = "class",
        txt_color: Color | None = None,
        **idle: object,
    ) -> NDArray[np.uint8]:
        """Draw the detections on a copy of the picture.

        Args:
            conf: write the confidence behind the name.
            line_width: pixels, cut to what fits; scaled to the picture when None.
            font_size: pixels, like `line_width`.
            font: Ultralytics' font file, which changes nothing here.
            pil: return a `PIL.Image.Image` instead.
            img: (H, W, 3) uint8 BGR to draw on a copy of, instead of the original picture.
            kpt_radius: of keypoints in pixels, like `line_width`. Points with a visibility below 0.25 are not drawn.
            kpt_line: draw the limbs of persons (17 keypoints).
            labels: write names.
            boxes: draw boxes, without which there are no names.
            masks: tint what masks cover.
            probs: list the most probable classes.
            show: show it too, see `show`.
            save: write it too, to `filename`, see `save`.
            filename: for `save`.
            color_mode: one colour a "class", or one an "instance".
            txt_color: blue, green, red; black or white to suit each label when None.
            idle: Ultralytics' im_gpu, which changes nothing here.

        Returns:
            (H, W, 3) uint8 BGR, new and writable.

        Raises:
            InvalidImage: for an `img` of another kind.
            InvalidOption: for a size, a colour or a `color_mode` that can not be used.
            UnknownOption: for another option.
        """
        check_idle(idle)
        picture = self.orig_img if img is None else img
        if not isinstance(picture, np.ndarray) or picture.shape[2:] != (3,) or picture.dtype != np.uint8:
            kind = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise InvalidImage(f"img: expected a uint8 array of (H, W, 3), got {kind}")
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
        image = plot_results(self, picture, options)
        if save:
            save_image(image, plot_path(self.path, filename))
        if show:
            show_image(image, self.path)
        return interchange.to_pil(image) if pil else image

    def show(self, *plot_arguments: Any, wait_ms: int = 0, **plot_options: Any) -> None:
        """Show the plot in the notebook, or in a window until a key is pressed.

        Thread safety: owned by the main thread, as windows are.

        Args:
            plot_arguments: arguments of `plot`, in its order.
            wait_ms: how long to wait for the key in milliseconds; 0 waits for ever.
            plot_options: arguments of `plot` by name.

        Raises:
            BackendUnavailable: without a notebook, a display, or an OpenCV that opens windows.
        """
        show_image(self.plot(*plot_arguments, **plot_options), self.path, wait_ms)

    def save(self, filename: str | os.PathLike[str] | None = None, *plot_arguments: Any, **plot_options: Any) -> str:
        """Write the plot. Folders are made where they are missing.

        Args:
            filename: where to; "results_" and the picture's name in the current folder when None.
            plot_arguments: arguments of `plot`, in its order.
            plot_options: arguments of `plot` by name.

        Returns:
            The path.

        Raises:
            InvalidOption: for a suffix that names no format for this picture, or a path that can not be written.
        """
        return save_image(self.plot(*plot_arguments, **plot_options), plot_path(self.path, filename))

    def save_txt(self, txt_file: str | os.PathLike[str], save_conf: bool = False) -> str:
        """Append a line for each detection to a label file, in units of the picture's size.

        ```
        detect    class x y w h [conf]                obb       class x1 y1 x2 y2 x3 y3 x4 y4 [conf]
        segment   class x1 y1 x2 y2 ... xm ym [conf]  classify  probability name, for five classes
        pose      class x y w h x1 y1 v1 ... [conf]
        ```

        Without detections nothing is written. One call's lines stay together when threads share the file.

        Args:
            txt_file: where to. Folders are made where they are missing.
            save_conf: put the confidence at the end of each line.

        Returns:
            The path.

        Raises:
            InvalidOption: for a path that can not be written.
        """
        return save_txt(self, Path(txt_file), save_conf)

    def save_crop(self, save_dir: str | os.PathLike[str], file_name: str | os.PathLike[str] = "im.jpg") -> list[str]:
        """Write each box's part of the picture as JPEG `save_dir`/class name/`file_name`.

        A crop has 2 % and 10 pixels more than its box; an oriented box is turned upright, and has no margin. A
        classification has no boxes, and nothing is written. Nothing is overwritten: im-2.jpg, im-3.jpg, ... come next.

        Args:
            save_dir: folder of the classes' folders, which are made where they are missing.
            file_name: of the first crop of each class.

        Returns:
            The paths.

        Raises:
            InvalidOption: for a path that can not be written.
        """
        return save_crops(self, Path(save_dir), Path(file_name))

    def summary(self, normalize: bool = False, decimals: int = 5) -> list[dict[str, Any]]:
        """Return one dictionary for each detection.

        Keys: name, class, confidence, box {x1, y1, x2, y2} (obb: to x4, y4), segments {x, y} where there are masks,
        keypoints {x, y, visible} where there are some. For classify: name, class, confidence of five classes.

        Args:
            normalize: divide coordinates by the picture's width and height.
            decimals: numbers are rounded to so many.
        """
        return summary(self, normalize, decimals)

    def to_json(self, normalize: bool = False, decimals: int = 5) -> str:
        """Return the summary as JSON; the arguments are those of `summary`."""
        return strict_json(self.summary(normalize, decimals), separators=(",", ":"), ensure_ascii=False)

    tojson = to_json

    def to_csv(self, normalize: bool = False, decimals: int = 5) -> str:
        """Return the summary as CSV with a header line; the arguments are those of `summary`."""
        return interchange.to_csv(self.summary(normalize, decimals), columns(self))

    def to_df(self, normalize: bool = False, decimals: int = 5) -> Any:
        """Return the summary as a polars DataFrame, or a pandas one where polars is missing.

        Args:
            normalize: as for `summary`.
            decimals: as for `summary`.

        Raises:
            BackendUnavailable: when neither is installed.
        """
        return interchange.to_df(self, normalize, decimals)

    def to_supervision(self) -> Any:
        """Return new `supervision.Detections`, with masks in the picture's size, or `Classifications`.

        Raises:
            BackendUnavailable: when supervision is not installed.
        """
        return interchange.to_supervision(self)

    def verbose(self) -> str:
        """Return the counts in words: "4 persons, 1 bus, ", "(no detections), ", or "cat 0.91, dog 0.05, "."""
        return verbose(self)

    def __reduce__(self) -> tuple[Callable[..., Results], tuple[Any, ...]]:
        rebuild = partial(Results, speed=self.speed, save_dir=self.save_dir, frame=self.frame)
        members = (self.boxes, self.masks, self.probs, self.keypoints, self.obb)
        return rebuild, (self.orig_img, self.path, self.names, *members)

    def __repr__(self) -> str:
        counts = self.verbose().removesuffix(", ")
        return f"Results({counts}; path={self.path!r}, orig_shape={self.orig_shape})"
