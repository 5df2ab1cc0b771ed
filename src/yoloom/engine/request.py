"""One prediction on its way through the engine."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.request_trace import NO_TRACE, RequestTrace
from yoloom.engine.scheduling.client import RequestTerms
from yoloom.engine.timeline import Timeline
from yoloom.errors import YoloomError
from yoloom.runtime.protocol import Outputs


class Image(Protocol):
    """A prepared image, as the lane that runs it needs it."""

    @property
    def canvas_hw(self) -> tuple[int, int]: ...

    @property
    def nbytes(self) -> int: ...

    def draw(self, canvas: NDArray[np.uint8]) -> None: ...


class Request:
    """An image, its terms, and how it ended. Owned by the engine.

    on_end runs once, in whichever thread ends it, and for one that keeps its place once more when the engine closes
    before it was delivered. on_place runs once for a request that had to wait for a place: when
    it has one, or has ended without. run_ms: what the runtime took, in milliseconds.

    keeps_place: its result is delivered by somebody else than its caller, and holds the place until `Engine.delivered`.
    Guarded by the engine's lock: `admitted`, whether it ever had a place; `counted`, what it was counted as once it has
    ended; `verdict`, what to count it as although it runs, since its caller has given up; `holds`, whether it still has
    a place although it has run.
    """

    __slots__ = (
        "admitted",
        "counted",
        "error",
        "holds",
        "id",
        "image",
        "keeps_place",
        "on_end",
        "on_place",
        "outputs",
        "run_ms",
        "terms",
        "timeline",
        "trace",
        "verdict",
    )

    def __init__(
        self,
        request_id: int,
        terms: RequestTerms,
        on_end: Callable[[Request], None],
        on_place: Callable[[Request], None] | None = None,
        keeps_place: bool = False,
        asked: float = 0.0,
    ) -> None:
        """asked: now, on the engine's clock."""
        self.id = request_id
        self.terms = terms
        self.timeline = Timeline(asked)
        self.trace: RequestTrace = NO_TRACE
        self.on_end = on_end
        self.on_place = on_place
        self.keeps_place = keeps_place
        self.admitted = False
        self.counted = ""
        self.verdict = ""
        self.holds = False
        self.image: Image | None = None
        self.outputs: Outputs | None = None
        self.error: YoloomError | None = None
        self.run_ms = 0.0

    def succeed(self, outputs: Outputs, run_ms: float) -> None:
        self.outputs, self.run_ms, self.image = outputs, run_ms, None
        self.on_end(self)

    def take_outputs(self) -> Outputs:
        """The outputs, which the request then no longer holds. Raises LookupError when it has none."""
        outputs, self.outputs = self.outputs, None
        if outputs is None:
            raise LookupError(f"request {self.id} has no outputs: it has not succeeded, or they were taken before")
        return outputs

    def raise_error(self) -> None:
        """Raise what it ended with, if that was an error. The error then holds the request, but not the reverse."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame

    def fail(self, error: YoloomError) -> None:
        on_place = None if self.admitted else self.on_place
        self.error, self.image = error, None
        self.on_end(self)
        if on_place is not None:
            on_place(self)

    def has_place(self) -> None:
        """It has got the place that it waited for."""
        on_place = self.on_place
        if on_place is not None:
            on_place(self)

    def forget(self) -> None:
        """Nobody waits for it any more: let go of the outputs, and of those that would have been told."""
        self.on_end, self.on_place = _discard, None
        self.outputs = None


def _discard(request: Request) -> None:
    request.outputs = None


class Signal:
    """Wakes the one thread that waits for a request: a lock that starts taken and is released once."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self, _: Request) -> None:
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Whether the request ended within `seconds`."""
        return self._lock.acquire(timeout=-1 if seconds == math.inf else min(max(0.0, seconds), threading.TIMEOUT_MAX))
