"""What is pure in a prediction: source → canvas, outputs → Results."""

from __future__ import annotations

import contextlib
import os

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.pipeline import ImagePipeline, Judged
from yoloom.engine.request import Request
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.images.lazy_image import LazyImage
from yoloom.options import PredictOptions
from yoloom.results.results import Results


class Prediction(ImagePipeline):
    """An image on its way to its Results. One thread at a time: prepare, draw, finish.

    But for `copy_borrowed_image`, which the caller may do while a lane draws and runs.
    """

    _kept: NDArray[np.uint8] | None = None

    def __init__(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
    ) -> None:
        """Raises UnknownClass. path: what the results are to be called after."""
        super().__init__(model, options, max_pixels)
        self._path = path
        self._save_dir = save_dir

    def copy_borrowed_image(self) -> None:
        """Copy a lent array for the results now, while the network runs, and not when it has run."""
        if self._lent:
            with contextlib.suppress(MemoryError):  # then it is tried once more when it has run
                self._kept = self._image.copy()

    def finish_request(self, request: Request) -> Results:
        """The results of a request that has succeeded."""
        judged = self.judge(request.take_outputs(), request.run_ms)
        return self._results(self._own_picture(), judged)

    def _own_picture(self) -> NDArray[np.uint8]:
        if self._kept is not None:
            return self._kept
        return self._image.copy() if self._lent else self._image

    def _results(self, image: NDArray[np.uint8] | LazyImage, judged: Judged) -> Results:
        found = judged.found
        members = found.boxes, found.masks, found.probs, found.keypoints, found.obb
        return Results(image, self._path, self._model.names, *members, speed=judged.speed, save_dir=self._save_dir)


def source_path(source: object, index: int = 0) -> str:
    """The path that Results carry: the file's own, or a stand-in with the position in the call."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    return str(getattr(source, "filename", None) or f"image{index}.jpg")
