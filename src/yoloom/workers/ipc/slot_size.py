"""How large a worker's slot should be, from the images that went through it. Pure."""

from __future__ import annotations

SMALLEST = 2**20
"""Bytes of a slot that has seen nothing large."""

STEP = 2**16
"""Slots are multiples of it, so that images of nearly one size do not resize them."""

MEMORY = 64
"""Images after which a slot shrinks, when none of them needed half of it."""


class SlotSize:
    """The size of one slot in bytes. One thread at a time."""

    def __init__(self) -> None:
        self.size = SMALLEST
        self._seen = 0
        self._largest = 0

    def fit(self, needed: int) -> int:
        """The size that the slot should have for an image of `needed` bytes: it grows at once, and shrinks late."""
        rounded = max(-(-needed // STEP) * STEP, SMALLEST)
        self._seen += 1
        self._largest = max(self._largest, rounded)
        if rounded > self.size:
            self._become(rounded)
        elif self._seen >= MEMORY:
            self._become(self._largest if self._largest * 2 <= self.size else self.size)
        return self.size

    def _become(self, size: int) -> None:
        self.size = size
        self._seen = self._largest = 0
