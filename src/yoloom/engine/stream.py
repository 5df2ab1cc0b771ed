"""Consumers of futures: a stream in the order of its sources, and a task of an event loop that awaits one."""

from __future__ import annotations

import functools
import math
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from yoloom.engine.engine_registry import registry
from yoloom.engine.futures import Deliver, ResultFuture
from yoloom.errors import InvalidImage, SourceNotFound, SourceWarning, YoloomError
from yoloom.results.results import Results
from yoloom.system.safe_log import SafeLogger

T = TypeVar("T")


R = TypeVar("R")


class ResultStream(Iterator[R], Generic[R]):
    """An iterator over results.

    It reads at most `window` sources ahead of the result that was fetched last, in the consumer's own thread, and holds
    no lock between two calls of `next`. An image that fails raises its error from `next`, or is returned as that error
    when asked for with `errors="return"`; either way the iteration can go on. `close`, or forgetting the stream,
    cancels the images that wait.

    Thread safety: one thread at a time; any number of streams side by side.
    """

    def __init__(
        self,
        sources: Iterable[T],
        submit: Callable[[T], ResultFuture],
        deliver: Deliver,
        window: int,
        return_errors: bool = False,
        on_end: Callable[[], object] = lambda: None,
        may_skip: Callable[[T], bool] = lambda _: False,
    ) -> None:
        """Store.

        may_skip: whether a source that is no usable image is left out, with a SourceWarning.
        deliver, on_end: called in the consumer's thread: with each result, right before it is handed out, and once
        after the last one.
        """
        self._sources: Iterator[Any] = iter(sources)
        self._submit: Callable[[Any], ResultFuture] = submit
        self._deliver = deliver
        self._window = window
        self._return_errors = return_errors
        self._on_end = on_end
        self._may_skip: Callable[[Any], bool] = may_skip
        # An error takes its place in the order. Each with whether it may be skipped.
        self._pending: deque[tuple[ResultFuture | Exception, bool]] = deque()
        self._finalizer = weakref.finalize(self, _abandon, self._pending)
        self._finalizer.atexit = False  # the engines close by themselves

    def __next__(self) -> R:
        while True:
            self._fill()
            if not self._pending:
                on_end, self._on_end = self._on_end, lambda: None
                on_end()
                raise StopIteration
            first, may_skip = self._pending.popleft()
            try:
                if isinstance(first, Exception):
                    raise first
                # The engine ends every request, so this wait ends: with a result, an error, or EngineClosed.
                return cast("R", first.delivered_by(self._deliver))
            except YoloomError as error:
                if not (may_skip and isinstance(error, (InvalidImage, SourceNotFound))):
                    if self._return_errors:
                        return cast("R", error)
                    raise
                warnings.warn(f"left out: {error}", SourceWarning, stacklevel=2)
            finally:
                del first  # a traceback holds this frame

    def close(self) -> None:
        """Cancel what waits and read no more sources. Idempotent."""
        self._sources = iter(())
        _cancel_all(self._pending)

    def __enter__(self) -> ResultStream[R]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _fill(self) -> None:
        while len(self._pending) < self._window:
            try:
                source = next(self._sources)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001  raised after the results of what came before it
                self._sources = iter(())
                self._pending.append((error, False))
                return
            may_skip = self._may_skip(source)
            try:
                self._pending.append((self._submit(source), may_skip))
            except YoloomError as error:
                self._pending.append((error, may_skip))


def _abandon(pending: deque[tuple[ResultFuture | Exception, bool]]) -> None:
    # Called by the garbage collector, perhaps in the middle of a method that holds a lock: cancelling takes locks, so
    # the keeper's thread does that.
    registry().later(functools.partial(_cancel_all, pending))


def _cancel_all(pending: deque[tuple[ResultFuture | Exception, bool]]) -> None:
    while pending:
        future, _ = pending.pop()
        if isinstance(future, ResultFuture):
            future.cancel()


log = SafeLogger("yoloom.engine")


async def awaited(future: ResultFuture, seconds: float) -> Results:
    """The future's result, awaited for so many seconds at the most: then it ends with DeadlineExceeded.

    A task that is cancelled takes the request back. `asyncio.wrap_future` does neither count a deadline as one, nor
    does it work without a thread for callbacks in between.
    """
    import asyncio  # here: whoever awaits has it, and others need neither its 4 MiB nor its share of the start

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wake(_: Future[Results]) -> None:
        try:
            loop.call_soon_threadsafe(ended.set)
        except RuntimeError:  # the loop was closed, and whoever waited in it is gone
            log.debug("an event loop was closed before its result came")

    future.add_quick_callback(wake)
    timer = None if seconds == math.inf else loop.call_later(seconds, future.expire)
    try:
        await ended.wait()
        return future.result()
    except asyncio.CancelledError:
        future.cancel()
        raise
    finally:
        if timer is not None:
            timer.cancel()
