"""Who compiles the network for all, and who starts from what that one has made: a state machine. Pure.

```
first that starts ── GIVE ──▶ ready, given ──────────────▶ all others ── TAKE
                       │ ready, not given               │ one could not, or two ended
                       │ two ended                      ▼
                       └──────────────────────────────▶ all others ── ALONE
```
"""

from __future__ import annotations

import enum

LOSSES = 2
"""So many workers in a row may end before they are ready, until each compiles alone: it may be the handing over."""


class CompileRole(enum.Enum):
    """What a worker does that starts: compile for all, take what was given, or compile for itself."""

    LEADER = "give"
    FOLLOWER = "take"
    SOLO = "alone"


class CompileSharing:
    """Of one engine. Workers are known by their generations. One thread at a time."""

    def __init__(self, is_wanted: bool) -> None:
        """is_wanted: whether anything can be handed over."""
        self._is_off = not is_wanted
        self._is_given = False
        self._giver: int | None = None
        self._starting: set[int] = set()
        self._losses = 0

    def part(self, generation: int) -> CompileRole | None:
        """What this worker is to do, once; None when it was told, or has to wait for the one that gives."""
        part = None if generation in self._starting else self._part()
        if part is not None:
            self._starting.add(generation)
        if part is CompileRole.LEADER:
            self._giver = generation
        return part

    def _part(self) -> CompileRole | None:
        if self._is_off:
            return CompileRole.SOLO
        if self._is_given:
            return CompileRole.FOLLOWER
        return CompileRole.LEADER if self._giver is None else None

    def ready(self, generation: int, is_shared: bool) -> bool:
        """It is ready, and has or has not what is handed over. Returns whether all compile alone because of that."""
        self._starting.discard(generation)
        self._losses = 0
        self._is_given = self._is_given or is_shared
        was_off, self._is_off = self._is_off, self._is_off or not is_shared
        return self._is_off and not was_off

    def ended(self, generation: int, is_loss: bool = True) -> None:
        """It has ended; one that has never become ready is a loss, unless it was told to go."""
        if generation not in self._starting:
            return
        self._starting.remove(generation)
        self._losses += is_loss
        self._is_off = self._is_off or self._losses >= LOSSES
        if generation == self._giver:
            self._giver = None
