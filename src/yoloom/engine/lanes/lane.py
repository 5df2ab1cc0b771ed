"""What a lane does with the requests of one run: together, and each by itself once more when that fails.

```
requests ─▶ CPUs ─▶ drawn ─▶ context.run ─▶ outputs            all of them
              │                   │ fails: the context is thrown away
              │                   └▶ each alone, on a new context ─▶ outputs, or the typed error of that one
              └ other engines compute until the deadline of one: that one is late
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from yoloom.engine.lanes.cpu_gate import Share
from yoloom.engine.request import Request
from yoloom.errors import RuntimeFailed, YoloomError
from yoloom.formats.model import Model
from yoloom.runtime.probe import blank
from yoloom.runtime.protocol import Batch, Compiled, Context, Outputs
from yoloom.sync.clock import Clock
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


class Outcome(NamedTuple):
    """How a run ended for one request. Immutable.

    late: its deadline passed before it could be tried again. retried: it was.
    """

    outputs: Outputs = ()
    run_ms: float = 0.0
    error: YoloomError | None = None
    late: bool = False
    retried: bool = False

    @property
    def ended(self) -> str:
        """What it counts as."""
        if self.late:
            return "expired"
        return "succeeded" if self.error is None else "failed"


class LaneSlot(Protocol):
    """Where one lane runs requests: a context of this process, or a worker process. One thread at a time."""

    @property
    def broken(self) -> bool:
        """Whether the last run failed, and nothing new has taken its place since."""

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Run them and say how each ended. Raises nothing."""


class Slot:
    """The place of one lane in a form: its context, and the way to a new one when that breaks.

    One thread at a time: the policy gives a lane to one run at a time.
    """

    def __init__(self, compiled: Compiled, share: Share, cpus: int = 1) -> None:
        """share: of the engine, cpus: what a run takes of it. Raises RuntimeFailed."""
        self.share = share
        self.cpus = cpus
        self._compiled = compiled
        self._context: Context | None = _new_context(compiled)

    @property
    def broken(self) -> bool:
        """Whether the last run failed, and no new context has been made since."""
        return self._context is None

    def run(self, batch: Batch) -> Outputs:
        """Run, on a new context when the last run failed. Raises RuntimeFailed and other typed errors."""
        if self._context is None:
            self._context = _new_context(self._compiled)
        try:
            return self._context.run(batch)
        except BaseException as error:
            self._context = None
            if isinstance(error, YoloomError) or not isinstance(error, Exception):
                raise
            raise RuntimeFailed(f"the backend raised {type(error).__name__}: {error}") from error

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Run all requests, those that fail once more alone. Raises nothing."""
        return run_requests(self, requests, clock)


def _new_context(compiled: Compiled) -> Context:
    try:
        return compiled.context()
    except RuntimeError as error:
        raise RuntimeFailed(f"the runtime makes no context for another run: {error}") from error


def warm_up(slot: Slot, model: Model) -> None:
    """Run the network once on an image without content. Raises what the runtime raises."""
    slot.run(blank(model))


def run_requests(slot: Slot, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
    """Run all at once; when that fails, each once more alone, so that an image that can not be run fails alone.

    They wait for CPUs first, where other engines compute. What is late by then, or before a second try, never runs.
    """
    in_time = _in_turn(slot, requests, clock)
    if not in_time:
        return [Outcome(late=True)] * len(requests)
    try:
        outcomes = _run(slot, in_time, clock)
    finally:
        slot.share.give_back(slot.cpus)
    if len(in_time) == len(requests):
        return outcomes
    of_request = {request.id: outcome for request, outcome in zip(in_time, outcomes, strict=True)}
    return [of_request.get(request.id, Outcome(late=True)) for request in requests]


def _in_turn(slot: Slot, requests: Sequence[Request], clock: Clock) -> Sequence[Request]:
    """Those that are still in time when the slot has its CPUs. Without any, it has none."""
    in_time, taken = requests, False
    while in_time and not taken:
        soonest = min(request.terms.deadline for request in in_time)
        taken = slot.share.take(slot.cpus, soonest - clock())
        in_time = [request for request in in_time if request.terms.deadline > clock()]
    if taken and not in_time:  # the turn came at the last moment
        slot.share.give_back(slot.cpus)
    return in_time


def _run(slot: Slot, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
    try:
        return _together(slot, requests, clock)
    except BaseException:  # even SystemExit, or the panic of a runtime: the lane is everybody's
        log.warning("a run of %d requests failed, they are tried again alone", len(requests), exc_info=True)
    return [_alone(slot, request, clock) for request in requests]


def _alone(slot: Slot, request: Request, clock: Clock) -> Outcome:
    if request.terms.deadline <= clock():
        return Outcome(late=True)
    try:
        (outcome,) = _together(slot, [request], clock)
    except YoloomError as error:
        return Outcome(error=error, retried=True)
    except BaseException as error:  # outputs of the wrong kind, or a letterbox that fails, must not end the lane
        log.exception("a lane failed outside of the runtime")
        failure = RuntimeFailed(f"running the image failed: {type(error).__name__}: {error}")
        return Outcome(error=failure, retried=True)
    return outcome._replace(retried=True)


def _together(slot: Slot, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
    # Drawn here and not by the callers: those who wait for their turn hold no canvas, and it is still in the CPU's
    # caches when it runs.
    batch = _drawn(requests)
    started = clock()
    outputs = slot.run(batch)
    run_ms = (clock() - started) * 1e3
    return [Outcome(tuple(output[row] for output in outputs), run_ms) for row in range(len(requests))]


def _drawn(requests: Sequence[Request]) -> Batch:
    """The images of the requests, which have equal canvases, as one batch."""
    images = [request.image for request in requests if request.image is not None]
    batch = np.empty((len(images), *images[0].canvas_hw, 3), np.uint8)
    for canvas, image in zip(batch, images, strict=True):
        image.draw(canvas)
    return batch
