"""What a tree weighs when everything that it uses more than once is counted each time."""

from __future__ import annotations

from typing import NamedTuple

from yoloom.errors import InvalidModel

# Guesses with room: yolov9t has 36 000 nodes and is 13 deep.
MAX_NODES = 100_000
MAX_DEPTH = 40


class Weight(NamedTuple):
    """Of one part of a tree. height: levels below it."""

    nodes: int
    bytes: int
    height: int


ONE = Weight(1, 0, 0)


class SizeLimits:
    """Counts a tree while it grows, and stops it: a few shared values can stand for more than any memory holds.

    One thread.
    """

    def __init__(self, max_bytes: int) -> None:
        self._nodes = 0
        self._bytes = 0
        self._max_bytes = max_bytes
        self._growing: set[int] = set()
        self._deepest = 0

    def enter(self, key: int, size: int) -> Weight:
        """A part with `size` others in it begins to grow below those that do. Returns what `leave` wants to know."""
        if key in self._growing:
            raise InvalidModel("values in its pickle contain themselves.")
        if size > MAX_NODES - self._nodes:
            raise self._endless()
        before = Weight(self._nodes, self._bytes, self._deepest)
        self._growing.add(key)
        self._deepest = 0
        self.add(ONE)
        return before

    def leave(self, key: int, before: Weight) -> Weight:
        """It has grown. Returns its weight."""
        self._growing.remove(key)
        height = max(self._deepest - len(self._growing), 0)
        self._deepest = max(self._deepest, before.height)
        return Weight(self._nodes - before.nodes, self._bytes - before.bytes, height)

    def add(self, weight: Weight) -> None:
        """Raises InvalidModel when the tree becomes too large or too deep."""
        self._nodes += weight.nodes
        self._bytes += weight.bytes
        self._deepest = max(self._deepest, len(self._growing) + weight.height)
        if self._nodes > MAX_NODES or self._bytes > self._max_bytes or self._deepest > MAX_DEPTH:
            raise self._endless()

    def _endless(self) -> InvalidModel:
        return InvalidModel("its pickle nests or repeats values without end.")
