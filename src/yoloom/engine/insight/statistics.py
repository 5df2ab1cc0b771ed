"""Numbers of an engine: its work so far, and its load at this moment."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from yoloom.sync.counted_lock import LockWaits
from yoloom.telemetry.histogram import Distribution


@dataclass(frozen=True)
class Refused:
    """Requests that got no place, by reason. Immutable: shared freely.

    full: the queue was, and the caller did not want to wait. The others waited for a place, and then: expired, their
    deadline passed; cancelled; dropped, for a newer one of their client; closed, the engine was; failed, their image
    could not be prepared.
    """

    full: int = 0
    expired: int = 0
    cancelled: int = 0
    dropped: int = 0
    closed: int = 0
    failed: int = 0


@dataclass(frozen=True)
class ProfilePlan:
    """A profile in which the network is compiled.

    Thread safety: any number of threads (immutable).

    Attributes:
        form: Name of the profile, on a CPU "latency" or "throughput".
        lanes: Runs at once.
        batch: Most images of a run.
    """

    form: str
    lanes: int
    batch: int


@dataclass(frozen=True)
class LaneState:
    """State of one lane at a moment. Immutable: shared freely.

    state: "idle", "running", or "broken": its last run failed, and the next one gets a new context. running_ms: for how
    long it has been at its run, 0 when it is at none. requests: the ids of what it runs. thread: the name of the
    thread that does.
    """

    form: str
    number: int
    state: str
    running_ms: float = 0.0
    requests: tuple[int, ...] = ()
    thread: str = ""

    def described(self) -> str:
        """Say what the lane does, in one line."""
        lane = f"lane {self.number} of {self.form}"
        if self.state != "running":
            return f"{lane}: {self.state}"
        noun = "requests" if len(self.requests) > 1 else "request"
        ids = ", ".join(map(str, self.requests))
        return f"{lane}: runs {noun} {ids} for {self.running_ms / 1e3:.1f} s, in thread {self.thread}"


@dataclass(frozen=True)
class HeldBytes:
    """Memory that can be told without guessing. Immutable: shared freely.

    weights: the model's files when it was opened; a runtime holds them once for each form, in its own layout. waiting:
    decoded images of requests that wait for a lane; an array that its caller lends is counted and not a copy. running:
    the same of those in a lane. queued: all pictures that count against the queue's bound, those on their way to
    their callers too, and those that are about to be decoded, by their headers. max_queued: that bound. Not counted,
    for their size is not known here: the runtime's buffers, canvases,
    and outputs on their way to their callers.
    """

    weights: int = 0
    waiting: int = 0
    running: int = 0
    queued: int = 0
    max_queued: int | None = None


@dataclass(frozen=True)
class WorkerStatistics:
    """The worker process of one lane, at one moment. Immutable: shared freely.

    pid: None while there is none. generation: a number that no other process of this model has. state: "starting",
    "ready", "dying", "gone" (about to be replaced), or "spent" (not replaced for now). restarts, served: of the lane,
    by all its processes. threads: its share of the CPU budget. unique_bytes: memory that no other process has.
    proportional_bytes: that, and its share of what several have. Both are 0 where the system does not tell.
    """

    lane: int
    pid: int | None
    generation: int
    state: str
    restarts: int
    served: int
    threads: int
    unique_bytes: int
    proportional_bytes: int


@dataclass(frozen=True)
class Statistics:
    """Work of an engine so far, at one moment. Immutable: shared freely. `to_dict` gives it as JSON takes it.

    admitted, succeeded, failed, expired, cancelled, dropped: requests since the model was opened; every admitted one is
    in exactly one of the others once it has ended, as what its caller heard: one whose results can not be made or
    written has failed. retried: those whose run failed and was done again. refusals: those that got no place. waiting,
    running: now; waiting is the length of the queue. applying: callers that wait for a place in it. threads: the CPU
    budget.

    wait: for a place and, once prepared, for a lane. prepare: decoding, until it could run. execute: in the lane, with
    the letterbox and a second try. These three are of requests that a lane took. postprocess: from outputs to results.
    batch_sizes: how many runs were begun with how many images. lock: waits for the one lock that all share.
    workers: the worker processes, if there are any.
    """

    admitted: int
    succeeded: int
    failed: int
    expired: int
    cancelled: int
    dropped: int
    retried: int
    refusals: Refused
    waiting: int
    running: int
    applying: int
    threads: int
    plan: tuple[ProfilePlan, ...]
    lane_states: tuple[LaneState, ...]
    batch_sizes: Mapping[int, int]
    wait: Distribution
    prepare: Distribution
    execute: Distribution
    postprocess: Distribution
    lock: LockWaits
    held: HeldBytes
    workers: tuple[WorkerStatistics, ...] = ()

    @property
    def refused(self) -> int:
        """Requests that got no place, for any reason."""
        return sum(dataclasses.astuple(self.refusals))

    @property
    def in_flight(self) -> int:
        """Admitted requests that wait or run."""
        return self.waiting + self.running

    @property
    def forms(self) -> tuple[str, ...]:
        """In which the network is compiled."""
        return tuple(plan.form for plan in self.plan)

    @property
    def lanes(self) -> int:
        """Contexts of all forms."""
        return sum(plan.lanes for plan in self.plan)

    @property
    def broken(self) -> int:
        """Lanes whose last run failed."""
        return sum(lane.state == "broken" for lane in self.lane_states)

    def to_dict(self) -> dict[str, Any]:
        """All of it, the derived numbers too, in dictionaries, lists, texts and numbers."""
        fields = dataclasses.asdict(self)
        derived = {name: getattr(self, name) for name in ("refused", "in_flight", "forms", "lanes", "broken")}
        sizes = {str(size): runs for size, runs in self.batch_sizes.items()}
        return _plain({**fields, **derived, "batch_sizes": sizes})  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value
