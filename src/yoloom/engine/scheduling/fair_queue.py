"""Weighted round robin: whose turn it is among clients that each keep their own order.

```
turns:   A ──▶ B ──▶ C ──▶ (A again)          a client with weight 3 is served three times before the next one's turn
A's own: priority 5: 7, 9   priority 0: 2, 4   the highest priority first, equal ones in order of admission
shapes:  640x640: 2, 7, 9   640x480: 4         a second index, for batches
```

A client that comes back joins at the end. So between two turns of a client with something ready, at most the sum of
the others' weights is served, whatever they have queued. Pure: no thread, no clock.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Hashable, Sequence

from yoloom.engine.scheduling.request_terms import Client

Shape = tuple[int, ...]

MAX_LEFT = 64
"""Clients that have left and may stay in the order beside as many as have something waiting, before it is rebuilt."""


class _Line:
    """The waiting requests of one client."""

    __slots__ = ("credit", "in_turn", "key", "ready", "waiting", "weight")

    def __init__(self, key: Hashable, weight: int) -> None:
        self.key = key
        self.weight = weight
        self.credit = weight
        self.in_turn = False
        self.waiting: dict[int, float] = {}  # id -> priority, in order of admission; ready or not
        self.ready: list[tuple[float, int]] = []  # heap of (-priority, id); ids that are gone are skipped on sight


class FairQueue:
    """The waiting requests of all clients, in the order of turns.

    Thread safety: one thread at a time.

    Attributes:
        waiting: Each request with the line of its client. For others to look at.
    """

    def __init__(self) -> None:
        self._lines: dict[Hashable, _Line] = {}  # of clients that have something waiting
        self._order: deque[_Line] = deque()  # those that had something ready, whose turn it is first
        self.waiting: dict[int, _Line] = {}
        self._shape_of: dict[int, Shape] = {}  # of those that are ready
        self._by_shape: dict[Shape, dict[int, float]] = {}  # shape -> id -> when it was ready, the earliest first
        self._left = 0  # lines in the order whose client has nothing any more

    def add(self, request_id: int, client: Client, priority: float) -> None:
        """Let a request wait. The weight is the one that its client named last."""
        line = self._lines.get(client.key)
        if line is None:
            line = self._lines[client.key] = _Line(client.key, client.weight)
        line.weight = client.weight
        line.waiting[request_id] = priority
        self.waiting[request_id] = line

    def ready(self, request_id: int, shape: Shape, now: float = 0.0) -> bool:
        """Allow a waiting request to be served, in batches with others of its shape; False when it does not wait."""
        line = self.waiting.get(request_id)
        if line is None:
            return False
        heapq.heappush(line.ready, (-line.waiting[request_id], request_id))
        self._shape_of[request_id] = shape
        self._by_shape.setdefault(shape, {})[request_id] = now
        if not line.in_turn:
            line.in_turn = True
            line.credit = line.weight
            self._order.append(line)
        return True

    def remove(self, request_id: int) -> bool:
        """Take a request out; False when it did not wait."""
        line = self.waiting.pop(request_id, None)
        if line is None:
            return False
        shape = self._shape_of.pop(request_id, None)
        if shape is not None:
            alike = self._by_shape[shape]
            del alike[request_id]
            if not alike:
                del self._by_shape[shape]
        del line.waiting[request_id]
        if not line.waiting:
            del self._lines[line.key]  # it leaves the order when its turn comes
            self._left += line.in_turn
            # Its turn may never come: all lanes stand still, and thousands of clients come and cancel.
            if self._left > len(self._lines) + MAX_LEFT:
                self._order = deque(line for line in self._order if line.waiting)
                self._left = 0
        return True

    def clear(self) -> tuple[int, ...]:
        """Take all requests out, and return their ids."""
        gone = tuple(self.waiting)
        for table in (self.waiting, self._shape_of, self._by_shape, self._lines, self._order):
            table.clear()
        self._left = 0
        return gone

    def peek(self) -> int | None:
        """Find the request whose turn it is; None when none is ready. Clients without any leave the order."""
        for _ in range(len(self._order)):
            line = self._order[0]
            while line.ready and line.ready[0][1] not in line.waiting:
                heapq.heappop(line.ready)
            if line.ready:
                return line.ready[0][1]
            if line.waiting:  # its requests are not prepared yet: it keeps its place in the order
                self._order.rotate(-1)
            else:
                self._order.popleft().in_turn = False
                self._left -= 1
        return None

    def take(self) -> tuple[int, Shape] | None:
        """Take the request whose turn it is, and its shape; None when none is ready."""
        request_id = self.peek() if self._order else None
        if request_id is None:
            return None
        shape = self._shape_of[request_id]
        line = self._order[0]
        heapq.heappop(line.ready)
        # `credit` counts down from the weight: so many of its requests in a row, then the next client's turn.
        line.credit -= 1
        if line.credit <= 0:
            line.credit = line.weight
            self._order.rotate(-1)
        self.remove(request_id)  # last: it may rebuild the order
        return request_id, shape

    def take_full_batch(self, size: int) -> list[int]:
        """Take a batch of so many requests of one shape; empty where none is ready as a whole."""
        for shape in [shape for shape, alike in self._by_shape.items() if len(alike) >= size]:
            # So many are ready, but some may be less urgent than their client's request of another shape.
            taken = self.take_matching(shape, size, least=size)
            if taken:
                return taken
        return []

    def take_matching(self, shape: Shape, most: int, least: int = 0) -> list[int]:
        """Take up to `most` further requests of this shape, in the order of turns; none where there are not `least`.

        Each client gives as many as its weight before the next one does. Within a client a request of another shape is
        overtaken by those of its own priority, which join a run that begins in any case, and never by lower ones.
        """
        if most <= 0 or shape not in self._by_shape:
            return []
        lines: dict[_Line, list[int]] = {}
        for request_id in self._by_shape[shape]:
            lines.setdefault(self.waiting[request_id], []).append(request_id)
        turns: list[tuple[int, deque[int]]] = []
        for line in [line for line in self._order if line in lines]:
            priority = line.waiting
            others = (priority[one] for one in priority if self._shape_of.get(one, shape) != shape)
            # Its most urgent request of another shape: what is less urgent than that must not run before it.
            floor = max(others, default=-math.inf)
            own = sorted((one for one in lines[line] if priority[one] >= floor), key=lambda one: (-priority[one], one))
            turns.append((line.weight, deque(own)))
        taken: list[int] = []
        while len(taken) < most and any(ids for _, ids in turns):
            for weight, ids in turns:
                taken += [ids.popleft() for _ in range(min(weight, most - len(taken), len(ids)))]
        if len(taken) < least:
            return []
        for request_id in taken:
            self.remove(request_id)
        return taken

    def ready_since(self) -> float:
        """Find the moment when the longest waiting request was ready, infinity for none."""
        # Dictionaries keep the order of insertion, and time never runs backwards: the first of a shape is its oldest.
        return min((next(iter(alike.values())) for alike in self._by_shape.values()), default=math.inf)

    def oldest_of_busiest(self, leaving: Sequence[int] = ()) -> int | None:
        """Find, of the client with the most waiting requests, the oldest one of its lowest priority.

        Among equal clients, the one that has waited longest. leaving: requests that count as gone.
        """
        gone = Counter(line for one in leaving if (line := self.waiting.get(one)) is not None)
        busiest = max(self._lines.values(), key=lambda line: len(line.waiting) - gone[line], default=None)
        if busiest is None or len(busiest.waiting) == gone[busiest]:
            return None
        waiting = busiest.waiting
        return min((one for one in waiting if one not in leaving), key=waiting.__getitem__)

    def of(self, key: Hashable) -> tuple[int, ...]:
        """List the waiting requests of a client in order of admission."""
        line = self._lines.get(key)
        return () if line is None else tuple(line.waiting)
