"""Tells answers that come late from a machine that is slow.

```
caller  ──[ request        ]─[own work]─[pause]──[ request ]──    own work and pauses: longer than they should be?
watcher ──tick──tick──tick──tick──tick──tick──tick──tick──────    a tick that comes late?
```

A machine under load, the interpreter's lock and a process that stands still keep everybody: the callers between their
requests, and the thread that watches them, as much as those that wait for an answer. A request is late when it took far
longer than others of its crowd, than a queue of all callers explains, and than anything else was kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LATE_FLOOR_S = 0.25
TIMES_USUAL = 20
TIMES_STALL = 4

LEAST_LATE = 3
"""Answers that must come late: one alone may be chance."""


class Pace:
    """How long one caller was kept, by its target and by anything else. Thread safety: owned by that caller.

    Attributes:
        fastest_s: by case, the seconds of its fastest request.
        waits: case and seconds of each request that took very long.
        stall_s: the longest time by which it was kept outside of requests.
    """

    def __init__(self) -> None:
        self.fastest_s: dict[int, float] = {}
        self.waits: list[tuple[int, float]] = []
        self.stall_s = 0.0

    def waited(self, case: int, seconds: float) -> None:
        """Note a request."""
        self.fastest_s[case] = min(seconds, self.fastest_s.get(case, seconds))
        if seconds >= LATE_FLOOR_S:
            self.waits.append((case, seconds))

    @contextlib.contextmanager
    def own(self, due_s: float = 0.0) -> Iterator[None]:
        """Note how much longer than `due_s` something takes that is not the target's."""
        started = time.perf_counter()
        yield
        self.stall_s = max(self.stall_s, time.perf_counter() - started - due_s)


@dataclass(frozen=True)
class Late:
    """An answer that came late. Immutable: shared freely.

    Attributes:
        where: crowd and caller.
        asked: the case.
        seconds: that it took.
        limit_s: that it may have taken.
    """

    where: str
    asked: str
    seconds: float
    limit_s: float


def late_limit_s(usual_s: float, alone_s: float, callers: int, stalls_s: Sequence[float]) -> float:
    """Return the seconds beyond which an answer is late.

    Args:
        usual_s: median of the crowd.
        alone_s: of the slowest case when nobody else asks.
        callers: at once, which a lock may serve in any order.
        stalls_s: by which anything else was kept meanwhile.
    """
    queue_s = TIMES_USUAL * max(usual_s, callers * alone_s)
    return max(LATE_FLOOR_S, queue_s, TIMES_STALL * max(stalls_s, default=0.0))
