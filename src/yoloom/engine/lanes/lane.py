"""The requests of one run, on one lane: all together, and each by itself once more when that fails.

```
requests ─▶ gate ─▶ drawn ─▶ context.run ─▶ outputs            all of them
              │                   │ fails: the context is thrown away
              │                   └▶ each alone, on a new context ─▶ outputs, or the typed error of that one
              └ other engines compute until the deadline of one: that one is late
```
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from yoloom.engine.lanes.gate import DeviceGate
from yoloom.engine.request import Outcome, Request
from yoloom.errors import RuntimeFailed, YoloomError
from yoloom.formats.model import Model
from yoloom.postprocess.sanity import check_outputs
from yoloom.runtime.probe import blank
from yoloom.runtime.protocol import Batch, Compiled, Context, OwnRows, RawOutputs
from yoloom.sync.clock import Clock
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


class LaneSlot(Protocol):
    """Where one lane runs requests: a context of this process, or a worker process.

    Thread safety: one thread at a time; the policy gives a lane to one run at a time.
    """

    @property
    def broken(self) -> bool:
        """Whether the last run failed, and nothing new has taken its place since."""

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Run the requests and say how each ended. Raises nothing."""


class ContextSlot:
    """A context of this process, and the way to a new one when it breaks.

    Thread safety: one thread at a time.
    """

    def __init__(self, compiled: Compiled, gate: DeviceGate, cpus: int = 1) -> None:
        """Make the context. Raises RuntimeFailed. cpus: what a run takes of the gate."""
        self.gate = gate
        self.cpus = cpus
        self._compiled = compiled
        self._context: Context | None = _new_context(compiled)

    @property
    def broken(self) -> bool:
        """Whether the last run failed, and no new context has been made since."""
        return self._context is None

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Run all at once; when that fails, each once more alone, so that an image that can not be run fails alone.

        They wait for CPUs first, where other engines compute. One that is late by then, or before a second try, never
        runs.
        """
        in_time, has_gate = requests, False
        while in_time and not has_gate:
            soonest = min(request.terms.deadline for request in in_time)
            has_gate = self.gate.take(self.cpus, soonest - clock())
            now = clock()
            in_time = [request for request in in_time if request.terms.deadline > now]
        if not has_gate:
            return [Outcome(late=True)] * len(requests)
        try:
            outcomes = self._run_all(in_time, clock) if in_time else []  # the turn may come at the last moment
        finally:
            self.gate.give_back(self.cpus)
        if len(in_time) == len(requests):
            return outcomes
        of_request = {request.id: outcome for request, outcome in zip(in_time, outcomes, strict=True)}
        return [of_request.get(request.id, Outcome(late=True)) for request in requests]

    def run(self, batch: Batch, lowest_score: float = 0.0) -> RawOutputs:
        """Run, on a new context when the last run failed. Raises RuntimeFailed and other typed errors."""
        try:
            return self._ready_context().run(batch, lowest_score)
        except BaseException as error:
            self._context = None
            if isinstance(error, YoloomError) or not isinstance(error, Exception):
                raise
            raise RuntimeFailed(f"the backend raised {type(error).__name__}: {error}") from error

    def warm_up(self, model: Model) -> None:
        """Run the network once on an image without content. Raises what the runtime raises, and InvalidOutput."""
        outputs = self.run(blank(model))
        layout = self._compiled.layout if isinstance(self._compiled, OwnRows) else model.layout
        check_outputs(model, layout, tuple(output[0] for output in outputs))

    def _ready_context(self) -> Context:
        if self._context is None:
            self._context = _new_context(self._compiled)
        return self._context

    def _run_all(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        try:
            return self._run_together(requests, clock)
        except BaseException:  # even SystemExit, or the panic of a runtime: the lane is everybody's
            log.warning("a run of %d requests failed, they are tried again alone", len(requests), exc_info=True)
        return [self._run_alone(request, clock) for request in requests]

    def _run_alone(self, request: Request, clock: Clock) -> Outcome:
        if request.terms.deadline <= clock():
            return Outcome(late=True)
        try:
            (outcome,) = self._run_together([request], clock)
        except YoloomError as error:
            return Outcome(error=error, retried=True)
        except BaseException as error:  # outputs of the wrong kind, or a letterbox that fails, must not end the lane
            log.exception("a lane failed outside of the runtime")
            failure = RuntimeFailed(f"running the image failed: {type(error).__name__}: {error}")
            return Outcome(error=failure, retried=True)
        return outcome._replace(retried=True)

    def _run_together(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        # Drawn here and not by the callers: those who wait for their turn hold no canvas, and it is still in the CPU's
        # caches when it runs. (Where a lane runs many images at once, callers have drawn before: `draw` copies then.)
        pairs = [(request, request.image) for request in requests if request.image is not None]
        if len(pairs) < len(requests):
            raise RuntimeFailed("a request has no image: it ended while it waited for its lane")
        shape = (len(pairs), *pairs[0][1].canvas_hw, 3)
        batch = self._ready_context().staging(shape)
        lowest_score = 1.0
        for canvas, (_, image) in zip(batch, pairs, strict=True):
            image.draw(canvas)
            lowest_score = min(lowest_score, image.lowest_score)
        started = clock()
        outputs = self.run(batch, lowest_score)
        run_ms = (clock() - started) * 1e3
        if len(pairs) == 1:
            return [Outcome(tuple(output[0] for output in outputs), run_ms)]
        # Rows of their own: a caller that keeps its outputs must not keep those of the whole batch.
        return [Outcome(tuple(np.array(output[row]) for output in outputs), run_ms) for row in range(len(pairs))]


def _new_context(compiled: Compiled) -> Context:
    try:
        return compiled.context()
    except RuntimeError as error:
        raise RuntimeFailed(f"the runtime can not make a context: {error}") from error
