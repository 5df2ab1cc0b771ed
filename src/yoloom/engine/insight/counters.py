"""What became of all requests: how many got a place, and how each ended, counted by reason."""

from __future__ import annotations

from collections.abc import Mapping

from yoloom.engine.request import Request
from yoloom.errors import Cancelled, DeadlineExceeded, Dropped, QueueFull

_ENDS = ("succeeded", "failed", "expired", "cancelled", "dropped")
_REASONS: Mapping[type[BaseException], str] = {
    DeadlineExceeded: "expired",
    Cancelled: "cancelled",
    Dropped: "dropped",
    QueueFull: "full",
    KeyboardInterrupt: "cancelled",
}


class Books:
    """Kept by the engine as it goes. Owned by it: under its lock.

    counts: of requests that had a place. refused: of those that never got one, by reason.
    """

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("admitted", "retried", *_ENDS), 0)
        self.refused: dict[str, int] = {}

    def placed(self, request: Request, now: float) -> None:
        request.admitted = True
        request.timeline.placed = now
        self.counts["admitted"] += 1

    def retried(self, times: int) -> None:
        self.counts["retried"] += times

    def ended(self, request: Request, reason: str) -> None:
        """Once for each request, but for `heard`."""
        request.counted = reason
        counts = self.counts if request.admitted else self.refused
        counts[reason] = counts.get(reason, 0) + 1

    def heard(self, request: Request, reason: str) -> None:
        """Its caller hears this of a request that runs, or has succeeded. What ended otherwise stays as it is."""
        if not request.counted:
            request.verdict = reason
        elif request.counted == "succeeded":
            self.counts["succeeded"] -= 1
            self.ended(request, reason)


def reason_of(error: BaseException) -> str:
    """What a request counts as that ends with this error."""
    return _REASONS.get(type(error), "failed")
