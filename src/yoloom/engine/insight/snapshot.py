"""An engine at one moment: copied under its lock, and put into numbers or words once the lock is free again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yoloom.engine.insight.statistics import HeldBytes, LaneState, ProfilePlan, Refused, Statistics
from yoloom.engine.scheduling.request_terms import Client, label_of
from yoloom.sync.counted_lock import LockWaits
from yoloom.values import FrozenDict

if TYPE_CHECKING:
    from yoloom.engine.insight.counters import StageDurations
    from yoloom.engine.request import Request

MAX_LISTED_CLIENTS = 8
"""Clients that a report names; the others are summed up."""


@dataclass(frozen=True)
class EngineSnapshot:
    """Everything that is known of an engine at one moment.

    Thread safety: any number of threads (immutable, but for the requests in it, which go their way).

    Attributes:
        name: The model's file.
        now: Moment of the snapshot, on the engine's clock.
        still_since: Since when nothing has moved, or one run has gone on; `now` when all is well.
        lock_held_by: The thread that holds the engine's lock, when that could not be had; nothing else is known then.
        capacity: Places of the queue.
        waiting: Requests that have a place.
        running: Requests in a lane.
        waiters: Clients of the requests that wait for a place.
        charged_bytes: Decoded pictures that count against the bound of the queue.
    """

    name: str
    now: float
    still_since: float
    lock_held_by: str | None = None
    capacity: int = 0
    waiting: tuple[Request, ...] = ()
    running: tuple[Request, ...] = ()
    waiters: tuple[Client, ...] = ()
    charged_bytes: int = 0
    max_bytes: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    refusals: Refused = field(default_factory=Refused)
    plan: tuple[ProfilePlan, ...] = ()
    lane_states: tuple[LaneState, ...] = ()
    batch_sizes: FrozenDict[int, int] = field(default_factory=FrozenDict)
    lock: LockWaits = field(default_factory=LockWaits)

    def statistics(self, threads: int, durations: StageDurations, weights_bytes: int) -> Statistics:
        """Put the moment into numbers for users."""
        durations.flush()
        return Statistics(
            **self.counts,
            workers=(),
            refusals=self.refusals,
            waiting=len(self.waiting),
            running=len(self.running),
            applying=len(self.waiters),
            threads=threads,
            plan=self.plan,
            lane_states=self.lane_states,
            batch_sizes=self.batch_sizes,
            wait=durations.wait.distribution(),
            prepare=durations.prepare.distribution(),
            execute=durations.execute.distribution(),
            postprocess=durations.postprocess.distribution(),
            lock=self.lock,
            held=HeldBytes(
                weights_bytes,
                _images_bytes(self.waiting),
                _images_bytes(self.running),
                self.charged_bytes,
                self.max_bytes,
            ),
        )

    def stall_report(self, stacks: Mapping[str, str]) -> str:
        """Say who holds, and who waits for what. stacks: of the engine's threads, by their names."""
        lines = [f"{self.name}: nothing has moved for {self.now - self.still_since:.1f} s"]
        if self.lock_held_by is not None:
            lines.append(f"the engine's lock is held by thread {self.lock_held_by}; all others wait for it")
        else:
            lines += [lane.described() for lane in self.lane_states]
            ready = sum(request.image is not None for request in self.waiting)
            lines.append(
                f"{len(self.waiting)} of {self.capacity} places taken: {ready} wait for a lane, "
                f"{len(self.waiting) - ready} for their image to be decoded"
            )
            lines += _count_by_client(request.terms.client for request in self.waiting)
            if self.waiters:
                lines.append(f"{len(self.waiters)} callers wait for a place")
                lines += _count_by_client(self.waiters)
        threads_at: dict[str, list[str]] = {}
        for thread, stack in stacks.items():
            threads_at.setdefault(stack, []).append(thread)
        for stack, threads in threads_at.items():
            lines += [f"{', '.join(threads)}:", stack.rstrip()]
        return "\n".join(lines)


def _count_by_client(clients: Iterable[Client]) -> Iterator[str]:
    most = Counter(map(label_of, clients)).most_common()
    yield from (f"  {count} of {client}" for client, count in most[:MAX_LISTED_CLIENTS])
    if others := most[MAX_LISTED_CLIENTS:]:
        yield f"  {sum(count for _, count in others)} of {len(others)} other clients"


def _images_bytes(requests: Iterable[Request]) -> int:
    images = [request.image for request in requests]  # each is read once: a lane takes it away when it is done
    return sum(image.nbytes for image in images if image is not None)
