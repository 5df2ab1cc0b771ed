"""One image that is decoded, run and post-processed in a worker; its results are put together here."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.pipeline import Ownership
from yoloom.engine.request import Request
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS, decode_image, read_encoded
from yoloom.images.header import Encoded, LazyImage
from yoloom.options import PredictOptions, class_ids
from yoloom.postprocess.detections import Detections
from yoloom.results.results import Results
from yoloom.sources.frame import FrameId
from yoloom.workers.ipc.messages import Message, PredictRequest


class RemoteImageJob:
    """An image on its way to a worker and back. See `ImageJob`.

    Thread safety: one thread at a time: prepare, to_request, take_answer, finish.

    Attributes:
        canvas_hw: Unknown here; it only matters for batches, which workers do not make.
        lowest_score: Confidence below which no candidate is kept.
    """

    canvas_hw = (0, 0)

    def __init__(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
        frame: FrameId | None = None,
    ) -> None:
        """Store. Raises UnknownClass. See `LocalImageJob` for the arguments."""
        self.lowest_score = options.conf
        self._names = model.names
        self._options = options
        self._keep = class_ids(options.classes, model.names)
        self._path = path
        self._max_pixels = max_pixels
        self._save_dir = save_dir
        self._frame = frame
        self._encoded: Encoded | None = None  # an encoded image stays so until somebody looks at the results' picture
        self._image: NDArray[np.uint8] | None = None
        self._is_borrowed = False
        self._answer: tuple[Detections, Mapping[str, float], tuple[int, int]] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the image as it is held: its pixels, or its encoded form."""
        if self._encoded is not None:
            return len(self._encoded.data)
        return 0 if self._image is None else self._image.nbytes

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Raise TypeError: the worker draws the image."""
        raise TypeError("the worker draws the image")

    def expected_nbytes(self, source: object) -> int:
        """Estimate the bytes that are held here: an encoded image waits encoded."""
        if isinstance(source, np.ndarray):
            return source.nbytes
        if isinstance(source, (bytes, bytearray, memoryview)):
            return memoryview(source).nbytes
        try:
            return Path(os.fsdecode(source)).stat().st_size if isinstance(source, (str, os.PathLike)) else 0
        except (OSError, ValueError):  # reading it raises a typed error
            return 0

    def prepare(self, source: object, ownership: Ownership = Ownership.COPY) -> None:
        """Read a path, check an array; nothing is decoded here. Raises InputError for a source that is no image."""
        self._encoded = read_encoded(source)
        if self._encoded is None:
            self._image = decode_image(source, self._max_pixels, borrow=ownership is not Ownership.COPY)
            self._is_borrowed = self._image is source and ownership is Ownership.BORROWED

    def copy_borrowed_image(self) -> None:
        """Copy a borrowed array for the results while the worker runs. The worker gets a copy in any case."""
        if self._is_borrowed and self._image is not None:
            try:
                self._image, self._is_borrowed = self._image.copy(), False
            except MemoryError:  # then it is tried once more when it has run
                return

    def to_request(self, request_id: int) -> PredictRequest:
        """Make the message to the worker."""
        encoded, image = self._encoded, self._image
        if encoded is not None:
            pixels = np.frombuffer(encoded.data or b"\0", np.uint8)[: len(encoded.data)]
        elif image is not None:
            pixels = image
        else:
            raise LookupError("the image is not prepared")
        notes = {
            "size": pixels.size,
            "shape": None if encoded is not None else pixels.shape,
            "source_name": "" if encoded is None else encoded.what,  # in errors
            "options": asdict(replace(self._options, classes=None)),
            # Names of classes are known to the caller's handle alone: here are their ids, None for all.
            "keep": None if self._keep is None else sorted(self._keep),
            "max_pixels": self._max_pixels,
        }
        return PredictRequest(request_id, pixels, notes)

    def take_answer(self, answer: Message) -> float:
        """Keep the worker's detections. Returns the milliseconds of inference."""
        speed: Mapping[str, float] = answer.notes["speed"]
        height, width = answer.notes["source_hw"]
        self._answer = Detections(**answer.arrays), speed, (height, width)
        return speed["inference"]

    def finish(self, request: Request) -> Results:
        """Make the results of a request that has succeeded. Raises LookupError without an answer."""
        request.take_outputs()
        if self._answer is None:
            raise LookupError("no worker has answered")
        found, speed, source_hw = self._answer
        picture: NDArray[np.uint8] | LazyImage
        if self._image is not None:
            picture = self._image.copy() if self._is_borrowed else self._image
        else:
            picture = LazyImage(source_hw, functools.partial(decode_image, self._encoded, self._max_pixels))
        members = found.boxes, found.masks, found.probs, found.keypoints, found.obb
        return Results(
            picture, self._path, self._names, *members, speed=speed, save_dir=self._save_dir, frame=self._frame
        )
