"""Weighted round robin: whose turn it is among clients that each keep their own order.

```
turns:   A ──▶ B ──▶ C ──▶ (A again)          a client with weight 3 is served three times before the next one's turn
A's own: priority 5: 7, 9   priority 0: 2, 4   the highest priority first, equal ones in order of admission
```

A client that comes back joins at the end. So between two turns of a client with something ready, at most the sum of
the others' weights is served, whatever they have queued. Pure: no thread, no clock.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

Shape = tuple[int, ...]

MAX_LEFT = 64
"""Clients that have left and may stay in the order beside as many as have something waiting, before it is made anew."""


@dataclass(frozen=True)
class Client:
    """Whose request it is. Immutable: shared freely.

    key: a text, a number, or a tuple of them. weight: how many of its requests are served in one turn.
    """

    key: Hashable
    weight: int = 1


ANYBODY = Client(None)


class _Line:
    """What one client has waiting."""

    __slots__ = ("credit", "in_turn", "key", "ready", "waiting", "weight")

    def __init__(self, key: Hashable, weight: int) -> None:
        self.key = key
        self.weight = weight
        self.credit = weight
        self.in_turn = False
        self.waiting: dict[int, float] = {}  # id -> priority, in order of admission; ready or not
        self.ready: list[tuple[float, int]] = []  # heap of (-priority, id); ids that are gone are skipped on sight

    def first(self) -> int | None:
        """The id that is next, or None when none is ready."""
        while self.ready and self.ready[0][1] not in self.waiting:
            heapq.heappop(self.ready)
        return self.ready[0][1] if self.ready else None


class FairQueue:
    """The waiting requests of all clients, and who is next. One thread at a time."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}  # of clients that have something waiting
        self._order: deque[_Line] = deque()  # those that had something ready, whose turn it is first
        self._owner: dict[int, _Line] = {}
        self._shapes: dict[int, Shape] = {}  # of those that are ready
        self._left = 0  # lines in the order whose client has nothing any more

    def __len__(self) -> int:
        return len(self._owner)

    def __contains__(self, request_id: int) -> bool:
        return request_id in self._owner

    def add(self, request_id: int, client: Client, priority: float) -> None:
        """From now on it waits. The weight is the one that the client named last."""
        line = self._lines.get(client.key)
        if line is None:
            line = self._lines[client.key] = _Line(client.key, client.weight)
        line.weight = client.weight
        line.waiting[request_id] = priority
        self._owner[request_id] = line

    def ready(self, request_id: int, shape: Shape) -> None:
        """A waiting request may be served. shape: what it must share with others to be served together with them."""
        line = self._owner[request_id]
        heapq.heappush(line.ready, (-line.waiting[request_id], request_id))
        self._shapes[request_id] = shape
        if not line.in_turn:
            line.in_turn = True
            line.credit = line.weight
            self._order.append(line)

    def remove(self, request_id: int) -> bool:
        """It waits no longer; False when it did not."""
        line = self._owner.pop(request_id, None)
        if line is None:
            return False
        self._shapes.pop(request_id, None)
        del line.waiting[request_id]
        if not line.waiting:
            del self._lines[line.key]  # it leaves the order when its turn comes
            self._left += line.in_turn
            self._forget_those_that_left()
        return True

    def clear(self) -> tuple[int, ...]:
        """Nothing waits any more. Returns what did."""
        gone = tuple(self._owner)
        for kept in (self._owner, self._shapes, self._lines, self._order):
            kept.clear()
        self._left = 0
        return gone

    def take(self) -> tuple[int, Shape] | None:
        """The request whose turn it is, which waits no longer, and its shape; None when none is ready."""
        for _ in range(len(self._order)):
            line = self._order[0]
            request_id = line.first()
            if request_id is not None:
                shape = self._shapes[request_id]
                self._serve(line, request_id)
                return request_id, shape
            self._pass_over(line)
        return None

    def _pass_over(self, line: _Line) -> None:
        """It is a client's turn who has nothing ready: one that has nothing at all leaves the order."""
        if line.waiting:
            self._order.rotate(-1)
        else:
            self._order.popleft().in_turn = False
            self._left -= 1

    def _forget_those_that_left(self) -> None:
        # Their turn may never come: all lanes stand still, and thousands of clients come and cancel.
        if self._left > len(self._lines) + MAX_LEFT:
            self._order = deque(line for line in self._order if line.waiting)
            self._left = 0

    def take_matching(self, shape: Shape, most: int) -> list[int]:
        """Up to `most` further requests of this shape, which wait no longer, in the order of turns.

        Nobody is overtaken by requests of his own: a client whose next request has another shape is passed over.
        """
        taken: list[int] = []
        before = -1
        while before < len(taken) < most:
            before = len(taken)
            for line in self._order:
                taken += self._company_of(line, shape, min(line.weight, most - len(taken)))
        return taken

    def oldest_of_busiest(self) -> int:
        """Of the client with the most waiting requests: of its lowest priority, the one that came first.

        Among equal clients, the one that has waited longest.
        """
        waiting = max(self._lines.values(), key=lambda line: len(line.waiting)).waiting
        return min(waiting, key=waiting.__getitem__)

    def of(self, key: Hashable) -> tuple[int, ...]:
        """What a client has waiting, in order of admission."""
        line = self._lines.get(key)
        return () if line is None else tuple(line.waiting)

    def _company_of(self, line: _Line, shape: Shape, most: int) -> list[int]:
        taken: list[int] = []
        while len(taken) < most and (request_id := line.first()) is not None and self._shapes[request_id] == shape:
            taken.append(request_id)
            self.remove(request_id)
        return taken

    def _serve(self, line: _Line, request_id: int) -> None:
        heapq.heappop(line.ready)
        line.credit -= 1
        if line.credit <= 0:
            line.credit = line.weight
            self._order.rotate(-1)
        self.remove(request_id)  # last: it may make the order anew
