"""One prediction on its way through the engine."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from yoloom.engine.terms import Terms
from yoloom.errors import YoloomError
from yoloom.runtime.protocol import Outputs


class Image(Protocol):
    """A prepared image, as the lane that runs it needs it."""

    @property
    def canvas_hw(self) -> tuple[int, int]: ...

    def draw(self, canvas: NDArray[np.uint8]) -> None: ...


class Request:
    """An image, its terms, and how it ended. Owned by the engine; `on_end` runs once, in whichever thread ends it.

    Exactly one of `outputs` and `error` is set when it has ended. run_ms: what the runtime took, in milliseconds.
    Under the engine's lock: how it was counted after its run, and whether its caller had given up by then.
    """

    __slots__ = ("counted", "error", "given_up", "id", "image", "on_end", "outputs", "run_ms", "terms")

    def __init__(self, request_id: int, terms: Terms, on_end: Callable[[Request], None]) -> None:
        self.id = request_id
        self.terms = terms
        self.given_up = False
        self.counted = ""
        self.on_end = on_end
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
        self.error, self.image = error, None
        self.on_end(self)


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
