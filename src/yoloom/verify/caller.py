"""Runs one caller: it asks for its cases one after the other, in a thread or as an asyncio task."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from yoloom.errors import DeadlineExceeded
from yoloom.verify.schedule import CallerStep, RequestKind

if TYPE_CHECKING:
    from yoloom.telemetry.histogram import Histogram
    from yoloom.verify.cases import Case
    from yoloom.verify.in_flight import InFlight
    from yoloom.verify.journal import Journal
    from yoloom.verify.target import Target

SHORTEST_TIMEOUT_S = 1e-6


class StopSignal:
    """Tells callers to end. Thread safety: any number of threads."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._abandoned = threading.Event()

    def end(self) -> None:
        """End the callers after the request under way."""
        self._ended.set()

    def abandon(self) -> None:
        """Give up the requests under way, which will not come back: a cancelled task is no error of the target."""
        self._abandoned.set()  # before the other, so that a caller that sees the end sees this too
        self._ended.set()

    @property
    def is_set(self) -> bool:
        """Whether the callers have to end."""
        return self._ended.is_set()

    @property
    def is_abandoned(self) -> bool:
        """Whether the requests under way were given up."""
        return self._abandoned.is_set()


class AnswerHandler(Protocol):
    """Takes the answers of one caller. Thread safety: owned by that caller."""

    def received(self, case: int, value: Any) -> None:
        """Take an answer."""

    def raised(self, case: int, error: BaseException) -> None:
        """Take an error in place of an answer."""

    def finish(self) -> None:
        """Let go of everything: there is no further answer."""


class RequestCancelled(Exception):
    """The request was cancelled by its caller, and ended so."""


@dataclass
class Caller:
    """One caller with all that it needs. Thread safety: owned by its thread or task.

    Attributes:
        number: within its crowd.
        target: is asked.
        cases: all of them, by number.
        handler: gets the answers.
        in_flight: requests of the crowd.
        journal: counts the requests that gave no answer.
        latencies: of the requests that were waited for.
    """

    number: int
    target: Target
    cases: Sequence[Case]
    handler: AnswerHandler
    in_flight: InFlight
    journal: Journal
    latencies: Histogram

    def run(self, steps: Iterable[CallerStep], stop: StopSignal) -> None:
        """Take the steps, at least one of them, until `stop` is set."""
        for step in steps:
            time.sleep(step.pause_s)
            with self._recorded(step, stop):
                with self._under_way(step):
                    value = self._request(step)
                self.handler.received(step.case, value)
            if stop.is_set:
                break
        self.handler.finish()

    async def run_as_task(self, steps: Iterable[CallerStep], stop: StopSignal) -> None:
        """Take the steps as `run` does, in an event loop."""
        for step in steps:
            await asyncio.sleep(step.pause_s)
            with self._recorded(step, stop):
                with self._under_way(step):
                    value = await self._request_async(step)
                self.handler.received(step.case, value)
            if stop.is_set:
                break
        self.handler.finish()

    @contextlib.contextmanager
    def _recorded(self, step: CallerStep, stop: StopSignal) -> Iterator[None]:
        """Record how a request ended that gave no answer. Nothing that a target raises ends the run."""
        try:
            yield
        except RequestCancelled:
            self.journal.cancelled()
        except BaseException as error:
            if stop.is_abandoned:
                raise
            if step.kind is RequestKind.DEADLINE and isinstance(error, DeadlineExceeded):
                self.journal.expired()
            else:
                self.handler.raised(step.case, error)

    @contextlib.contextmanager
    def _under_way(self, step: CallerStep) -> Iterator[None]:
        self.in_flight.begin(self.number, step.case)
        started = time.perf_counter()
        try:
            yield
            if step.kind in (RequestKind.PREDICT, RequestKind.SUBMIT):
                self.latencies.add(1e3 * (time.perf_counter() - started))
        finally:
            self.in_flight.end(self.number)

    def _request(self, step: CallerStep) -> Any:
        case, kind = self.cases[step.case], step.kind
        pixels, options = case.picture.pixels, case.options
        if kind is RequestKind.DEADLINE:
            return self.target.predict(pixels, timeout=max(step.limit_s, SHORTEST_TIMEOUT_S), **options)
        if kind is RequestKind.MAP and self.target.map is not None:
            return list(self.target.map([pixels], **options))
        if kind is RequestKind.PREDICT or self.target.submit is None:
            return self.target.predict(pixels, **options)
        future = self.target.submit(pixels, **options)
        if kind is not RequestKind.CANCEL:
            return future.result()
        time.sleep(step.limit_s)
        if not future.cancel():
            return future.result()
        with contextlib.suppress(CancelledError):
            return future.result()  # an answer after all, to be compared
        raise RequestCancelled

    async def _request_async(self, step: CallerStep) -> Any:
        if self.target.predict_async is None:
            raise TypeError("this target has no predict_async")
        case = self.cases[step.case]
        limit = {"timeout": max(step.limit_s, SHORTEST_TIMEOUT_S)} if step.kind is RequestKind.DEADLINE else {}
        answer = self.target.predict_async(case.picture.pixels, **case.options, **limit)
        if step.kind is not RequestKind.CANCEL:
            return await answer
        task = asyncio.ensure_future(answer)
        await asyncio.wait([task], timeout=step.limit_s)
        if not task.cancel():
            return task.result()
        with contextlib.suppress(asyncio.CancelledError):
            return await task  # an answer after all, to be compared
        raise RequestCancelled


def request_kinds(target: Target, mode: str) -> tuple[RequestKind, ...]:
    """Return the kinds of requests that a target can be sent, in threads or in tasks ("asyncio")."""
    in_threads = mode == "threads"
    kinds = {
        RequestKind.PREDICT: True,
        RequestKind.SUBMIT: in_threads and target.submit is not None,
        RequestKind.MAP: in_threads and target.map is not None,
        RequestKind.CANCEL: target.submit is not None or not in_threads,
        RequestKind.DEADLINE: target.deadlines,
    }
    return tuple(kind for kind, possible in kinds.items() if possible)
