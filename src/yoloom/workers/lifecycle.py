"""When a worker is started, ended and replaced: a state machine that gets the time as an argument. Pure.

```
          started            ready
 NEW ────▶ STARTING ────────▶ READY
             │ silent, or too long │ silent, or too long on one image
             ├────▶ DYING ◀────────┤
             │ died   │ died       │ died
             └─────▶ EXITED ◀──────┘
                      │ ▲ the budget allows a restart, now or later
                      ▼ │
                    BACKOFF                from anywhere: LEAVING, watched as before until it has ended
```
"""

from __future__ import annotations

import enum
import math
from collections import deque
from dataclasses import dataclass

START_LIMIT_S = 300.0
"""A worker that is not ready after this time is taken for stuck: the largest networks compile within a minute."""

START_SILENCE = 4
"""A worker that starts may be silent this many times as long: loading libraries lets no other thread run."""


LEAVE_S = 2.0
"""A dismissed worker that has nothing to do, and is still there after this time, is killed."""


GIVE_UP_S = 5.0
"""A dismissed worker that was killed, and is still there after this time, is stuck in the kernel and is given up."""


class Phase(enum.Enum):
    """The phase of a worker's life. The values are those that `WorkerStatistics.state` shows."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    DYING = "dying"
    EXITED = "gone"
    BACKOFF = "spent"
    LEAVING = "leaving"
    ENDED = "ended"


@dataclass(frozen=True)
class Start:
    """Start a process; then call `started`."""


@dataclass(frozen=True)
class Kill:
    """End the process; call `died` when it has ended. For the state machine it is dying from now on."""

    why: str


@dataclass(frozen=True)
class Wait:
    """Do nothing before `until`, or before something is reported."""

    until: float = math.inf


class Budget:
    """A limit for restarts within a time, shared by all workers of an engine.

    Thread safety: one thread at a time.

    Args:
        restarts: How many restarts there may be.
        within_s: The length of the time, in seconds, that they are counted in.
    """

    def __init__(self, restarts: int, within_s: float) -> None:
        self.restarts = restarts
        self.within_s = within_s
        self._taken: deque[float] = deque()

    def take(self, now: float) -> float:
        """Return when the next restart is allowed, infinity for never. If that is now, it counts from here on."""
        while self._taken and self._taken[0] + self.within_s <= now:
            self._taken.popleft()
        if len(self._taken) < self.restarts:
            self._taken.append(now)
            return now
        return self._taken[0] + self.within_s if self._taken else math.inf


class WorkerLifecycle:
    """The worker of one lane, over its generations. No thread, no clock, no process.

    Thread safety: one thread at a time.

    Args:
        budget: The restarts that it shares with the other workers.
        silence_s: Seconds without a sign of life after which it is killed.
        run_limit_s: Seconds on one image after which it is killed.
    """

    def __init__(self, budget: Budget, silence_s: float, run_limit_s: float) -> None:
        self.phase = Phase.NEW
        self.restarts = 0
        self.budget = budget
        self._silence_s = silence_s
        self._run_limit_s = run_limit_s
        self._started_at = 0.0
        self._beats = 0
        self._last_sign = 0.0
        self._busy_since = math.inf
        self._idle_since = math.inf
        self._killed_at = 0.0
        self._is_unwanted = False

    def started(self, now: float) -> None:
        """Note that a process was started."""
        # The sign of life of a start is the start itself: importing libraries takes longer than the first beat.
        self.restarts += self.phase is not Phase.NEW
        self.phase = Phase.STARTING
        self._started_at = self._last_sign = now
        self._beats = 0

    def ready(self, now: float) -> None:
        """Note that the process is ready."""
        # In any other phase it was killed or dismissed a moment before it reported that, and its end is on its way.
        if self.phase is Phase.STARTING:
            self.phase = Phase.READY
            self._last_sign = now

    def seen(self, beats: int, busy_since: float, now: float) -> None:
        """Note how the process looks from outside.

        Args:
            beats: How many signs of life it has given.
            busy_since: Since when it has its present image; infinity when it has none.
            now: The time.
        """
        if beats != self._beats:
            self._beats, self._last_sign = beats, now
        # Busy or silent is judged by this parent's clock alone; clocks of two processes are never compared.
        self._idle_since = math.inf if busy_since < math.inf else min(self._idle_since, now)
        self._busy_since = busy_since

    def died(self) -> None:
        """Note that the process has ended."""
        self.phase = Phase.ENDED if self._is_unwanted else Phase.EXITED

    def leave(self, now: float) -> None:
        """Dismiss the worker: it ends when it has nothing to do, and nothing takes its place."""
        self._is_unwanted = True
        self._idle_since = now if self._busy_since == math.inf else math.inf
        # One that is DYING goes back to LEAVING: should the first kill have come to nothing, there is a second one.
        has_process = self.phase in (Phase.STARTING, Phase.READY, Phase.DYING)
        self.phase = Phase.LEAVING if has_process else Phase.ENDED

    def next_step(self, now: float) -> Start | Kill | Wait:
        """Decide what is to be done now; a kill is decided once only."""
        if self.phase is Phase.NEW:
            return Start()
        if self.phase in (Phase.EXITED, Phase.BACKOFF):
            # The first start is free; each further one is taken from the budget that all workers share. So a model that
            # kills every worker costs a few processes a minute, and not one after the other for ever.
            allowed_at = self.budget.take(now)
            if allowed_at <= now:
                return Start()
            self.phase = Phase.BACKOFF
            return Wait(allowed_at)
        if self.phase in (Phase.STARTING, Phase.READY, Phase.LEAVING):
            until, why = min(self._limits())
            if now < until:
                return Wait(until)
            # DYING, not EXITED: the next one starts when this one has ended, so that memory need not hold both.
            self.phase, self._killed_at = Phase.DYING, now
            return Kill(why)
        if self.phase is Phase.DYING and self._is_unwanted:
            # Nobody may wait for ever for a process that does not even end when it is killed.
            if now < self._killed_at + GIVE_UP_S:
                return Wait(self._killed_at + GIVE_UP_S)
            self.phase = Phase.ENDED
        return Wait()

    def _limits(self) -> list[tuple[float, str]]:
        """Return until when the worker may go on as it does, and what is wrong with it then."""
        if self.phase is Phase.STARTING:
            silence_s = self._silence_s * START_SILENCE
            return [
                (self._last_sign + silence_s, f"no sign of life for {silence_s:g} s"),
                (self._started_at + START_LIMIT_S, f"not ready after {START_LIMIT_S:g} s"),
            ]
        limits = [
            (self._last_sign + self._silence_s, f"no sign of life for {self._silence_s:g} s"),
            (self._busy_since + self._run_limit_s, f"more than {self._run_limit_s:g} s on one image"),
        ]
        # While it is busy, `_idle_since` is infinite: it may finish its image, within the limits above.
        if self.phase is Phase.LEAVING:
            limits.append((self._idle_since + LEAVE_S, "it was dismissed and did not end"))
        return limits
