"""The two ways through the engine: a caller that waits, and a future."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future

from yoloom.engine.engine import Engine
from yoloom.engine.once import Once
from yoloom.engine.prediction import Prediction
from yoloom.engine.queue_policy import OnFull
from yoloom.engine.request import Request, Signal
from yoloom.engine.terms import Terms
from yoloom.errors import Cancelled, QueueFull, RuntimeFailed, YoloomError
from yoloom.results import Results

log = logging.getLogger("yoloom.engine")

Deliver = Callable[[Results], Results]


def _unchanged(results: Results) -> Results:
    return results


def predict_now(engine: Engine, prediction: Prediction, source: object, terms: Terms) -> Results:
    """Predict in the calling thread, which waits for its turn on a lane. Raises the request's error."""
    signal = Signal()
    request = engine.new_request(terms, signal.set)
    engine.admit(request)
    _prepare(engine, request, prediction, source, borrow=True)
    engine.wait(request, signal)
    results = prediction.finish_request(request)
    engine.check_in_time(request)
    return results


def predict_later(
    engine: Engine, prediction: Prediction, source: object, terms: Terms, deliver: Deliver = _unchanged
) -> ResultFuture:
    """Admit now, deliver through a future.

    Arrays and PIL images are copied before this returns, so the caller may reuse them; files and encoded bytes are
    decoded by a helper thread.
    """
    future = ResultFuture(engine, prediction, terms, deliver)
    engine.admit(future.request)
    future.prepare(source)
    return future


def predict_elsewhere(
    engine: Engine, prediction: Prediction, source: object, terms: Terms, deliver: Deliver = _unchanged
) -> ResultFuture:
    """Like `predict_later`, but never blocks: when the queue is full, another thread waits for the place.

    Raises QueueFull where the terms are not to wait for one.
    """
    future = ResultFuture(engine, prediction, terms, deliver)
    try:
        engine.admit(future.request, wait=False)
    except QueueFull:
        if terms.on_full is not OnFull.WAIT:
            raise
        engine.on_admitter(future.admit_and_prepare, source)
    else:
        future.prepare(source)
    return future


class ResultFuture(Future[Results]):
    """A `concurrent.futures.Future` whose `cancel` takes waiting work out of the queue. Shared freely.

    Work that is running already is let finish, and its result is thrown away. Callbacks run on threads of their own, so
    that one that blocks or predicts keeps nobody from its results.
    """

    def __init__(self, engine: Engine, prediction: Prediction, terms: Terms, deliver: Deliver) -> None:
        super().__init__()
        self._deliver = deliver
        self._engine = engine
        self._prediction = prediction
        # Whoever takes it ends the future: a result, an error or a cancellation, and no second one.
        self._settled = Once()
        self.request = engine.new_request(terms, self._ended)

    def result(self, timeout: float | None = None) -> Results:
        self._engine.check_process()
        return super().result(timeout)

    def cancel(self) -> bool:
        if not self._settled.take():
            return self.cancelled()
        self._engine.cancel(self.request, Cancelled("the caller cancelled the request."))
        super().cancel()
        self.set_running_or_notify_cancel()  # or `wait` and `as_completed` would not hear of it
        self._forget()
        return True

    def add_done_callback(self, fn: Callable[[Future[Results]], object]) -> None:
        super().add_done_callback(functools.partial(self._call_back, fn))

    def prepare(self, source: object) -> None:
        """Prepare the image of the admitted request, here or on a helper; its faults go to the future."""
        if isinstance(source, (str, os.PathLike, bytes)):
            self._on(self._engine.on_helper, self._prepare, source)
        else:
            self._prepare(source)

    def admit_and_prepare(self, source: object) -> None:
        """For a thread that may wait for a place."""
        try:
            self._engine.admit(self.request)
        except YoloomError as error:
            self._fail(error)
        else:
            self.prepare(source)

    def _prepare(self, source: object) -> None:
        _prepare(self._engine, self.request, self._prediction, source, borrow=False)
        if self.cancelled():  # between admission and here: `cancel` found nothing to take out
            self._engine.cancel(self.request, Cancelled("the caller cancelled the request."))

    def _ended(self, request: Request) -> None:
        # On a lane, or in the thread that closes or cancels: neither may run what follows.
        if not self.cancelled():
            self._on(self._engine.on_helper, self._finish)

    def _finish(self) -> None:
        self.request.raise_error()
        found = self._prediction.finish_request(self.request)
        self._engine.check_in_time(self.request)
        result = self._deliver(found)
        if self._settled.take():
            self.set_result(result)
            self._forget()

    def _fail(self, error: BaseException) -> None:
        if self._settled.take():
            self.set_exception(error)
            self._forget()

    def _forget(self) -> None:
        """Let go of the model's handle, which `deliver` holds."""
        self._deliver = _unchanged

    def _on(self, crew: Callable[..., None], work: Callable[..., None], *args: object) -> None:
        """Have a crew do `work`; what it raises goes to the future."""
        try:
            crew(self._guarded, work, *args)
        except YoloomError as error:
            self._engine.cancel(self.request, error)  # or it would keep its place, and a drain would wait for it
            self._fail(self.request.error or error)

    def _guarded(self, work: Callable[..., None], *args: object) -> None:
        try:
            work(*args)
        except Exception as error:  # noqa: BLE001  whatever it is must reach the caller, or he waits for ever
            self._fail(error)

    def _call_back(self, fn: Callable[[Future[Results]], object], future: Future[Results]) -> None:
        try:
            self._engine.on_caller_back(_called, fn, future)
        except YoloomError:  # the engine has ended: what is left is to call it here
            _called(fn, future)


def _called(fn: Callable[[Future[Results]], object], future: Future[Results]) -> None:
    try:
        fn(future)
    except Exception:
        log.exception("a callback of a future failed")


def _prepare(engine: Engine, request: Request, prediction: Prediction, source: object, borrow: bool) -> None:
    """Prepare an admitted request. A fault gives its place back and is how the request ends."""
    try:
        prediction.prepare(source, borrow)
    except YoloomError as error:
        engine.cancel(request, error)
    except BaseException as error:
        engine.cancel(request, RuntimeFailed(f"the image could not be prepared: {type(error).__name__}: {error}"))
        raise
    else:
        engine.run_when_free(request, prediction)
