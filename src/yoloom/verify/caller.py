"""Runs one caller: it asks for its cases one after the other, in a thread or as an asyncio task."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from yoloom.errors import DeadlineExceeded
from yoloom.telemetry.histogram import Histogram
from yoloom.verify.pace import Pace
from yoloom.verify.schedule import CallerStep, RequestKind

if TYPE_CHECKING:
    from yoloom.verify.cases import Case
    from yoloom.verify.in_flight import InFlight
    from yoloom.verify.journal import Journal
    from yoloom.verify.target import Target

SHORTEST_TIMEOUT_S = 1e-6


class StopSignal:
    """Tells callers to end. Thread safety: any number of threads.

    Attributes:
        ended: set when the callers have to end after the request under way.
        abandoned: set when the requests under way were given up too, because they will not come back. A cancelled task
            is no error of the target then.
    """

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.abandoned = threading.Event()


class AnswerHandler(Protocol):
    """Takes the answers of one caller. Thread safety: owned by that caller."""

    def received(self, cases: Sequence[int], values: Sequence[Any]) -> None:
        """Take the answers to a request: one, or those of a stream."""

    def raised(self, cases: Sequence[int], error: BaseException) -> None:
        """Take an error in place of the answers to a request."""

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
        pace: what it waited for a very long time.
    """

    number: int
    target: Target
    cases: Sequence[Case]
    handler: AnswerHandler
    in_flight: InFlight
    journal: Journal
    latencies: Histogram = field(default_factory=Histogram)
    pace: Pace = field(default_factory=Pace)

    def run(self, steps: Iterable[CallerStep], stop: StopSignal) -> None:
        """Take the steps, at least one of them, until `stop` tells the end."""
        for step in steps:
            with self.pace.own(step.pause_s):
                time.sleep(step.pause_s)
            with self._recorded(step, stop):
                with self._under_way(step):
                    values = self._request(step)
                with self.pace.own():
                    self.handler.received(step.cases, values)
            if stop.ended.is_set():
                break
        self.handler.finish()

    async def run_as_task(self, steps: Iterable[CallerStep], stop: StopSignal) -> None:
        """Take the steps as `run` does, in an event loop."""
        for step in steps:
            with self.pace.own(step.pause_s):
                await asyncio.sleep(step.pause_s)
            with self._recorded(step, stop):
                with self._under_way(step):
                    value = await self._request_async(step)
                with self.pace.own():
                    self.handler.received(step.cases, [value])
            if stop.ended.is_set():
                break
        self.handler.finish()

    @contextlib.contextmanager
    def _recorded(self, step: CallerStep, stop: StopSignal) -> Iterator[None]:
        """Record how a request ended that gave no answer. Nothing that a target raises ends the run."""
        try:
            yield
        except RequestCancelled:
            self.journal.unanswered(cancelled=True)
        except BaseException as error:
            if stop.abandoned.is_set():
                raise
            if step.kind is RequestKind.DEADLINE and isinstance(error, DeadlineExceeded):
                self.journal.unanswered(cancelled=False)
            else:
                self.handler.raised(step.cases, error)

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
            bounded = step.kind in (RequestKind.DEADLINE, RequestKind.CANCEL)
            self.pace.waited(step.case, time.perf_counter() - started - (step.limit_s if bounded else 0.0))

    def _request(self, step: CallerStep) -> Sequence[Any]:
        """Send a request in its way, and return its answers: as many as cases, unless the target swallows some."""
        case, kind = self.cases[step.case], step.kind
        pixels, options = case.picture.pixels, case.options
        if kind is RequestKind.DEADLINE:
            return [self.target.predict(pixels, timeout=max(step.limit_s, SHORTEST_TIMEOUT_S), **options)]
        if kind is RequestKind.MAP and self.target.map is not None:
            return list(self.target.map([self.cases[number].picture.pixels for number in step.cases], **options))
        if kind is RequestKind.PREDICT or self.target.submit is None:
            return [self.target.predict(pixels, **options)]
        future = self.target.submit(pixels, **options)
        if kind is not RequestKind.CANCEL:
            return [future.result()]
        time.sleep(step.limit_s)
        if not future.cancel():
            return [future.result()]
        with contextlib.suppress(CancelledError):
            return [future.result()]  # an answer after all, to be compared
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
