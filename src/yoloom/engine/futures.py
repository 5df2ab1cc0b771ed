"""The ways through the engine: a caller that waits, and a future. The one place that delivers results.

```
predict_now          admit ─▶ prepare ─▶ wait ───────────────────────────▶ deliver    all in the caller's thread
predict_later        admit (waits for a place) ─▶ prepare ─▶ future ─▶ helper ─▶ deliver
predict_nonblocking  admit (never waits), prepare once there is a place ─▶ future ─▶ helper ─▶ deliver
```
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import math
import os
from collections.abc import Callable
from concurrent.futures import Future

from yoloom.engine.engine import Engine
from yoloom.engine.image_job import ImageJob
from yoloom.engine.pipeline import Ownership
from yoloom.engine.request import Request, Signal, too_late
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import Cancelled, EngineClosed, ForkedEngine, RuntimeFailed, YoloomError
from yoloom.results.results import Results
from yoloom.sync.clock import clamped
from yoloom.sync.once import SetOnce
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import explained

log = SafeLogger("yoloom.engine")

Deliver = Callable[[Results], Results]
"""Last step of a result on its way to the caller: saves or shows it."""


def unchanged(results: Results) -> Results:
    """Deliver results as they are."""
    return results


def predict_now(
    engine: Engine, job: ImageJob, source: object, terms: RequestTerms, deliver: Deliver = unchanged
) -> Results:
    """Predict in the calling thread, which waits for its turn on a lane. Raises the request's error.

    In a full queue the image is prepared while its caller waits for a place: it is the caller's own.
    """
    # One thread waits for it, once: a lock is enough, where a future has a condition, a list and a state of its own.
    signal = Signal()
    request = engine.new_request(terms, signal.set, nbytes=job.expected_nbytes(source))
    with request.trace or contextlib.nullcontext():
        try:
            engine.admit(request)
            if _prepare(engine, request, job, source, Ownership.BORROWED):
                # Those who wait for long hold one copy of their image, not two.
                job.copy_borrowed_image()
        except BaseException as error:
            _take_back(engine, request, error)
            raise
        engine.wait(request, signal)
        return _deliver(engine, request, job, deliver)


def predict_later(
    engine: Engine, job: ImageJob, source: object, terms: RequestTerms, deliver: Deliver = unchanged
) -> ResultFuture:
    """Admit now, deliver through a future. Blocks while the queue is full, where the terms say so.

    Arrays and PIL images are copied before this returns, so the caller may reuse them; files and encoded bytes are
    decoded by a helper thread.
    """
    admitted = Signal()
    future = ResultFuture(engine, job, source, terms, deliver, lambda _: admitted.set)
    try:
        if not engine.admit(future.request):
            engine.wait(future.request, admitted, for_place=True)
        future.prepare(source, Ownership.COPY)
    except BaseException as error:
        _take_back(engine, future.request, error)
        raise
    return future


def predict_nonblocking(
    engine: Engine, job: ImageJob, source: object, terms: RequestTerms, deliver: Deliver = unchanged
) -> ResultFuture:
    """Admit now, deliver through a future, and never block: in a full queue the image is prepared with its place.

    An array is not copied: it must be nobody else's. Raises QueueFull where the terms are not to wait.
    """
    future = ResultFuture(
        engine,
        job,
        source,
        terms,
        deliver,
        lambda future: lambda _: future.prepare_on_helper(source, Ownership.OWNED),
    )
    try:
        if engine.admit(future.request):
            future.prepare(source, Ownership.OWNED)
    except BaseException as error:
        _take_back(engine, future.request, error)
        raise
    return future


class ResultFuture(Future[Results]):
    """A `concurrent.futures.Future` whose `cancel` takes waiting work out of the queue.

    Work that is running already is let finish, and its result is thrown away. Callbacks run on threads of their own, so
    that one that blocks or predicts keeps nobody from its results. Once it has ended it holds its result, and nothing
    of the model or the image.

    Thread safety: any number of threads.
    """

    def __init__(
        self,
        engine: Engine,
        job: ImageJob,
        source: object,
        terms: RequestTerms,
        deliver: Deliver,
        on_admitted: Callable[[ResultFuture], Callable[[Request], None]],
    ) -> None:
        """Make the request; it is not admitted yet. on_admitted: see `Request`, for this future."""
        super().__init__()
        self._deliver = deliver
        self._engine = engine
        self._job: ImageJob | None = job
        # Four may want to end it: a helper with the result, the caller's `cancel`, its deadline, the engine's close.
        # The first to put its name here ends the future: with a result, an error or a cancellation, and no second one.
        self._end = SetOnce()
        self.request = engine.new_request(
            terms, self._ended, on_admitted(self), keeps_place=True, nbytes=job.expected_nbytes(source)
        )
        if self.request.trace is not None:
            super().add_done_callback(self.request.trace.end_with)

    # ---- For its caller

    def result(self, timeout: float | None = None) -> Results:
        """See `concurrent.futures.Future`; raises DeadlineExceeded at the request's deadline, also while it runs."""
        self._wait_in_time(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See `concurrent.futures.Future`, and `result`."""
        self._wait_in_time(timeout)
        return super().exception(timeout)

    def delivered_by(self, deliver: Deliver) -> Results:
        """Wait for the result, and take the last step in the calling thread. An error of it counts as the request's."""
        results = self.result()
        try:
            return deliver(results)
        except BaseException as error:
            self._engine.scheduler.reclassify(self.request, error)
            raise

    def cancel(self) -> bool:
        """Take the request out of the queue, or throw its result away; False when it has ended otherwise."""
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
            # It may have ended between the call of the user and this line: then `_forget` came before there was
            # anything to forget, and the timer would hold the future until its deadline.
            if self._end.value:
                self._engine.deadline_timer.forget(self.request.id)
        return self

    def expire(self) -> None:
        """End with DeadlineExceeded unless it has ended: its time is over, even if it runs."""
        self._fail(too_late())

    def add_done_callback(self, fn: Callable[[Future[Results]], object]) -> None:
        """See `concurrent.futures.Future`. `fn` is called on a thread for callbacks, after the engine's close here.

        Raises RuntimeFailed, and keeps nothing, when no thread can be started: when the future ends, there would be
        none but those that others wait for.
        """
        self._engine.expect_callbacks()
        super().add_done_callback(functools.partial(self._call_back, fn))

    def add_quick_callback(self, fn: Callable[[Future[Results]], object]) -> None:
        """Add a callback of our own, which neither blocks nor predicts: it is called where the future ends."""
        super().add_done_callback(fn)

    def _wait_in_time(self, timeout: float | None) -> None:
        self._engine.check_process()
        # The base class knows its caller's timeout only. The request's deadline may come first, also while it runs:
        # then this thread ends the future, and the lane's result is thrown away.
        left = self._engine.seconds_left(self.request)
        if not self.done() and left < (math.inf if timeout is None else timeout):
            concurrent.futures.wait([self], clamped(left))
            self.expire()

    def _call_back(self, fn: Callable[[Future[Results]], object], future: Future[Results]) -> None:
        try:
            self._engine.run_callback(_call_safely, fn, future)
        except EngineClosed:  # nobody waits for a thread of ours any more: it is left to call it here
            _call_safely(fn, future)

    # ---- On the way in

    def prepare(self, source: object, ownership: Ownership) -> None:
        """Prepare the image of the admitted request, here or on a helper; its faults go to the future."""
        if isinstance(source, (str, os.PathLike, bytes)):
            self.prepare_on_helper(source, ownership)
        else:
            self._prepare(source, ownership)

    def prepare_on_helper(self, source: object, ownership: Ownership) -> None:
        """Prepare the image on a helper, unless the request has ended without a place."""
        self._on_helper(self._prepare, source, ownership)

    def _prepare(self, source: object, ownership: Ownership) -> None:
        job = self._job
        if job is not None:  # else it has ended
            _prepare(self._engine, self.request, job, source, ownership)

    # ---- On the way out

    def _ended(self, request: Request) -> None:
        # On a lane, or in the thread that closes or cancels: neither may run what follows. In the thread that closes
        # once more when helpers hang: they take nothing any more, and so it ends at once.
        if not self.done():
            self._on_helper(self._finish)

    def _finish(self) -> None:
        job = self._job
        if job is None:
            self.request.forget()  # it was ended while its outputs came
            return
        self.request.raise_error()
        result = _deliver(self._engine, self.request, job, self._deliver)
        # `expire`, `cancel` and the end of the engine race with this line, and one of them wins: the others do nothing.
        if not self._end.put("result"):
            return
        try:
            # Before the result is set: a caller that it wakes, and that submits its next image, finds the place free.
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
        self._job = None
        self._deliver = unchanged
        self.request.forget()
        self._engine.scheduler.release_slot(self.request)
        if self.request.terms.deadline < math.inf:
            self._engine.deadline_timer.forget(self.request.id)

    def _on_helper(self, work: Callable[..., None], *args: object) -> None:
        """Have a helper do `work`; an error of it goes to the future."""
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


def _prepare(engine: Engine, request: Request, job: ImageJob, source: object, ownership: Ownership) -> bool:
    """Prepare an admitted request. A fault gives its place back and ends the request. True when it runs next."""
    try:
        job.prepare(source, ownership)
    except YoloomError as error:
        engine.cancel(request, error)
    except MemoryError as error:
        engine.cancel(request, RuntimeFailed(f"the image could not be prepared: {explained(error)}"))
    except BaseException as error:
        engine.cancel(request, RuntimeFailed(f"the image could not be prepared: {type(error).__name__}: {error}"))
        raise
    else:
        return engine.scheduler.mark_ready(request, job)
    return False


def _take_back(engine: Engine, request: Request, error: BaseException) -> None:
    """Give back the place of a request whose beginning was interrupted, at any line."""
    if not isinstance(error, ForkedEngine):  # then the engine's lock is another process's
        engine.cancel(request, Cancelled("the caller was interrupted before the request could wait."))
    if request.trace is not None:
        request.trace.end(error)  # for one with a future, too: that is in nobody's hands yet


def _deliver(engine: Engine, request: Request, job: ImageJob, deliver: Deliver) -> Results:
    """Make the results of a request that has run, and take the last step. An error of either counts as its outcome."""
    try:
        return deliver(engine.finish_timed(request, job))
    except MemoryError as error:
        failure = RuntimeFailed(f"the results could not be made: {explained(error)}")
        engine.scheduler.reclassify(request, failure)
        raise failure from error
    except BaseException as error:
        engine.scheduler.reclassify(request, error)
        raise


def _call_safely(fn: Callable[[Future[Results]], object], future: Future[Results]) -> None:
    try:
        fn(future)
    except Exception:
        log.exception("a callback of a future failed")
