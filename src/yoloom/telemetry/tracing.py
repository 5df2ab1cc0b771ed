"""Records OpenTelemetry spans for programs that trace; others pay for a look into `sys.modules`, and import nothing.

A program that exports spans has imported `opentelemetry.trace` to say where to; until then there is no need for spans.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from yoloom.sync.clock import Clock

TRACING = "opentelemetry.trace"
"""In `sys.modules` when the program may trace."""


class Span:
    """A span that is being recorded, and its stages. Thread safety: one thread at a time."""

    __slots__ = ("_api", "_clock", "_span", "_started_ns", "_started_s", "_tracer")

    def __init__(self, api: Any, tracer: Any, span: Any, started_ns: int, started_s: float, clock: Clock) -> None:
        self._api = api
        self._tracer = tracer
        self._span = span
        self._started_ns = started_ns
        self._started_s = started_s
        self._clock = clock

    def stage(self, name: str, start_s: float, end_s: float) -> None:
        """Record a child that is over already. start_s, end_s: on the clock of `begin_span`."""
        parent = self._api.set_span_in_context(self._span)
        child = self._tracer.start_span(name, context=parent, start_time=self._at(start_s))
        child.end(end_time=self._at(end_s))

    def end(self, attributes: Mapping[str, Any], error: BaseException | None = None) -> None:
        """End the span. error: makes it a failure, with its class and message."""
        self._span.set_attributes(attributes)
        if error is not None:
            self._span.set_attribute("error.type", type(error).__qualname__)
            self._span.set_status(self._api.Status(self._api.StatusCode.ERROR, str(error)))
        self._span.end(end_time=self._at(self._clock()))

    def _at(self, seconds: float) -> int:
        # All on one clock, so that no stage ends after its request when the other is set.
        return self._started_ns + round((seconds - self._started_s) * 1e9)


def begin_span(name: str, attributes: Mapping[str, Any], started_s: float, clock: Clock) -> Span | None:
    """Begin a span below the caller's current one. Thread safety: any number of threads.

    Args:
        name: of the span.
        attributes: of the span.
        started_s: a moment ago, on `clock`.
        clock: of all times of this span.

    Returns:
        None when no provider records it. `TRACING` must be imported.
    """
    api, tracer = _tracer()
    started_ns = time.time_ns() - round((clock() - started_s) * 1e9)
    span = tracer.start_span(name, attributes=attributes, start_time=started_ns)
    if not span.is_recording():  # no provider is set, or the sampler says no
        return None
    return Span(api, tracer, span, started_ns, started_s, clock)


@functools.cache
def _tracer() -> tuple[Any, Any]:
    # Imported again, which waits for another thread that is in the middle of it.
    api = import_module(TRACING)
    return api, api.get_tracer("yoloom")
