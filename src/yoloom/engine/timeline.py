"""When a request passed each station on its way."""

from __future__ import annotations

import math

UNKNOWN = math.nan


class Timeline:
    """Seconds on the engine's clock, NaN for a station that was not reached.

    Thread safety: owned by its request.

    ```
    asked ─▶ admitted ─▶ prepared ─▶ taken ─▶ ran ─▶ fetched ─▶ finished
      a place   decode     a lane    run    wake-up   heads, NMS
    ```

    batch: how many images the lane took at once.
    """

    __slots__ = ("admitted", "asked", "batch", "fetched", "finished", "prepared", "ran", "taken")

    def __init__(self, asked: float) -> None:
        self.asked = asked
        self.admitted = self.prepared = self.taken = self.ran = self.fetched = self.finished = UNKNOWN
        self.batch = 0

    @property
    def wait_ms(self) -> float:
        """Time for a place in the queue and, once it was prepared, for a lane. NaN before it has got one."""
        return (self.taken - self.asked) * 1e3 - self.prepare_ms

    @property
    def prepare_ms(self) -> float:
        """Time for its image to be decoded, with the wait for a helper."""
        return (self.prepared - self._began_to_prepare) * 1e3

    @property
    def _began_to_prepare(self) -> float:
        """With its place; a caller that waits for a place in its own thread prepares the image meanwhile."""
        return self.admitted if self.admitted <= self.prepared else self.asked

    @property
    def execute_ms(self) -> float:
        """Time in its lane: letterbox, run, and a second run where the first has failed."""
        return (self.ran - self.taken) * 1e3

    @property
    def postprocess_ms(self) -> float:
        """Time for its outputs to become results."""
        return (self.finished - self.fetched) * 1e3

    def stages(self) -> list[tuple[str, float, float]]:
        """List the stages that are over: name, start, end."""
        known = (
            ("admit", self.asked, self.admitted),
            ("prepare", self._began_to_prepare, self.prepared),
            ("wait", max(self.admitted, self.prepared), self.taken),
            ("execute", self.taken, self.ran),
            ("postprocess", self.fetched, self.finished),
        )
        return [stage for stage in known if stage[1] <= stage[2]]  # false for NaN
