"""Who compiles the network for all workers, and who starts from what that one has made: a state machine. Pure.

```
first that starts ── LEADER ──▶ ready, sealed ─────────────▶ all others ── FOLLOWER
                        │ ready, not sealed              │ one could not, or two ended
                        │ two ended                      ▼
                        └──────────────────────────────▶ all others ── SOLO
```
"""

from __future__ import annotations

import enum

LOSSES = 2
"""Workers in a row that may end before they are ready, until each compiles alone: sharing may be what ends them."""


class CompileRole(enum.Enum):
    """How a worker gets its compiled network: compile it for all, take the shared one, or compile for itself."""

    LEADER = "leader"
    FOLLOWER = "follower"
    SOLO = "solo"


class CompileSharing:
    """The compile roles of one engine's workers, which are known by their generations.

    At most one leader compiles at a time, and while it does, all others that start wait for it. None waits for ever:
    when the leader ends, the next one leads, and after LOSSES of those each compiles alone.

    Thread safety: one thread at a time.

    Args:
        is_wanted: Whether a compiled network can be shared at all.
    """

    def __init__(self, is_wanted: bool) -> None:
        self._is_off = not is_wanted
        self._is_sealed = False
        self._leader: int | None = None
        self._starting: set[int] = set()
        self._losses = 0

    def assign(self, generation: int) -> CompileRole | None:
        """Return the role of a worker, once; None when it has one already, or has to wait for the leader."""
        if generation in self._starting:
            return None
        if self._is_off:
            role = CompileRole.SOLO
        elif self._is_sealed:
            role = CompileRole.FOLLOWER
        elif self._leader is None:
            role = CompileRole.LEADER
            self._leader = generation
        else:
            return None
        self._starting.add(generation)
        return role

    def ready(self, generation: int, is_shared: bool) -> bool:
        """Note that a worker is ready, with the shared network or without. Return whether that ended the sharing."""
        self._starting.discard(generation)
        # Losses count in a row: workers that became ready in between speak for sharing.
        self._losses = 0
        self._is_sealed = self._is_sealed or is_shared
        was_off, self._is_off = self._is_off, self._is_off or not is_shared
        return self._is_off and not was_off

    def ended(self, generation: int, is_loss: bool = True) -> None:
        """Note that a worker has ended.

        Args:
            generation: The worker.
            is_loss: Whether it counts against sharing if it has not become ready; not if it was told to go.
        """
        # One that had no role yet, or was ready, says nothing about sharing.
        if generation not in self._starting:
            return
        self._starting.remove(generation)
        self._losses += is_loss
        self._is_off = self._is_off or self._losses >= LOSSES
        # It has not become ready, so the others still wait: the next one leads.
        if generation == self._leader:
            self._leader = None
