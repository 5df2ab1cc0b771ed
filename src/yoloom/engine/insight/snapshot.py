"""What the engine's lock guards, copied at one moment, and what is made of it once the lock is free again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from yoloom.engine.insight.meters import Meters
from yoloom.engine.insight.situation import Situation
from yoloom.engine.insight.statistics import FormPlan, HeldBytes, LaneState, Refused, Statistics
from yoloom.engine.request import Request
from yoloom.engine.scheduling.client import label_of
from yoloom.engine.scheduling.fair_queue import Client
from yoloom.sync.counted_lock import LockWaits
from yoloom.values import FrozenDict


@dataclass(frozen=True)
class Moment:
    """Immutable but for the requests in it, which go their way. still_since: see `Situation`."""

    now: float
    still_since: float
    counts: Mapping[str, int]
    refusals: Refused
    waiting: tuple[Request, ...]
    running: tuple[Request, ...]
    applicants: tuple[Client, ...]
    plan: tuple[FormPlan, ...]
    lane_states: tuple[LaneState, ...]
    batch_sizes: FrozenDict[int, int]
    lock: LockWaits


def statistics_of(moment: Moment, threads: int, meters: Meters, weights: int) -> Statistics:
    """The numbers of a moment, for users. weights: in bytes."""
    meters.count()
    return Statistics(
        **moment.counts,
        workers=(),
        refusals=moment.refusals,
        waiting=len(moment.waiting),
        running=len(moment.running),
        applying=len(moment.applicants),
        threads=threads,
        plan=moment.plan,
        lane_states=moment.lane_states,
        batch_sizes=moment.batch_sizes,
        wait=meters.wait.distribution(),
        prepare=meters.prepare.distribution(),
        execute=meters.execute.distribution(),
        postprocess=meters.postprocess.distribution(),
        lock=moment.lock,
        held=HeldBytes(weights, _images_bytes(moment.waiting), _images_bytes(moment.running)),
    )


def situation_of(moment: Moment, name: str, capacity: int) -> Situation:
    """How the engine stands, for its watchdog."""
    ready = sum(request.image is not None for request in moment.waiting)
    return Situation(
        name,
        moment.now,
        moment.still_since,
        moment.lane_states,
        ready,
        len(moment.waiting) - ready,
        capacity,
        Counter(label_of(request.terms.client) for request in moment.waiting),
        Counter(map(label_of, moment.applicants)),
    )


def _images_bytes(requests: Iterable[Request]) -> int:
    images = [request.image for request in requests]  # each is read once: a lane takes it away when it is done
    return sum(image.nbytes for image in images if image is not None)
