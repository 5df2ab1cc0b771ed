"""One call of the facade: everything that was asked, frozen when the call was made."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from yoloom.engine.futures import predict_later, predict_nonblocking, predict_now
from yoloom.engine.prediction import Prediction, source_path
from yoloom.engine.scheduling.client import RequestTerms, priority_of, resolve_client
from yoloom.engine.scheduling.queue_policy import OnFull
from yoloom.engine.stream import ResultStream
from yoloom.errors import InvalidOption, PartialFailure, YoloomError
from yoloom.facade.open_model import OpenModel
from yoloom.facade.output_folder import open_output, plot_options
from yoloom.images.decode import copied_bytes
from yoloom.options import PredictOptions, SaveOptions, class_ids
from yoloom.results.results import Results
from yoloom.sync.clock import monotonic
from yoloom.validation import positive_seconds

Errors = Literal["raise", "return"]


@dataclass(frozen=True)
class Asked:
    """What a caller said about waiting; see `YOLO.predict`. Immutable: shared freely."""

    timeout: Any = None
    client: Any = None
    priority: Any = 0
    on_full: OnFull = OnFull.WAIT


class Call:
    """A prediction of one or many images with the same options. Shared freely: nothing in it changes."""

    def __init__(
        self,
        opened: OpenModel,
        options: PredictOptions,
        save: SaveOptions,
        errors: Errors,
        asked: Asked,
        max_pixels: int,
    ) -> None:
        """opened: is not given back while a stream or a future of this call lives.

        Raises InvalidOption or UnknownClass.
        """
        if errors not in ("raise", "return"):
            raise InvalidOption(f"errors must be 'raise' or 'return', got {errors!r}.")
        class_ids(options.classes, opened.model.names)
        self._opened = opened
        self._engine = opened.engine
        self._model = opened.model
        self._options = options
        self._save = save
        self._return_errors = errors == "return"
        self._timeout = positive_seconds(asked.timeout)
        self._client = resolve_client(asked.client)
        self._priority = priority_of(asked.priority)
        self._on_full = asked.on_full
        self._max_pixels = max_pixels
        self._output = open_output(save, self._model.task)

    def now(self, source: Any) -> Results:
        """Predict one image in the calling thread."""
        return predict_now(self._engine, self._prediction(source), source, self._terms(), self._delivered)

    def later(self, source: Any) -> Future[Results]:
        """Predict one image in the background."""
        prediction, deliver = self._prediction(source), self._delivered_by_helper()
        return predict_later(self._engine, prediction, source, self._terms(), deliver).keep_time()

    def awaitable(self, source: Any) -> Coroutine[Any, Any, Results]:
        """A coroutine for one image. A buffer is copied now: until it is awaited, the caller may reuse it."""
        return self._awaited(_own(source), self._terms(), self._delivered_by_helper())

    async def _awaited(self, source: Any, terms: RequestTerms, deliver: Callable[[Results], Results]) -> Results:
        from yoloom.engine.asyncio_bridge import awaited  # whoever awaits this has imported asyncio

        future = predict_nonblocking(self._engine, self._prediction(source), source, terms, deliver)
        return await awaited(future, terms.deadline - monotonic())

    def all(self, sources: Iterable[Any]) -> list[Results | YoloomError]:
        """Predict all images within one timeout. Raises PartialFailure at the end, unless errors are returned."""
        outcomes = list(self._stream(sources, self._terms(), return_errors=True))
        failures = {index: outcome for index, outcome in enumerate(outcomes) if isinstance(outcome, YoloomError)}
        if failures and not self._return_errors:
            raise PartialFailure(
                [None if index in failures else outcome for index, outcome in enumerate(outcomes)], failures
            )
        return outcomes

    def stream(self, sources: Iterable[Any]) -> ResultStream:
        """Results one by one, each image within the timeout."""
        return self._stream(sources, None, self._return_errors)

    def _stream(self, sources: Iterable[Any], terms: RequestTerms | None, return_errors: bool) -> ResultStream:
        def submit(item: tuple[int, Any]) -> Future[Results]:
            index, source = item
            if isinstance(source, YoloomError):  # it stood for no image
                raise source
            return predict_later(self._engine, self._prediction(source, index), source, terms or self._terms())

        return ResultStream(enumerate(sources), submit, self._delivered, self._engine.window, return_errors)

    def _prediction(self, source: Any, index: int = 0) -> Prediction:
        save_dir = None if self._output is None else self._output.path
        path = source_path(source, index)
        return self._engine.prediction_type(self._model, self._options, path, self._max_pixels, save_dir)

    def _terms(self) -> RequestTerms:
        deadline = math.inf if self._timeout is None else monotonic() + self._timeout
        return RequestTerms(deadline, self._client, self._priority, self._on_full)

    def _delivered_by_helper(self) -> Callable[[Results], Results]:
        if self._save.show:
            raise InvalidOption("show=True needs the main thread, which owns the windows: show the result yourself.")
        return self._delivered

    def _delivered(self, results: Results) -> Results:
        if self._output is not None:
            self._output.write(results)
        if self._save.show:
            results.show(wait_ms=1, **plot_options(self._save))
        return results


def _own(source: Any) -> Any:
    """An array, or encoded bytes, in memory that nobody else writes to; anything else as it is."""
    if isinstance(source, memoryview):
        return copied_bytes(source)
    return source.copy() if isinstance(source, (np.ndarray, bytearray)) else source
