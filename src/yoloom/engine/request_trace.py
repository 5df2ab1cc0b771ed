"""When a request passed each station on its way, and its span in OpenTelemetry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from typing import Any

from yoloom.errors import Cancelled, DeadlineExceeded, Dropped, EngineClosed, QueueFull
from yoloom.formats.model import Model
from yoloom.sync.clock import Clock
from yoloom.sync.once import Once
from yoloom.telemetry.tracing import Span, begin_span

UNKNOWN = math.nan


class Timeline:
    """Seconds on the engine's clock, NaN for a station that was not reached.

    Thread safety: owned by its request.

    ```
    asked ─▶ admitted ─▶ prepared ─▶ taken ─▶ ran ─▶ fetched ─▶ finished
      a place   decode     a lane    run    wake-up   heads, NMS
    ```

    batch: how many images the lane took at once.
    """

    __slots__ = ("admitted", "asked", "batch", "fetched", "finished", "prepared", "ran", "taken")

    def __init__(self, asked: float) -> None:
        self.asked = asked
        self.admitted = self.prepared = self.taken = self.ran = self.fetched = self.finished = UNKNOWN
        self.batch = 0

    @property
    def wait_ms(self) -> float:
        """Time for a place in the queue and, once it was prepared, for a lane. NaN before it has got one."""
        # asked ─▶ taken is all of it; the part in which its image was decoded is no waiting.
        return (self.taken - self.asked) * 1e3 - self.prepare_ms

    @property
    def prepare_ms(self) -> float:
        """Time for its image to be decoded, with the wait for a helper."""
        return (self.prepared - self._began_to_prepare) * 1e3

    @property
    def _began_to_prepare(self) -> float:
        """With its place; a caller that waits for a place in its own thread prepares the image meanwhile."""
        return self.admitted if self.admitted <= self.prepared else self.asked

    @property
    def execute_ms(self) -> float:
        """Time in its lane: letterbox, run, and a second run where the first has failed."""
        return (self.ran - self.taken) * 1e3

    @property
    def postprocess_ms(self) -> float:
        """Time for its outputs to become results."""
        return (self.finished - self.fetched) * 1e3

    def stages(self) -> list[tuple[str, float, float]]:
        """List the stages that are over: name, start, end."""
        known = (
            ("admit", self.asked, self.admitted),
            ("prepare", self._began_to_prepare, self.prepared),
            ("wait", max(self.admitted, self.prepared), self.taken),
            ("execute", self.taken, self.ran),
            ("postprocess", self.fetched, self.finished),
        )
        return [stage for stage in known if stage[1] <= stage[2]]  # false for NaN


SPAN = "yoloom.predict"
_OUTCOMES: Mapping[type[BaseException], str] = {
    QueueFull: "refused",
    DeadlineExceeded: "expired",
    Dropped: "dropped",
    EngineClosed: "closed",
    Cancelled: "cancelled",
    CancelledError: "cancelled",
    KeyboardInterrupt: "cancelled",
}


class RequestTrace:
    """The span of a request in OpenTelemetry. As a context manager it ends with its block.

    Thread safety: any number of threads; the first `end` counts.
    """

    __slots__ = ("_ended", "_span", "_timeline")

    def __init__(self, span: Span, timeline: Timeline) -> None:
        self._span = span
        self._timeline = timeline
        self._ended = Once()

    def end(self, error: BaseException | None = None) -> None:
        """Record the stages, and the outcome: the request has its result, or its error."""
        if not self._ended.take():
            return
        for name, start_s, end_s in self._timeline.stages():
            self._span.stage(f"yoloom.{name}", start_s, end_s)
        outcome = "succeeded" if error is None else _OUTCOMES.get(type(error), "failed")
        attributes: dict[str, Any] = {"yoloom.outcome": outcome}
        for name, ms in (("wait", self._timeline.wait_ms), ("execute", self._timeline.execute_ms)):
            if not math.isnan(ms):  # else it never came so far
                attributes[f"yoloom.{name}_ms"] = ms
        if self._timeline.batch:
            attributes["yoloom.batch_size"] = self._timeline.batch
        # Whoever cancels knows why; all else is a fault to look at.
        self._span.end(attributes, None if outcome == "cancelled" else error)

    def end_with(self, future: Future[Any]) -> None:
        """End as a future has."""
        self.end(CancelledError() if future.cancelled() else future.exception())

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        self.end(error)


def begin_trace(model: Model, request_id: int, timeline: Timeline, clock: Clock) -> RequestTrace | None:
    """Begin the span of a request in the thread, or task, that asks: its current span is the parent.

    Returns:
        None where nobody records it.
    """
    known = {"yoloom.model": model.graph.path.name, "yoloom.task": model.task, "yoloom.request": request_id}
    span = begin_span(SPAN, known, timeline.asked, clock)
    return None if span is None else RequestTrace(span, timeline)
