"""When a request passed each station on its way."""

from __future__ import annotations

import math

UNKNOWN = math.nan


class Timeline:
    """Seconds on the engine's clock, NaN for a station that was not reached. Owned by its request.

    ```
    asked ─▶ placed ─▶ prepared ─▶ taken ─▶ ran ─▶ fetched ─▶ finished
      a place   decode     a lane    run    wake-up   heads, NMS
    ```

    batch: how many images the lane took at once.
    """

    __slots__ = ("asked", "batch", "fetched", "finished", "placed", "prepared", "ran", "taken")

    def __init__(self, asked: float) -> None:
        self.asked = asked
        self.placed = self.prepared = self.taken = self.ran = self.fetched = self.finished = UNKNOWN
        self.batch = 0

    @property
    def wait_ms(self) -> float:
        """For a place in the queue and, once it was prepared, for a lane. NaN before it has got one."""
        return (self.taken - self.asked) * 1e3 - self.prepare_ms

    @property
    def prepare_ms(self) -> float:
        """For its image to be decoded, a helper's coming to it included."""
        return (self.prepared - self._began_to_prepare) * 1e3

    @property
    def _began_to_prepare(self) -> float:
        """With its place; a caller that waits for a place in its own thread prepares the image meanwhile."""
        return self.placed if self.placed <= self.prepared else self.asked

    @property
    def execute_ms(self) -> float:
        """In its lane: its letterbox, its run, and a second one where the first has failed."""
        return (self.ran - self.taken) * 1e3

    @property
    def postprocess_ms(self) -> float:
        """For its outputs to become results."""
        return (self.finished - self.fetched) * 1e3

    def stages(self) -> list[tuple[str, float, float]]:
        """The stages that are over: name, start, end."""
        known = (
            ("admit", self.asked, self.placed),
            ("prepare", self._began_to_prepare, self.prepared),
            ("wait", max(self.placed, self.prepared), self.taken),
            ("execute", self.taken, self.ran),
            ("postprocess", self.fetched, self.finished),
        )
        return [stage for stage in known if stage[1] <= stage[2]]  # false for NaN
