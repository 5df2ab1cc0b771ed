"""One prediction on its way through the engine."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.request_trace import RequestTrace, Timeline
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import DeadlineExceeded, YoloomError
from yoloom.runtime.protocol import RawOutputs
from yoloom.sync.clock import clamped
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


class Image(Protocol):
    """A prepared image, as the lane that runs it needs it."""

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Height and width of the canvas in pixels."""

    @property
    def nbytes(self) -> int:
        """Memory that the image takes until its results are there."""

    @property
    def lowest_score(self) -> float:
        """Confidence below which its caller wants no candidates."""

    def draw(self, canvas: NDArray[np.uint8]) -> None:
        """Place the image on its canvas (H, W, 3)."""


class Outcome(NamedTuple):
    """End of a run for one request.

    Thread safety: any number of threads (immutable).

    Attributes:
        outputs: Raw outputs of this image, in memory of their own.
        run_ms: Time in the runtime.
        error: Reason why there are no outputs.
        late: The deadline passed before it could be tried again.
        retried: It was run more than once.
    """

    outputs: RawOutputs = ()
    run_ms: float = 0.0
    error: YoloomError | None = None
    late: bool = False
    retried: bool = False


class Request:
    """An image, its terms, and its end.

    Thread safety: owned by the engine. The scheduler's lock guards `admitted`, `counted`, `verdict` and `holds`.

    Attributes:
        on_end: Called once, in whichever thread ends the request; once more for one that keeps its place, when the
            engine closes before it was delivered.
        on_admitted: Called once for a request that had to wait for a place, when it has one or has ended without.
        keeps_place: Its result is delivered by somebody else than its caller, and holds the place until `release_slot`.
        admitted: It ever had a place.
        counted: The outcome that it was counted as, once it has ended.
        verdict: The outcome to count although it runs, since its caller has given up.
        holds: It still has a place although it has run.
        run_ms: Time in the runtime, in milliseconds.
    """

    __slots__ = (
        "admitted",
        "counted",
        "error",
        "holds",
        "id",
        "image",
        "keeps_place",
        "nbytes",
        "on_admitted",
        "on_end",
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
        on_admitted: Callable[[Request], None] | None = None,
        keeps_place: bool = False,
        asked: float = 0.0,
        nbytes: int = 0,
    ) -> None:
        """Begin at the moment `asked` of the engine's clock. nbytes: of the decoded picture, 0 when that is unknown."""
        self.id = request_id
        self.terms = terms
        self.timeline = Timeline(asked)
        self.trace: RequestTrace | None = None
        self.on_end = on_end
        self.on_admitted = on_admitted
        self.keeps_place = keeps_place
        self.nbytes = nbytes
        self.admitted = False
        self.counted = ""
        self.verdict = ""
        self.holds = False
        self.image: Image | None = None
        self.outputs: RawOutputs | None = None
        self.error: YoloomError | None = None
        self.run_ms = 0.0

    def end(self, outcome: Outcome) -> None:
        """End as its run has. What its callbacks raise goes to the log: it must not end the lane."""
        try:
            if outcome.late:
                self.fail(too_late())
            elif outcome.error is not None:
                self.fail(outcome.error)
            else:
                self.outputs, self.run_ms, self.image = outcome.outputs, outcome.run_ms, None
                self.on_end(self)
        except Exception:
            log.exception("a request could not be ended")

    def fail(self, error: YoloomError) -> None:
        """End with an error."""
        # Read before `on_end`, which may forget it. Its caller still waits for a place, and would not wake otherwise.
        on_admitted = None if self.admitted else self.on_admitted
        self.error, self.image = error, None
        self.on_end(self)
        if on_admitted is not None:
            on_admitted(self)

    def take_outputs(self) -> RawOutputs:
        """Hand out the outputs, which the request then no longer holds. Raises LookupError when it has none."""
        outputs, self.outputs = self.outputs, None
        if outputs is None:
            raise LookupError(f"request {self.id} has no outputs: it has not succeeded, or they were taken before")
        return outputs

    def raise_error(self) -> None:
        """Raise the error that it ended with, if any. The error then holds the request, but not the reverse."""
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame

    def forget(self) -> None:
        """Let go of the outputs and of the callbacks: nobody waits for it any more."""
        self.on_end, self.on_admitted = _discard, None
        self.outputs = None


def _discard(request: Request) -> None:
    request.outputs = None


def too_late() -> DeadlineExceeded:
    """Make the error of a caller whose time is over."""
    return DeadlineExceeded("the request's time ran out before its result was there; allow more, or send less at once.")


class Signal:
    """Wakes the one thread that waits for a request: a lock that starts taken and is released once."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        # A release before the wait is not lost: the lock is free then, and `wait` takes it at once.
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self, _: Request) -> None:
        """Wake the thread."""
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Block for `seconds` at most; False when the signal did not come."""
        return self._lock.acquire(timeout=-1 if seconds == math.inf else clamped(seconds))
