"""One call of the facade: all options, frozen when the call was made."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from yoloom.engine.futures import ResultFuture, predict_later, predict_nonblocking, predict_now
from yoloom.engine.image_job import ImageJob, source_path
from yoloom.engine.scheduling.request_terms import RequestTerms, named_client
from yoloom.engine.stream import ResultStream, awaited
from yoloom.errors import InvalidOption, PartialFailure, YoloomError
from yoloom.facade.callbacks import Predictor
from yoloom.facade.open_model import OpenModel
from yoloom.facade.output_folder import OutputFolder, plot_options
from yoloom.images.decode import copied_bytes
from yoloom.options import PredictOptions, SaveOptions, class_ids
from yoloom.results.mutable import MutableResults
from yoloom.results.results import Results
from yoloom.sources.frame import Frame, FrameId
from yoloom.sources.image_files import FoundFile
from yoloom.sources.opened import TensorImage, read_one
from yoloom.sync.clock import monotonic

Errors = Literal["raise", "return"] | None
"""Fate of an image that fails. None: one that was found in a folder or list is skipped, and others raise."""


class Call:
    """A prediction of one or many images with the same options.

    Thread safety: any number of threads (nothing in it changes).
    """

    def __init__(
        self,
        opened: OpenModel,
        options: PredictOptions,
        save: SaveOptions,
        errors: Errors,
        terms: RequestTerms,
        max_pixels: int,
        has_client: bool = False,
        output: OutputFolder | None = None,
        predictor: Predictor | None = None,
        mutable: bool = False,
    ) -> None:
        """Freeze the options. Raises InvalidOption or UnknownClass.

        Args:
            opened: The model, which is not given back while a stream or a future of this call lives.
            options: Options of the prediction.
            save: Options of saving and showing.
            errors: Fate of an image that fails among several.
            terms: Terms of each request.
            max_pixels: Largest picture that is accepted.
            has_client: Whether the caller named a client; else each source of frames is one.
            output: Folder of what the call writes, None when it writes nothing.
            predictor: Runs the callbacks of the handle in the thread that gets the results.
            mutable: Whether the caller may change the results.
        """
        if errors not in ("raise", "return", None):
            raise InvalidOption(f"errors must be 'raise', 'return' or None, got {errors!r}.")
        if options.classes is not None:
            class_ids(options.classes, opened.model.names)
        self._opened = opened
        self._engine = opened.lease.engine
        self._options = options
        self._save = save
        self._return_errors = errors == "return"
        self._skips_found = errors is None
        self._terms = terms
        self._has_client = has_client
        self._max_pixels = max_pixels
        self._predictor = predictor
        self._mutable = mutable
        self._output = output

    def now(self, source: Any) -> Results:
        """Predict one image in the calling thread."""
        image, job, terms = self._begin(source)
        results = predict_now(self._engine, job, image, terms, self._deliver)
        if self._predictor is not None:
            self._predictor.run_callbacks("on_predict_end")
        return results

    def later(self, source: Any) -> Future[Results]:
        """Predict one image in the background."""
        image, job, terms = self._begin(source)
        return predict_later(self._engine, job, image, terms, self._helpers_delivery()).keep_time()

    def awaitable(self, source: Any) -> Coroutine[Any, Any, Results]:
        """Return a coroutine for one image. A buffer is copied now: until it is awaited, the caller may reuse it."""
        image, job, terms = self._begin(source)
        if isinstance(image, memoryview):
            image = copied_bytes(image)
        elif isinstance(image, (np.ndarray, bytearray)):
            image = image.copy()
        deliver = self._helpers_delivery()

        async def predict() -> Results:
            future = predict_nonblocking(self._engine, job, image, terms, deliver)
            return await awaited(future, terms.deadline - monotonic())

        return predict()

    def all(self, sources: Iterable[Any]) -> list[Results | YoloomError]:
        """Predict all images within one timeout. Raises PartialFailure at the end, unless errors are returned."""
        terms = self._terms.starting(monotonic())._replace(timeout_s=None)  # one deadline for all
        outcomes = list(self._stream(sources, terms, return_errors=True))
        failures = {index: outcome for index, outcome in enumerate(outcomes) if isinstance(outcome, YoloomError)}
        if failures and not self._return_errors:
            raise PartialFailure(
                [None if index in failures else outcome for index, outcome in enumerate(outcomes)], failures
            )
        return outcomes

    def stream(self, sources: Iterable[Any]) -> ResultStream[Any]:
        """Predict images one by one, each within the timeout."""
        return self._stream(sources, self._terms, self._return_errors)

    def _stream(self, sources: Iterable[Any], terms: RequestTerms, return_errors: bool) -> ResultStream[Any]:
        def submit(item: tuple[int, Any]) -> ResultFuture:
            index, source = item
            if isinstance(source, YoloomError):  # it stood for no image
                raise source
            image, job, own_terms = self._begin(source, index, terms)
            return predict_later(self._engine, job, image, own_terms)

        def end() -> None:
            if self._predictor is not None:
                self._predictor.run_callbacks("on_predict_end")

        def may_skip(item: tuple[int, Any]) -> bool:
            return self._skips_found and isinstance(item[1], FoundFile)

        window = self._engine.lanes.window
        return ResultStream(enumerate(sources), submit, self._deliver, window, return_errors, end, may_skip)

    def _begin(
        self, source: Any, index: int = 0, terms: RequestTerms | None = None
    ) -> tuple[Any, ImageJob, RequestTerms]:
        """The image of a source, its job, and the terms of its request."""
        terms = (self._terms if terms is None else terms).starting(monotonic())
        frame: FrameId | None = None
        options, path = self._options, source_path(source, index)
        if isinstance(source, Frame):
            frame, source = source.id, source.image
            if not self._has_client:  # a stream of many sources is many clients
                terms = terms._replace(client=named_client(("source", frame.source_id)))
            path = source_path(source, index)
        if not isinstance(source, (np.ndarray, str)):
            source = read_one(source)
            if isinstance(source, TensorImage):  # it is on its canvas already, as in Ultralytics
                if not any(side % self._opened.model.stride for side in source.shape_hw):
                    options = replace(options, imgsz=source.shape_hw)
                source = source.pixels
        save_dir = None if self._output is None else self._output.path
        job = self._engine.lanes.new_job(self._opened.model, options, path, self._max_pixels, save_dir, frame)
        return source, job, terms

    def _helpers_delivery(self) -> Callable[[Results], Results]:
        """The last step, when a helper takes it."""
        if self._save.show:
            raise InvalidOption("show=True needs the main thread, which owns the windows: show the result yourself.")
        return self._deliver

    def _deliver(self, results: Results) -> Results:
        if self._output is not None:
            self._output.write(results, self._save)
        if self._save.show:
            results.show(wait_ms=1, **plot_options(self._save))
        if self._mutable:
            results = MutableResults(results)
        return results if self._predictor is None else self._predictor.observe(results)
