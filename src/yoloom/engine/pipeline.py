"""What is pure in a prediction, up to its Results: source → canvas, outputs → findings. A worker needs no more."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yoloom.formats.model import Layout, Model
from yoloom.images.centre_crop import CentreCrop
from yoloom.images.decode import MAX_PIXELS, decode_image
from yoloom.images.letterbox import Placement, plan_letterbox, round_up_to_stride
from yoloom.options import PredictOptions, class_ids
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.tasks import TASKS
from yoloom.runtime.protocol import Outputs


class Ownership(enum.Enum):
    """What the caller of a prediction does with an array until the results are there."""

    NONE = "none"  # it may change at once: the pixels are copied first
    BORROWED = "lent"  # the caller leaves it alone until `finish`, which copies it for the results
    OWNED = "given"  # nobody else has it: it is never copied


@dataclass(frozen=True)
class Judged:
    """What was found in one image, and the milliseconds of preprocess, inference and postprocess."""

    found: Detections
    speed: Mapping[str, float]


class ImagePipeline:
    """One image, what was asked of it, and where it was placed. One thread at a time: prepare, draw, judge."""

    _lent = False

    def __init__(self, model: Model, options: PredictOptions, max_pixels: int = MAX_PIXELS) -> None:
        """Raises UnknownClass."""
        self._model = model
        self._options = options
        self._keep: Set[int] | None = class_ids(options.classes, model.names)
        self._max_pixels = max_pixels

    def keep_only(self, ids: Set[int] | None) -> None:
        """Keep the classes of these ids, None for all, whatever the options say and the model's names are."""
        self._keep = ids

    def prepare(self, source: object, loan: Ownership = Ownership.NONE) -> None:
        """Decode, and plan the placement. Raises InputError for a source that is no usable image.

        loan: of an array. Callers that wait for their turn lend it, and hold one copy of their image, not two.
        """
        self._image = decode_image(source, self._max_pixels, borrow=loan is not Ownership.NONE)
        self._lent = self._image is source and loan is Ownership.BORROWED
        self._placed = _place(self._model, self._options, self._image.shape[:2])

    @property
    def source_hw(self) -> tuple[int, int]:
        """Size of the prepared image in pixels."""
        height, width = self._image.shape[:2]
        return height, width

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Size of the canvas that `draw` needs, in pixels."""
        return self._placed.canvas_hw

    @property
    def nbytes(self) -> int:
        """Of the prepared image, in the source's size."""
        return self._image.nbytes

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Letterbox, or crop, the prepared image on `canvas` (*canvas_hw, 3)."""
        started = time.perf_counter()
        self._placed.draw(self._image, canvas)
        self._preprocess_ms = (time.perf_counter() - started) * 1e3

    def judge(self, outputs: Outputs, inference_ms: float) -> Judged:
        """Rows, NMS, and back to the pixels of the source. outputs: those of this image, without the batch axis."""
        started = time.perf_counter()
        head = _head(self._model)
        found = TASKS[self._model.task](outputs, head, self._placed, self._options, self._keep)
        postprocess_ms = (time.perf_counter() - started) * 1e3
        speed = {"preprocess": self._preprocess_ms, "inference": inference_ms, "postprocess": postprocess_ms}
        return Judged(found, speed)


def _place(model: Model, options: PredictOptions, source_hw: tuple[int, int]) -> Placement:
    free = model.input.hw is None
    canvas_hw = model.input.hw or round_up_to_stride(options.imgsz or model.imgsz_hw, model.stride)
    if model.task == "classify":
        return CentreCrop(source_hw, canvas_hw)
    return plan_letterbox(source_hw, canvas_hw, model.stride if free and options.rect else None)


def _head(model: Model) -> OutputLayout:
    return OutputLayout(model.layout is Layout.END2END, len(model.names) or None, model.kpt_shape)
