"""The two ways through the engine: a caller that waits, and a future."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from yoloom.engine.engine import Engine
from yoloom.engine.prediction import Prediction
from yoloom.engine.request import Request, Signal
from yoloom.errors import Cancelled, EngineClosed, RuntimeFailed, YoloomError
from yoloom.results import Results

Deliver = Callable[[Results], Results]


def _unchanged(results: Results) -> Results:
    return results


def predict_now(engine: Engine, prediction: Prediction, source: object, deadline: float) -> Results:
    """Predict in the calling thread, which waits for its turn on a lane. Raises the request's error."""
    signal = Signal()
    request = engine.new_request(deadline, signal.set)
    engine.admit(request)
    _prepare(engine, request, prediction, source, borrow=True)
    engine.wait(request, signal)
    return prediction.finish_request(request)


def predict_later(
    engine: Engine, prediction: Prediction, source: object, deadline: float, deliver: Deliver = _unchanged
) -> ResultFuture:
    """Admit now, deliver through a future.

    Arrays and PIL images are copied before this returns, so the caller may reuse them; files and encoded bytes are
    decoded by a helper thread.
    """
    future = ResultFuture(engine, prediction, deadline, deliver)
    engine.admit(future.request)
    if isinstance(source, (str, os.PathLike, bytes)):
        future.on_helper(future.prepare, source)
    else:
        future.prepare(source)
    return future


def predict_elsewhere(
    engine: Engine, prediction: Prediction, source: object, deadline: float, deliver: Deliver = _unchanged
) -> ResultFuture:
    """Like `predict_later`, with all of it on helper threads: nothing blocks the caller, which is an event loop."""
    future = ResultFuture(engine, prediction, deadline, deliver)
    future.on_helper(future.admit_and_prepare, source)
    return future


class ResultFuture(Future[Results]):
    """A `concurrent.futures.Future` whose `cancel` takes waiting work out of the queue. Shared freely.

    Work that is running already is let finish, and its result is thrown away.
    """

    def __init__(self, engine: Engine, prediction: Prediction, deadline: float, deliver: Deliver) -> None:
        super().__init__()
        self._deliver = deliver
        self._engine = engine
        self._prediction = prediction
        self.request = engine.new_request(deadline, self._ended)

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled:
            self._engine.cancel(self.request, Cancelled("the caller cancelled the request."))
        return cancelled

    def admit_and_prepare(self, source: object) -> None:
        if not self.cancelled():
            self._engine.admit(self.request)
            self.prepare(source, borrow=True)

    def prepare(self, source: object, borrow: bool = False) -> None:
        """Prepare the image of the admitted request; its faults go to the future."""
        _prepare(self._engine, self.request, self._prediction, source, borrow)
        if self.cancelled():  # between admission and here: `cancel` found nothing to take out
            self._engine.cancel(self.request, Cancelled("the caller cancelled the request."))

    def on_helper(self, work: Any, *args: object) -> None:
        """Run `work` on a helper thread; what it raises goes to the future."""
        try:
            self._engine.on_helper(self._guarded, work, *args)
        except (EngineClosed, RuntimeError) as error:  # RuntimeError: no more threads can be started
            self._fail(error)

    def _guarded(self, work: Any, *args: object) -> None:
        try:
            work(*args)
        except Exception as error:  # noqa: BLE001  whatever it is must reach the caller, or he waits for ever
            self._fail(error)

    def _ended(self, request: Request) -> None:
        if request.error is not None:
            self._fail(request.error)
        elif not self.cancelled():
            self.on_helper(self._finish)

    def _finish(self) -> None:
        result = self._deliver(self._prediction.finish_request(self.request))
        if self.set_running_or_notify_cancel():
            self.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.done() and self.set_running_or_notify_cancel():
            self.set_exception(error)


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
