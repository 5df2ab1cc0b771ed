"""One caller: asks its cases, in a thread or as an asyncio task."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, Protocol

from yoloom.errors import DeadlineExceeded
from yoloom.telemetry.latencies import Latencies
from yoloom.verify.cases import Case
from yoloom.verify.in_flight import InFlight
from yoloom.verify.journal import Journal
from yoloom.verify.schedule import Act, Step
from yoloom.verify.target import Target


class Stop:
    """Tells callers to end. Shared freely."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._abandoned = threading.Event()

    def end(self) -> None:
        """After the request under way."""
        self._ended.set()

    def abandon(self) -> None:
        """With the request under way, which will not come back: cancelling its task is no error of the target."""
        self._abandoned.set()
        self._ended.set()

    @property
    def is_set(self) -> bool:
        return self._ended.is_set()

    @property
    def is_abandoned(self) -> bool:
        return self._abandoned.is_set()


class Judge(Protocol):
    """Who gets to see what a caller got. Belongs to the caller."""

    def received(self, case: int, value: Any) -> None: ...

    def raised(self, case: int, error: BaseException) -> None: ...

    def finish(self) -> None: ...


class TakenBack(Exception):
    """The request was cancelled by its caller, and ended so."""


@dataclass
class Caller:
    """What a caller needs. latencies: of the requests that it waited for. Belongs to its thread or task."""

    number: int
    target: Target
    cases: Sequence[Case]
    judge: Judge
    board: InFlight
    journal: Journal
    latencies: Latencies

    def run(self, steps: Iterable[Step], stop: Stop) -> None:
        """Take the steps, at least one of them, until `stop` is set."""
        for step in steps:
            time.sleep(step.pause_s)
            with self._recorded(step, stop):
                with self._under_way(step):
                    value = self._ask(step)
                self.judge.received(step.case, value)
            if stop.is_set:
                break
        self.judge.finish()

    async def run_as_task(self, steps: Iterable[Step], stop: Stop) -> None:
        """As `run`, in an event loop."""
        for step in steps:
            await asyncio.sleep(step.pause_s)
            with self._recorded(step, stop):
                with self._under_way(step):
                    value = await self._ask_in_loop(step)
                self.judge.received(step.case, value)
            if stop.is_set:
                break
        self.judge.finish()

    @contextlib.contextmanager
    def _recorded(self, step: Step, stop: Stop) -> Iterator[None]:
        """Write down how a request ended that gave no answer. Nothing that a target raises ends the run."""
        try:
            yield
        except TakenBack:
            self.journal.cancelled()
        except BaseException as error:
            if stop.is_abandoned:
                raise
            if step.act is Act.DEADLINE and isinstance(error, DeadlineExceeded):
                self.journal.expired()
            else:
                self.judge.raised(step.case, error)

    @contextlib.contextmanager
    def _under_way(self, step: Step) -> Iterator[None]:
        self.board.begin(self.number, step.case)
        started = time.perf_counter()
        try:
            yield
            if step.act in (Act.PREDICT, Act.SUBMIT):
                self.latencies.add(time.perf_counter() - started)
        finally:
            self.board.end(self.number)

    def _ask(self, step: Step) -> Any:
        case = self.cases[step.case]
        if step.act is Act.DEADLINE:
            return self.target.predict(case.picture.pixels, timeout=max(step.patience_s, 1e-6), **case.options)
        if step.act is Act.MAP and self.target.map is not None:
            return list(self.target.map([case.picture.pixels], **case.options))
        if step.act is Act.PREDICT or self.target.submit is None:
            return self.target.predict(case.picture.pixels, **case.options)
        future = self.target.submit(case.picture.pixels, **case.options)
        if step.act is not Act.CANCEL:
            return future.result()
        time.sleep(step.patience_s)
        if not future.cancel():
            return future.result()
        with contextlib.suppress(CancelledError):
            return future.result()  # an answer after all: to be judged
        raise TakenBack

    async def _ask_in_loop(self, step: Step) -> Any:
        case = self.cases[step.case]
        timeout = {"timeout": max(step.patience_s, 1e-6)} if step.act is Act.DEADLINE else {}
        answer = self._awaitable(case.picture.pixels, **case.options, **timeout)
        if step.act is not Act.CANCEL:
            return await answer
        task = asyncio.ensure_future(answer)
        await asyncio.wait([task], timeout=step.patience_s)
        if not task.cancel():
            return task.result()
        with contextlib.suppress(asyncio.CancelledError):
            return await task  # an answer after all: to be judged
        raise TakenBack

    def _awaitable(self, pixels: Any, **options: Any) -> Awaitable[Any]:
        if self.target.predict_async is None:
            raise TypeError("this target has no predict_async")
        return self.target.predict_async(pixels, **options)
