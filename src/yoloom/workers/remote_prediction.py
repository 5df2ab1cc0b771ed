"""A prediction whose image is decoded, run and post-processed in a worker; its results are put together here."""

from __future__ import annotations

import functools
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.pipeline import Judged, Ownership
from yoloom.engine.prediction import Prediction
from yoloom.engine.request import Request
from yoloom.images.decode import decode_image, read_encoded
from yoloom.images.header import Encoded
from yoloom.images.lazy_image import LazyImage
from yoloom.postprocess.detections import Detections
from yoloom.results.results import Results
from yoloom.workers.ipc.messages import Message, PredictRequest


class RemotePrediction(Prediction):
    """One image on its way to a worker and back: prepare, to_request, take_answer, finish_request, in this order.

    Thread safety: one thread at a time.
    """

    _encoded: Encoded | None = None

    def prepare(self, source: object, loan: Ownership = Ownership.NONE) -> None:
        """Read a path or check an array; nothing is decoded here. Raises InputError for a source that is no image."""
        self._encoded = read_encoded(source)
        if self._encoded is None:
            # Borrowed, an array is sent straight from the caller's memory: it is copied once, into the worker's slot.
            self._image = decode_image(source, self._max_pixels, borrow=loan is not Ownership.NONE)
            self._lent = self._image is source and loan is Ownership.BORROWED

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Unknown here, (0, 0); it only matters for batches, which workers do not make."""
        return (0, 0)

    @property
    def nbytes(self) -> int:
        """The bytes of the image as it is held: its pixels, or its encoded form."""
        return self._image.nbytes if self._encoded is None else len(self._encoded.data)

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Raise TypeError: the worker draws the image."""
        raise TypeError("the worker draws the image")

    def to_request(self, request_id: int) -> PredictRequest:
        """Return the image and its options as a worker needs them."""
        encoded = self._encoded
        # numpy makes no array of no bytes at all: one byte is there, and left out.
        pixels = self._image if encoded is None else np.frombuffer(encoded.data or b"\0", np.uint8)[: len(encoded.data)]
        source_name = "" if encoded is None else encoded.what
        options = asdict(replace(self._options, classes=None))
        keep = None if self._keep is None else sorted(self._keep)
        return PredictRequest(request_id, pixels, source_name, options, keep, self._max_pixels)

    def take_answer(self, answer: Message) -> Judged:
        """Keep the detections of the worker."""
        self._source_hw: tuple[int, int] = tuple(answer.notes["source_hw"])
        self._judged = Judged(Detections(**answer.arrays), answer.notes["speed"])
        return self._judged

    def finish_request(self, request: Request) -> Results:
        """Return the results of a request that has succeeded."""
        request.take_outputs()
        return self._results(self._picture(), self._judged)

    def _picture(self) -> NDArray[np.uint8] | LazyImage:
        # Out of the bytes that the worker has seen: the file may be another one by now.
        if self._encoded is not None:
            return LazyImage(self._source_hw, functools.partial(decode_image, self._encoded, self._max_pixels))
        return self._own_picture()
