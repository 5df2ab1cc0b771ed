"""What is pure in a prediction: source → canvas, outputs → Results."""

from __future__ import annotations

import os
import time

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.request import Request
from yoloom.formats.model import Layout, Model
from yoloom.heads.detect import detect_end2end, detect_raw
from yoloom.images.decode import MAX_PIXELS, decode_image
from yoloom.images.letterbox import Letterbox, plan_letterbox, round_up_to_stride
from yoloom.options import PredictOptions, class_ids
from yoloom.results import Results
from yoloom.runtime.protocol import Outputs

_HEADS = {Layout.RAW: detect_raw, Layout.END2END: detect_end2end}


class Prediction:
    """One image, what was asked of it, and where the letterbox put it. One thread at a time: prepare, draw, finish."""

    def __init__(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
    ) -> None:
        """Raises UnknownClass. path: what the results are to be called after."""
        self._model = model
        self._options = options
        self._keep = class_ids(options.classes, model.names)
        self._path = path
        self._max_pixels = max_pixels
        self._save_dir = save_dir

    def prepare(self, source: object, borrow: bool = False) -> None:
        """Decode, and plan the letterbox. Raises InputError for a source that is no usable image.

        borrow: the caller leaves an array alone until `finish`, so its pixels are copied only then: callers that wait
        for their turn hold one copy of their image, not two.
        """
        self._image = decode_image(source, self._max_pixels, borrow)
        self._borrowed = self._image is source
        self._letterbox = _plan(self._model, self._options, self._image.shape[:2])

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Size of the canvas that `draw` needs, in pixels."""
        return self._letterbox.canvas_hw

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Letterbox the prepared image on `canvas` (*canvas_hw, 3)."""
        started = time.perf_counter()
        self._letterbox.draw(self._image, canvas)
        self._preprocess_ms = (time.perf_counter() - started) * 1e3

    def finish(self, outputs: Outputs, inference_ms: float) -> Results:
        """Rows, NMS, and back to the pixels of the source. outputs: those of this image, without the batch axis."""
        started = time.perf_counter()
        rows = _HEADS[self._model.layout](outputs[0], self._options, self._keep)
        rows[:, :4] = self._letterbox.to_source(rows[:, :4])
        postprocess_ms = (time.perf_counter() - started) * 1e3
        speed = {"preprocess": self._preprocess_ms, "inference": inference_ms, "postprocess": postprocess_ms}
        image = self._image.copy() if self._borrowed else self._image
        return Results(image, self._path, self._model.names, rows, speed=speed, save_dir=self._save_dir)

    def finish_request(self, request: Request) -> Results:
        """`finish` for a request that has succeeded."""
        return self.finish(request.take_outputs(), request.run_ms)


def source_path(source: object, index: int = 0) -> str:
    """The path that Results carry: the file's own, or a stand-in with the position in the call."""
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    return str(getattr(source, "filename", None) or f"image{index}.jpg")


def _plan(model: Model, options: PredictOptions, source_hw: tuple[int, int]) -> Letterbox:
    if model.input.hw is not None:
        return plan_letterbox(source_hw, model.input.hw, stride=None)
    imgsz_hw = round_up_to_stride(options.imgsz or model.imgsz_hw, model.stride)
    return plan_letterbox(source_hw, imgsz_hw, model.stride if options.rect else None)
