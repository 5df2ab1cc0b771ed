"""The pure steps of one prediction: source → canvas, raw outputs → detections. A worker process needs no more."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping, Set

import numpy as np
from numpy.typing import NDArray

from yoloom.formats.model import Layout, Model
from yoloom.images.centre_crop import CentreCrop
from yoloom.images.decode import MAX_PIXELS, decode_image
from yoloom.images.letterbox import Placement, plan_letterbox, round_up_to_stride
from yoloom.options import PredictOptions, class_ids
from yoloom.postprocess.detections import Detections, output_layout
from yoloom.postprocess.tasks import TASKS
from yoloom.runtime.protocol import RawOutputs


class Ownership(enum.Enum):
    """The owner of an array until the results are there."""

    COPY = "copy"  # the caller may change it at once: the pixels are copied first
    BORROWED = "borrowed"  # the caller leaves it alone until `finish`, which copies it for the results
    OWNED = "owned"  # nobody else has it: it is never copied


class ImagePipeline:
    """One image, the options of its call, and its place on the canvas.

    Thread safety: one thread at a time: prepare, draw, postprocess.

    Attributes:
        image: The decoded picture, (H, W, 3) uint8 BGR.
        is_borrowed: Whether `image` is the caller's own array.
        source_hw: Height and width of the prepared image in pixels.
        canvas_hw: Height and width of the canvas that `draw` needs, in pixels, after `prepare`.
        lowest_score: Confidence below which no candidate is kept.
        speed: Milliseconds of preprocess, inference and postprocess, after `postprocess`.
    """

    def __init__(
        self, model: Model, options: PredictOptions, max_pixels: int = MAX_PIXELS, layout: Layout | None = None
    ) -> None:
        """Store. Raises UnknownClass. layout: of the raw outputs, None for the one that the file says."""
        self._model = model
        self._options = options
        self._keep: Set[int] | None = None if options.classes is None else class_ids(options.classes, model.names)
        self._max_pixels = max_pixels
        self._output_layout = output_layout(model, layout or model.layout)
        self.lowest_score = options.conf
        self.is_borrowed = False
        self.image: NDArray[np.uint8]
        self.source_hw: tuple[int, int]
        self.canvas_hw: tuple[int, int]
        self._placement: Placement
        self._preprocess_ms = 0.0
        self.speed: Mapping[str, float] = {}

    def keep_only(self, ids: Set[int] | None) -> None:
        """Keep the classes of these ids, None for all, whatever the options say and the model's names are."""
        self._keep = ids

    def prepare(self, source: object, ownership: Ownership = Ownership.COPY) -> None:
        """Decode, and plan the placement. Raises InputError for a source that is no usable image.

        ownership: of an array. Callers that wait for their turn lend it, and hold one copy of their image, not two.
        """
        self.image = decode_image(source, self._max_pixels, borrow=ownership is not Ownership.COPY)
        self.is_borrowed = self.image is source and ownership is Ownership.BORROWED
        model, options = self._model, self._options
        source_hw = self.source_hw = self.image.shape[0], self.image.shape[1]
        canvas_hw = model.input.hw or round_up_to_stride(options.imgsz or model.imgsz_hw, model.stride)
        if model.task == "classify":
            self._placement = CentreCrop(source_hw, canvas_hw)
        else:
            is_free = model.input.hw is None
            self._placement = plan_letterbox(source_hw, canvas_hw, model.stride if is_free and options.rect else None)
        self.canvas_hw = self._placement.canvas_hw

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Letterbox, or crop, the prepared image on `canvas` (*canvas_hw, 3)."""
        started = time.perf_counter()
        self._placement.draw(self.image, canvas)
        self._preprocess_ms = (time.perf_counter() - started) * 1e3

    def postprocess(self, outputs: RawOutputs, inference_ms: float) -> Detections:
        """Find rows, suppress overlaps, and go back to the pixels of the source.

        Args:
            outputs: Raw outputs of this image, without the batch axis.
            inference_ms: Time in the runtime, for `speed`.
        """
        started = time.perf_counter()
        find = TASKS[self._model.task]
        detections = find(outputs, self._output_layout, self._placement, self._options, self._keep)
        postprocess_ms = (time.perf_counter() - started) * 1e3
        self.speed = {"preprocess": self._preprocess_ms, "inference": inference_ms, "postprocess": postprocess_ms}
        return detections
