"""How an engine stands at one moment, and the words for it when it stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from yoloom.engine.insight.statistics import LaneState

MOST_CLIENTS = 8
"""Clients that a report names; the others are summed up."""


@dataclass(frozen=True)
class Situation:
    """Immutable: shared freely.

    name: the model's file. now: when it was looked at; still_since: since when nothing has moved, or one run has gone
    on, `now` when all is well; both on the engine's clock. ready, preparing: waiting requests whose image can run, and
    those whose image is still being decoded. clients, applicants: how many requests wait for a lane, and for a place,
    by whose they are.

    lock_held_by: the thread that has the engine's lock, when that could not be had; nothing else is known then.
    """

    name: str
    now: float
    still_since: float
    lanes: tuple[LaneState, ...] = ()
    ready: int = 0
    preparing: int = 0
    capacity: int = 0
    clients: Mapping[str, int] | None = None
    applicants: Mapping[str, int] | None = None
    lock_held_by: str | None = None


def stall_report(situation: Situation, stacks: Mapping[str, str]) -> str:
    """Who holds, and who waits for what. stacks: of the engine's threads, by their names."""
    still_s = situation.now - situation.still_since
    lines = [f"{situation.name}: nothing has moved for {still_s:.1f} s"]
    if situation.lock_held_by is not None:
        lines.append(f"the engine's lock is held by thread {situation.lock_held_by}; all others wait for it")
    else:
        lines += [*map(_of_lane, situation.lanes), *_of_queue(situation), *_of_applicants(situation)]
    return "\n".join((*lines, *_of_stacks(stacks)))


def _of_lane(lane: LaneState) -> str:
    place = f"lane {lane.number} of {lane.form}"
    if lane.state != "running":
        return f"{place}: {lane.state}"
    ids = ", ".join(map(str, lane.requests))
    noun = "requests" if len(lane.requests) > 1 else "request"
    return f"{place}: runs {noun} {ids} for {lane.running_ms / 1e3:.1f} s, in thread {lane.thread}"


def _of_queue(situation: Situation) -> Iterable[str]:
    waiting = situation.ready + situation.preparing
    yield (
        f"{waiting} of {situation.capacity} places taken: {situation.ready} wait for a lane, "
        f"{situation.preparing} for their image to be decoded"
    )
    yield from _of_clients(situation.clients or {})


def _of_applicants(situation: Situation) -> Iterable[str]:
    applicants = situation.applicants or {}
    if applicants:
        yield f"{sum(applicants.values())} callers wait for a place"
        yield from _of_clients(applicants)


def _of_clients(clients: Mapping[str, int]) -> Iterable[str]:
    most = Counter(clients).most_common()
    yield from (f"  {count} of {client}" for client, count in most[:MOST_CLIENTS])
    if others := most[MOST_CLIENTS:]:
        yield f"  {sum(count for _, count in others)} of {len(others)} other clients"


def _of_stacks(stacks: Mapping[str, str]) -> Iterable[str]:
    alike: dict[str, list[str]] = {}
    for thread, stack in stacks.items():
        alike.setdefault(stack, []).append(thread)
    for stack, threads in alike.items():
        yield f"{', '.join(threads)}:"
        yield stack.rstrip()
