"""One image of a call, from its source to its results."""

from __future__ import annotations

import contextlib
import os
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.pipeline import ImagePipeline, Ownership
from yoloom.engine.request import Image, Request
from yoloom.formats.model import Layout, Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.images.header import decoded_nbytes
from yoloom.options import PredictOptions
from yoloom.results.results import Results
from yoloom.sources.frame import FrameId


class ImageJob(Image, Protocol):
    """An image on its way to its results, in this process or in a worker.

    Thread safety: one thread at a time: prepare, draw, finish; but for `copy_borrowed_image`, which the caller may do
    while a lane draws and runs.
    """

    def expected_nbytes(self, source: object) -> int:
        """Estimate from its header how much memory a source will take, 0 where that can not be told."""

    def prepare(self, source: object, ownership: Ownership) -> None:
        """Make the image ready for a lane. Raises InputError for a source that is no usable image."""

    def copy_borrowed_image(self) -> None:
        """Copy a borrowed array for the results now, while the network runs, and not when it has run."""

    def finish(self, request: Request) -> Results:
        """Make the results of a request that has succeeded."""


class LocalImageJob:
    """An image that a lane of this process draws and runs. See `ImageJob`.

    Thread safety: one thread at a time, see `ImageJob`.

    Attributes:
        canvas_hw: Height and width of the canvas in pixels, after `prepare`.
        nbytes: Bytes of the decoded picture, and of a canvas that is drawn already.
        lowest_score: Confidence below which no candidate is kept.
    """

    def __init__(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
        frame: FrameId | None = None,
        layout: Layout | None = None,
        draws_early: bool = False,
    ) -> None:
        """Store. Raises UnknownClass.

        Args:
            model: The model as its handle describes it.
            options: Options of the call.
            path: Name of the results.
            max_pixels: Largest picture that is accepted.
            save_dir: Folder where the results are saved.
            frame: Name of the frame, for an image of one source among several.
            layout: Layout of the raw outputs, None for the one that the file says.
            draws_early: Draw the canvas in `prepare`, since a lane runs many images at once.
        """
        self._pipeline = ImagePipeline(model, options, max_pixels, layout)
        self._names = model.names
        self._path = path
        self._save_dir = save_dir
        self._frame = frame
        self._draws_early = draws_early
        self.lowest_score = options.conf
        self.canvas_hw: tuple[int, int]
        self.nbytes: int
        self._canvas: NDArray[np.uint8] | None = None
        self._copy: NDArray[np.uint8] | None = None

    def expected_nbytes(self, source: object) -> int:
        """Estimate the size of the decoded picture from its header, 0 where that can not be told."""
        return decoded_nbytes(source) or 0

    def prepare(self, source: object, ownership: Ownership = Ownership.COPY) -> None:
        """Decode, and plan the placement. Raises InputError for a source that is no usable image."""
        pipeline = self._pipeline
        pipeline.prepare(source, ownership)
        self.canvas_hw = pipeline.canvas_hw
        self.nbytes = pipeline.image.nbytes
        if self._draws_early:
            canvas = np.empty((*self.canvas_hw, 3), np.uint8)
            pipeline.draw(canvas)
            self._canvas = canvas
            self.nbytes += canvas.nbytes  # both are held until the results are there

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Place the image on its canvas (*canvas_hw, 3)."""
        if self._canvas is None:
            self._pipeline.draw(canvas)
        else:
            canvas[...] = self._canvas

    def copy_borrowed_image(self) -> None:
        """Copy a borrowed array for the results now, while the network runs, and not when it has run."""
        if self._pipeline.is_borrowed:
            with contextlib.suppress(MemoryError):  # then it is tried once more when it has run
                self._copy = self._pipeline.image.copy()

    def finish(self, request: Request) -> Results:
        """Make the results of a request that has succeeded."""
        pipeline = self._pipeline
        found = pipeline.postprocess(request.take_outputs(), request.run_ms)
        image = self._copy
        if image is None:
            # Always a copy of what is the caller's: results are frozen, and the caller may draw on its array next.
            image = pipeline.image.copy() if pipeline.is_borrowed else pipeline.image
        members = found.boxes, found.masks, found.probs, found.keypoints, found.obb
        return Results(
            image, self._path, self._names, *members, speed=pipeline.speed, save_dir=self._save_dir, frame=self._frame
        )


def source_path(source: object, index: int = 0) -> str:
    """Name the results of a source: the file's own path, or a stand-in with the position in the call."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    return str(getattr(source, "filename", None) or f"image{index}.jpg")
