"""Shares the CPUs of this process among engines that compute at the same time.

```
lane ─▶ take ─▶ draws, runs the network ─▶ give_back ─▶ whoever has had least goes next
          └ waits, until its requests' deadline, while other engines compute and this one has a run under way
```

An engine that is alone is not limited: its lanes are as many as its budget wants. When several are busy, a run starts
where a CPU is free, and what waits goes in the order of the CPU time that its engine has had since both were busy. An
engine that has nothing under way always may have one run, so that no fault of another can keep it from computing.

A lone caller is away for a moment after each image. If the others took its CPU each time, it would share one with them
for most of its next run: so the CPU is kept for it, for GRACE_S, when it was back as soon the last time.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable

from yoloom.sync.clock import Clock, monotonic
from yoloom.sync.fork import after_fork_in_child
from yoloom.system.cpus import available_cpus

GRACE_S = 0.01
"""How long the CPU of a caller that will be back at once is kept for it: about what Python does between two images."""

CREDIT_S = 1.0
"""Most CPU seconds that an engine can be behind another: what it did not use is gone after that."""


class _Waiter:
    """A lane that waits for its turn."""

    __slots__ = ("_signal", "cpus", "granted")

    def __init__(self, cpus: int) -> None:
        self.cpus = cpus
        self.granted = False  # under the gate's lock
        self._signal = threading.Lock()
        self._signal.acquire()

    def grant(self) -> None:
        self.granted = True
        self._signal.release()

    def wait(self, seconds: float) -> bool:
        """Wait for the turn; False when it did not come within `seconds`."""
        return self._signal.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))


class Share:
    """One engine's part of the CPUs, which its lanes take and give back. See `DeviceGate`.

    Thread safety: any number of threads.
    """

    def __init__(self, gate: CpuGate, threads: int) -> None:
        """Start with nothing. threads: the most that it computes with."""
        self.threads = threads
        self._gate = gate
        # Under the gate's lock.
        self.computing = 0  # CPUs that its runs have now
        self.used_s = 0.0  # CPU seconds, comparable among those that are busy at once
        self.waiting: deque[_Waiter] = deque()
        self.has_left = False
        self.left_at = -math.inf
        self.returns_quickly = False  # whether it was back at once the last time

    @property
    def is_absent(self) -> bool:
        """Whether it neither computes nor wants to. Under the gate's lock."""
        return not self.computing and not self.waiting

    @property
    def is_inactive(self) -> bool:
        """Whether it does not come back at once. A glance that takes no lock."""
        return self.is_absent and not self._gate.is_recent(self.left_at)

    def is_contended(self) -> bool:
        """Tell whether several images, each on one CPU of its part, would do more than one image on all of them.

        A glance that takes no lock: it may be outdated a moment later.
        """
        # `busy` is a tuple that is replaced and never changed: without the lock it is that of now, or just before.
        others = [share for share in self._gate.busy if share is not self and not share.is_inactive]
        wanted = self.threads + sum(share.threads for share in others)
        return bool(others) and wanted > self._gate.cpus and self._gate.cpus <= 2 * (len(others) + 1)

    def take(self, cpus: int, seconds: float) -> bool:
        """Wait for the turn of a run on so many CPUs, for `seconds` at most. False when it did not come."""
        gate = self._gate
        with gate.lock:
            if self.has_left:
                return True  # a last run of an engine that has closed already
            # Alone, as nearly always: no clock, no queue, no books. A model by itself pays for a comparison of tuples.
            if gate.busy in ((), (self,)):
                self.computing += cpus
                gate.busy = (self,)
                return True
        return gate.take_in_turn(self, cpus, seconds)

    def give_back(self, cpus: int) -> None:
        """Say that the run which was taken for has ended."""
        gate = self._gate
        with gate.lock:
            if self.has_left:
                return
            if gate.busy != (self,) or self.waiting:
                gate.pass_on(self, cpus)
                return
            self.computing -= cpus
            if not self.computing:  # alone: there is nobody to keep books for
                self.left_at = gate.clock()
                gate.busy = ()

    def leave(self) -> None:
        """Give up everything, since the engine has closed: a run that hangs holds no CPU of others any more."""
        self._gate.leave(self)


class CpuGate:
    """The CPUs of a process, given to runs one by one.

    Thread safety: any number of threads.
    """

    def __init__(self, count_cpus: Callable[[], int] = available_cpus, clock: Clock = monotonic) -> None:
        self._count_cpus = count_cpus
        self.clock = clock
        self.cpus = count_cpus()  # replaced when an engine is opened: a program may have limited itself before
        # Guards all that follows, and what the shares say of it. Held for a few lines; no runtime runs under it.
        self.lock = threading.Lock()
        self._counted_until = 0.0
        self._had_s = 0.0  # CPU seconds that every busy engine has had at least: where a new one begins
        self.busy: tuple[Share, ...] = ()  # those that compute, wait, or are expected; replaced, never changed

    def share(self, threads: int) -> Share:
        """Make a share for one more engine. It counts for nothing until it computes."""
        self.cpus = self._count_cpus()
        return Share(self, threads)

    def is_recent(self, moment: float) -> bool:
        """Tell whether a moment lies less than GRACE_S back."""
        return self.clock() - moment < GRACE_S

    def take_in_turn(self, share: Share, cpus: int, seconds: float) -> bool:
        """Wait for the turn of a run of this share among those of others, see `Share.take`."""
        with self.lock:
            # All is as it is now: since the share's own look, it may have left, or be alone again.
            if share.has_left:
                return True
            now = self._count()
            if share.is_absent:
                share.returns_quickly = now - share.left_at < GRACE_S
            if share not in self.busy:
                # What it did not use while it was idle, or while the others were, is nobody's debt.
                share.used_s = max(share.used_s, self._had_s)
                self.busy = (*self.busy, share)
            waiter = _Waiter(cpus)
            share.waiting.append(waiter)
            self._grant(now)
        try:
            self._wait(waiter, seconds)
        finally:
            # Asked once more under the lock: the turn may come between the last look and here, and would be lost.
            granted = self._settled(share, waiter)
        return granted

    def pass_on(self, share: Share, cpus: int) -> None:
        """Count a run that has just ended, and start what waits for its CPUs. Under the lock."""
        now = self._count()
        share.computing -= cpus
        self._leave(share, now)
        self._grant(now)

    def leave(self, share: Share) -> None:
        """Take back everything that a share has, for good."""
        with self.lock:
            now = self._count()
            share.has_left, share.computing, share.returns_quickly = True, 0, False
            self._leave(share, now)
            self._grant(now)

    def _wait(self, waiter: _Waiter, seconds: float) -> None:
        """Wait for the turn, for `seconds` at most, and look meanwhile whether an expected caller stays away."""
        # In parts of GRACE_S while somebody is expected back: that he stays away is an event which nobody signals.
        left = seconds
        while left > 0:
            with self.lock:
                self._grant(self._count())
                expected = any(share.is_absent or share.returns_quickly for share in self.busy)
                part = min(left, GRACE_S) if expected else left
            if waiter.wait(part):
                return
            left -= part

    def _settled(self, share: Share, waiter: _Waiter) -> bool:
        """Tell whether the turn came, even at the last moment; a waiter that goes without it leaves nothing behind."""
        with self.lock:
            if not waiter.granted:
                now = self._count()
                share.waiting.remove(waiter)
                self._leave(share, now)
                self._grant(now)
            return waiter.granted

    def _count(self) -> float:
        """Count the CPU time of all busy engines up to now, and return now."""
        now = self.clock()
        # CPU seconds = CPUs x seconds, for every run that is under way.
        for share in self.busy:
            share.used_s += share.computing * (now - self._counted_until)
        self._counted_until = now
        # Nobody saves up more than CREDIT_S: an engine that was quiet for an hour must not own all CPUs for the next.
        most = max((share.used_s for share in self.busy), default=0.0)
        for share in self.busy:
            share.used_s = max(share.used_s, most - CREDIT_S)
        self._had_s = max(self._had_s, min((share.used_s for share in self.busy), default=0.0))
        return now

    def _leave(self, share: Share, now: float) -> None:
        if share.is_absent:
            share.left_at = now

    def _grant(self, now: float) -> None:
        if all(share.is_absent for share in self.busy):
            self.busy = ()  # there is nobody whom one of them could find in its place
        self.busy = tuple(
            share
            for share in self.busy
            if not share.is_absent or (share.returns_quickly and now - share.left_at < GRACE_S)  # expected back
        )
        while (share := self._next()) is not None:
            waiter = share.waiting.popleft()
            if not share.has_left:
                share.computing += waiter.cpus
            waiter.grant()

    def _next(self) -> Share | None:
        """Find the engine whose first waiter starts now."""
        waiting = [share for share in self.busy if share.waiting]
        if not waiting:
            return None
        # Those without any run first, so that each engine always gets one; among the others, who has had least.
        first = min(waiting, key=lambda share: (share.computing > 0, share.used_s))
        taken = sum(share.computing for share in self.busy)
        # A CPU for each that is away for a moment and has had no more than this one: it comes before it.
        kept = sum(other.is_absent and other.used_s <= first.used_s for other in self.busy)
        return first if len(self.busy) == 1 or not first.computing or taken + kept < self.cpus else None


_gate = CpuGate()


def cpu_gate() -> CpuGate:
    """Find the gate of this process."""
    return _gate


@after_fork_in_child
def _reset_after_fork() -> None:
    # A thread that is not in the child may have held the lock, or a turn.
    global _gate
    _gate = CpuGate()
