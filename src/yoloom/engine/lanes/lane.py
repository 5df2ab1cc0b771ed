"""The requests of one run, on one lane: all together, and each by itself once more when that fails.

```
requests ─▶ gate ─▶ drawn ─▶ context.run ─▶ outputs            all of them
              │                   │ fails: nothing of the compiled form is used any more
              │                   └▶ each alone, compiled again ─▶ outputs, or the typed error of that one
              └ other engines compute until the deadline of one: that one is late
```

What another lane computed with the same form while a run failed is not believed either, unless a repeat agrees.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from yoloom.engine.lanes.form import Form, Place
from yoloom.engine.lanes.gate import DeviceGate
from yoloom.engine.request import Outcome, Request
from yoloom.errors import RuntimeFailed, YoloomError
from yoloom.runtime.protocol import Batch, RawOutputs
from yoloom.sync.clock import Clock
from yoloom.system.safe_log import SafeLogger
from yoloom.system.shortage import explained

log = SafeLogger("yoloom.engine")

CHANCES = 5
"""Runs of one image that other lanes' failures may spoil."""

_MOST_SIZES = 256


class LaneSlot(Protocol):
    """Where one lane runs requests: a context of this process, or a worker process.

    Thread safety: one thread at a time; the policy gives a lane to one run at a time.
    """

    @property
    def broken(self) -> bool:
        """Whether the last run failed, and nothing new has taken its place since."""

    def serve(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        """Run the requests and say how each ended. Raises nothing."""


class Overtaken(Exception):
    """Another lane failed on the same compiled form while this one ran. outcomes: of this one, in doubt."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        super().__init__("another run failed on the same compiled form")
        self.outcomes = outcomes


class ContextSlot:
    """A context of this process, and the way to a new one when it breaks.

    Thread safety: one thread at a time.
    """

    def __init__(self, form: Form, gate: DeviceGate, cpus: int = 1) -> None:
        """Make the context. Raises RuntimeFailed. cpus: what a run takes of the gate."""
        self.gate = gate
        self.cpus = cpus
        self._form = form
        self._place: Place | None = form.place()
        self._sizes: dict[tuple[int, ...], tuple[int, ...]] = {}  # of batches, and of the first outputs that fit them

    @property
    def broken(self) -> bool:
        """Whether the last run failed, and no new context has been made since."""
        return self._place is None

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
        """Run, on a form that is compiled again when a run failed. Raises RuntimeFailed and other typed errors."""
        place = self._ready_place()
        try:
            outputs = place.context.run(batch, lowest_score)
            if self._sizes.get(batch.shape) != outputs[0].shape:
                self._form.warm_up.check_size(batch.shape, outputs)
                if len(self._sizes) >= _MOST_SIZES:
                    self._sizes.clear()
                self._sizes[batch.shape] = outputs[0].shape
        except BaseException as error:
            self._form.doubt(place.network)
            # The network is freed now, and not with the error, which its caller may keep: its frames hold it.
            self._place = None
            del place
            traceback.clear_frames(error.__traceback__)
            if isinstance(error, YoloomError) or not isinstance(error, Exception):
                raise
            raise RuntimeFailed(f"the backend raised {type(error).__name__}: {explained(error)}") from error
        return outputs

    def warm_up(self) -> None:
        """Run the network once on an image without content. Raises what the runtime raises, and InvalidOutput."""
        outputs = self.run(self._form.warm_up.batch)
        self._form.warm_up.check(self._ready_place().network, outputs)

    def _ready_place(self) -> Place:
        if self._place is None or self._place.network is not self._form.network:
            self._place = None  # what it holds is freed before its successor is made
            self._place = self._form.place()
        return self._place

    def _run_all(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        doubtful: list[Outcome] = []
        try:
            return self._run_together(requests, clock)
        except Overtaken as overtaken:
            doubtful = overtaken.outcomes
        except BaseException:  # even SystemExit, or the panic of a runtime: the lane is everybody's
            log.warning("a run of %d requests failed, they are tried again alone", len(requests), exc_info=True)
        return [
            self._run_alone(request, clock, doubtful[index] if doubtful else None)
            for index, request in enumerate(requests)
        ]

    def _run_alone(self, request: Request, clock: Clock, doubtful: Outcome | None) -> Outcome:
        """Try one request again. doubtful: its outcome of a run that was overtaken."""
        for _ in range(CHANCES):
            if request.terms.deadline <= clock():
                return Outcome(late=True)
            try:
                (outcome,) = self._run_together([request], clock)
            except Overtaken as overtaken:
                # Somebody's image fails again and again. Two runs on two networks that agree are no accident.
                (outcome,) = overtaken.outcomes
                if doubtful is None or not _have_same_bits(doubtful, outcome):
                    doubtful = outcome
                    continue
            except YoloomError as error:
                return Outcome(error=error, retried=True)
            except BaseException as error:  # outputs of the wrong kind, or a letterbox that fails
                log.exception("a lane failed outside of the runtime")
                failure = RuntimeFailed(f"running the image failed: {type(error).__name__}: {explained(error)}")
                return Outcome(error=failure, retried=True)
            return outcome._replace(retried=True)
        failure = RuntimeFailed(f"other runs of the network failed during each of {CHANCES} runs of this image.")
        return Outcome(error=failure, retried=True)

    def _run_together(self, requests: Sequence[Request], clock: Clock) -> list[Outcome]:
        # Drawn here and not by the callers: those who wait for their turn hold no canvas, and it is still in the CPU's
        # caches when it runs. (Where a lane runs many images at once, callers have drawn before: `draw` copies then.)
        pairs = [(request, request.image) for request in requests if request.image is not None]
        if len(pairs) < len(requests):
            raise RuntimeFailed("a request has no image: it ended while it waited for its lane")
        shape = (len(pairs), *pairs[0][1].canvas_hw, 3)
        batch = self._ready_place().context.staging(shape)
        lowest_score = 1.0
        for canvas, (_, image) in zip(batch, pairs, strict=True):
            image.draw(canvas)
            lowest_score = min(lowest_score, image.lowest_score)
        started = clock()
        outputs = self.run(batch, lowest_score)
        run_ms = (clock() - started) * 1e3
        if len(pairs) == 1:
            outcomes = [Outcome(tuple(output[0] for output in outputs), run_ms)]
        else:
            # Rows of their own: a caller that keeps its outputs must not keep those of the whole batch.
            outcomes = [
                Outcome(tuple(np.array(output[row]) for output in outputs), run_ms) for row in range(len(pairs))
            ]
        if self._place is None or self._form.network is not self._place.network:
            raise Overtaken(outcomes)
        return outcomes


def _have_same_bits(one: Outcome, other: Outcome) -> bool:
    return [output.tobytes() for output in one.outputs] == [output.tobytes() for output in other.outputs]
