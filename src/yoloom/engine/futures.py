"""The two ways through the engine: a caller that waits, and a future."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from yoloom.engine.engine import Engine, too_late
from yoloom.engine.pipeline import Ownership
from yoloom.engine.prediction import Prediction
from yoloom.engine.request import Request, Signal
from yoloom.engine.request_trace import NO_TRACE
from yoloom.engine.scheduling.client import RequestTerms
from yoloom.errors import Cancelled, EngineClosed, ForkedEngine, RuntimeFailed, YoloomError
from yoloom.results.results import Results
from yoloom.sync.once import SetOnce
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")

Deliver = Callable[[Results], Results]


def _unchanged(results: Results) -> Results:
    return results


def predict_now(
    engine: Engine, prediction: Prediction, source: object, terms: RequestTerms, deliver: Deliver = _unchanged
) -> Results:
    """Predict in the calling thread, which waits for its turn on a lane. Raises the request's error.

    In a full queue the image is prepared while its caller waits for a place: it is the caller's own.
    """
    signal = Signal()
    request = engine.new_request(terms, signal.set)
    with request.trace:
        with _taken_back(engine, request):
            engine.admit(request)
            if _prepare(engine, request, prediction, source, Ownership.BORROWED):
                # Those who wait for long hold one copy of their image, not two.
                prediction.copy_borrowed_image()
        engine.wait(request, signal)
        return _delivered(engine, request, prediction, deliver)


def predict_later(
    engine: Engine, prediction: Prediction, source: object, terms: RequestTerms, deliver: Deliver = _unchanged
) -> ResultFuture:
    """Admit now, deliver through a future. Blocks while the queue is full, where the terms say so.

    Arrays and PIL images are copied before this returns, so the caller may reuse them; files and encoded bytes are
    decoded by a helper thread.
    """
    placed = Signal()
    future = ResultFuture(engine, prediction, terms, deliver, placed.set)
    with future.request.trace.unless_raised(), _taken_back(engine, future.request):
        if not engine.admit(future.request):
            engine.wait_for_place(future.request, placed)
        future.prepare(source, Ownership.NONE)
    return future


def predict_nonblocking(
    engine: Engine, prediction: Prediction, source: object, terms: RequestTerms, deliver: Deliver = _unchanged
) -> ResultFuture:
    """Like `predict_later`, but never blocks: in a full queue the image is prepared once it has a place.

    An array is not copied: it must be nobody else's. Raises QueueFull where the terms are not to wait.
    """
    future = ResultFuture(
        engine, prediction, terms, deliver, lambda _: future.prepare_on_helper(source, Ownership.OWNED)
    )
    with future.request.trace.unless_raised(), _taken_back(engine, future.request):
        if engine.admit(future.request):
            future.prepare(source, Ownership.OWNED)
    return future


class ResultFuture(Future[Results]):
    """A `concurrent.futures.Future` whose `cancel` takes waiting work out of the queue. Shared freely.

    Work that is running already is let finish, and its result is thrown away. Callbacks run on threads of their own, so
    that one that blocks or predicts keeps nobody from its results. Once it has ended it holds its result, and nothing
    of the model or the image.
    """

    def __init__(
        self,
        engine: Engine,
        prediction: Prediction,
        terms: RequestTerms,
        deliver: Deliver,
        on_place: Callable[[Request], None] | None = None,
    ) -> None:
        super().__init__()
        self._deliver = deliver
        self._engine = engine
        self._prediction: Prediction | None = prediction
        # Whoever is the first ends the future: with a result, an error or a cancellation, and no second one.
        self._end = SetOnce()
        self.request = engine.new_request(terms, self._ended, on_place, keeps_place=True)
        if self.request.trace is not NO_TRACE:
            super().add_done_callback(self.request.trace.end_with)

    def result(self, timeout: float | None = None) -> Results:
        """See `concurrent.futures.Future`; raises DeadlineExceeded at the request's deadline, also while it runs."""
        self._wait_in_time(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `concurrent.futures.Future`, and `result`."""
        self._wait_in_time(timeout)
        return super().exception(timeout)

    def _wait_in_time(self, timeout: float | None) -> None:
        self._engine.check_process()
        left = self._engine.seconds_left(self.request)
        if not self.done() and left < (math.inf if timeout is None else timeout):
            concurrent.futures.wait([self], min(left, threading.TIMEOUT_MAX))
            self.expire()

    def cancel(self) -> bool:
        self._engine.check_process()
        if not self._end.put("cancelled"):
            return self._end.value == "cancelled"  # perhaps by another thread, which is in the middle of it
        try:
            self._engine.cancel(self.request, Cancelled("the caller cancelled the request."))
        finally:  # even if Ctrl-C strikes: nobody else may end it now
            super().cancel()
            self.set_running_or_notify_cancel()  # or `wait` and `as_completed` would not hear of it
            self._forget()
        return True

    def keep_time(self) -> ResultFuture:
        """Have it end at its deadline also while nobody waits in `result`, whatever the lanes do. Returns itself."""
        if self.request.terms.deadline < math.inf:
            self._engine.deadline_timer.schedule(self.request.id, self.request.terms.deadline, self.expire)
            if self._end.value:  # it may have ended before
                self._engine.deadline_timer.forget(self.request.id)
        return self

    def expire(self) -> None:
        """End with DeadlineExceeded what has not ended: its time is over, even if it runs."""
        self._fail(too_late())

    def heard(self, error: BaseException) -> None:
        """Whoever fetched the result could not hand it on: the request is counted as this error."""
        self._engine.heard(self.request, error)

    def add_done_callback(self, fn: Callable[[Future[Results]], object]) -> None:
        """See `concurrent.futures.Future`. `fn` is called on a thread for callbacks, after the engine's close here.

        Raises RuntimeFailed, and keeps nothing, when no thread can be started: when the future ends, there would be
        none but those that others wait for.
        """
        self._engine.expect_callbacks()
        super().add_done_callback(functools.partial(self._call_back, fn))

    def add_quick_callback(self, fn: Callable[[Future[Results]], object]) -> None:
        """A callback of our own, which neither blocks nor predicts: it is called where the future ends."""
        super().add_done_callback(fn)

    def prepare(self, source: object, loan: Ownership) -> None:
        """Prepare the image of the admitted request, here or on a helper; its faults go to the future."""
        if isinstance(source, (str, os.PathLike, bytes)):
            self.prepare_on_helper(source, loan)
        else:
            self._prepare(source, loan)

    def prepare_on_helper(self, source: object, loan: Ownership) -> None:
        """Prepare the image on a helper, unless the request has ended without a place."""
        self._on_helper(self._prepare, source, loan)

    def _prepare(self, source: object, loan: Ownership) -> None:
        prediction = self._prediction
        if prediction is not None:  # else it has ended
            _prepare(self._engine, self.request, prediction, source, loan)

    def _ended(self, request: Request) -> None:
        # On a lane, or in the thread that closes or cancels: neither may run what follows. In the thread that closes
        # once more when helpers hang: they take nothing any more, and so it ends at once.
        if not self.done():
            self._on_helper(self._finish)

    def _finish(self) -> None:
        prediction = self._prediction
        if prediction is None:
            self.request.forget()  # it was ended while its outputs came
            return
        self.request.raise_error()
        result = _delivered(self._engine, self.request, prediction, self._deliver)
        if not self._end.put("result"):
            return
        try:
            self._forget()
        finally:
            self.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self._end.put("error"):
            return
        try:
            if isinstance(error, YoloomError):
                self._engine.cancel(self.request, error)  # or it would keep its place, and a drain would wait for it
            self._forget()
        finally:  # even if Ctrl-C strikes: nobody else may end it now
            self.set_exception(error)

    def _forget(self) -> None:
        """Let go of the image, of the outputs, of the model's handle, which `deliver` holds, and of the place."""
        self._prediction = None
        self._deliver = _unchanged
        self.request.forget()
        self._engine.delivered(self.request)
        if self.request.terms.deadline < math.inf:
            self._engine.deadline_timer.forget(self.request.id)

    def _on_helper(self, work: Callable[..., None], *args: object) -> None:
        """Have a helper do `work`; what it raises goes to the future."""
        try:
            self._engine.on_helper(self._guarded, work, *args)
        except YoloomError as error:
            self._fail(self.request.error or error)

    def _guarded(self, work: Callable[..., None], *args: object) -> None:
        try:
            work(*args)
        except BaseException as error:  # noqa: BLE001  whatever it is must reach the caller, or he waits for ever
            known = isinstance(error, Exception)
            self._fail(error if known else RuntimeFailed(f"finishing failed: {type(error).__name__}: {error}"))

    def _call_back(self, fn: Callable[[Future[Results]], object], future: Future[Results]) -> None:
        try:
            self._engine.on_caller_back(_called, fn, future)
        except EngineClosed:  # nobody waits for a thread of ours any more: what is left is to call it here
            _called(fn, future)


@contextlib.contextmanager
def _taken_back(engine: Engine, request: Request) -> Iterator[None]:
    """A block that begins a request. When it is interrupted at any line, the request gives its place back."""
    try:
        yield
    except ForkedEngine:  # the engine's lock is another process's
        raise
    except BaseException:
        engine.cancel(request, Cancelled("the caller was interrupted before the request could wait."))
        raise


def _delivered(engine: Engine, request: Request, prediction: Prediction, deliver: Deliver) -> Results:
    """What `deliver` makes of the results of a request that has run. What is raised here is what it counts as."""
    try:
        results = engine.measured(request, prediction.finish_request)
        engine.check_in_time(request)
        return deliver(results)
    except BaseException as error:
        engine.heard(request, error)
        raise


def _called(fn: Callable[[Future[Results]], object], future: Future[Results]) -> None:
    try:
        fn(future)
    except Exception:
        log.exception("a callback of a future failed")


def _prepare(engine: Engine, request: Request, prediction: Prediction, source: object, loan: Ownership) -> bool:
    """Prepare an admitted request. A fault gives its place back and is how the request ends. True when it runs next."""
    try:
        prediction.prepare(source, loan)
    except YoloomError as error:
        engine.cancel(request, error)
    except BaseException as error:
        engine.cancel(request, RuntimeFailed(f"the image could not be prepared: {type(error).__name__}: {error}"))
        raise
    else:
        return engine.run_when_free(request, prediction)
    return False
