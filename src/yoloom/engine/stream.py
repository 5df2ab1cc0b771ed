"""Results in the order of their sources, with a bounded number of images under way."""

from __future__ import annotations

import functools
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar

from yoloom.engine.futures import ResultFuture
from yoloom.engine.registry import registry
from yoloom.errors import YoloomError
from yoloom.results.results import Results

T = TypeVar("T")


class ResultStream(Iterator[Any]):
    """An iterator over results. One consumer at a time; any number of streams side by side.

    It reads at most `window` sources ahead of what was fetched (twice the CPUs and two), in the consumer's own thread,
    and holds no lock between two calls of `next`. An image that fails raises its error from `next`, or is returned as
    that error when asked for with `errors="return"`; either way the iteration can go on. `close`, or forgetting the
    stream, cancels what waits.
    """

    def __init__(
        self,
        sources: Iterable[T],
        submit: Callable[[T], Future[Results]],
        deliver: Callable[[Results], Results],
        window: int,
        return_errors: bool = False,
    ) -> None:
        """deliver: called with each result in the consumer's thread, right before it is handed out."""
        self._sources: Iterator[Any] = iter(sources)
        self._submit: Callable[[Any], Future[Results]] = submit
        self._deliver = deliver
        self._window = window
        self._return_errors = return_errors
        self._pending: deque[Future[Results]] = deque()
        self._finalizer = weakref.finalize(self, _abandon, self._pending)
        self._finalizer.atexit = False  # the engines close by themselves

    def __next__(self) -> Any:
        self._fill()
        if not self._pending:
            raise StopIteration
        try:
            # The engine ends every request, so this wait ends: with a result, an error, or EngineClosed.
            return self._delivered(self._pending.popleft())
        except YoloomError as error:
            if self._return_errors:
                return error
            raise

    def close(self) -> None:
        """Cancel what waits and read no more sources. Idempotent."""
        self._sources = iter(())
        _cancel_all(self._pending)

    def __enter__(self) -> ResultStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _delivered(self, future: Future[Results]) -> Results:
        results = future.result()
        try:
            return self._deliver(results)
        except BaseException as error:
            if isinstance(future, ResultFuture):
                future.heard(error)
            raise

    def _fill(self) -> None:
        while len(self._pending) < self._window:
            try:
                source = next(self._sources)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001  raised after the results of what came before it
                self._sources = iter(())
                self._pending.append(_failed(error))
                return
            self._pending.append(self._submitted(source))

    def _submitted(self, source: Any) -> Future[Results]:
        try:
            return self._submit(source)
        except YoloomError as error:  # it takes its place in the order
            return _failed(error)


def _failed(error: Exception) -> Future[Results]:
    future: Future[Results] = Future()
    future.set_exception(error)
    return future


def _abandon(pending: deque[Future[Any]]) -> None:
    registry().later(functools.partial(_cancel_all, pending))


def _cancel_all(pending: deque[Future[Any]]) -> None:
    while pending:
        pending.pop().cancel()
