"""The size of a tree when everything that it uses more than once is counted each time, and the limits of it.

A pickle of a few hundred bytes can stand for more than any memory holds: a list that has another list twice, which has
a third one twice, and so on ("billion laughs"). Built once each, such lists are small; whoever walks them never ends.
"""

from __future__ import annotations

from typing import NamedTuple

from yoloom.errors import InvalidModel

# Guesses with room: yolov9t has 36 000 nodes and is 13 deep.
MAX_NODES = 100_000
MAX_DEPTH = 40
_ENDLESS = "its pickle nests or repeats values without end."


class TreeSize(NamedTuple):
    """The size of a part of a tree: its values, the bytes of its texts and tensors, and the levels below its top."""

    nodes: int
    bytes: int
    height: int


LEAF = TreeSize(1, 0, 0)


class SizeLimits:
    """Counts a tree while it is built, and stops it when it becomes too large or too deep.

    `enter` and `leave` frame the building of each part, as brackets do; `add` counts what needs no frame.

    Thread safety: one thread at a time.
    """

    def __init__(self, max_bytes: int) -> None:
        self._nodes = 0
        self._bytes = 0
        self._max_bytes = max_bytes
        self._open: set[int] = set()  # the parts between their `enter` and `leave`: each is inside the one before it
        self._deepest = 0  # the lowest level that the innermost open part has reached, counted from the top

    def enter(self, key: int, count: int) -> TreeSize:
        """Begin a part of the tree, below the parts that are open.

        Args:
            key: what tells the part apart from all others.
            count: how many values lie directly in it; they are counted one by one when they are added.

        Returns:
            The counts so far, for `leave`.

        Raises:
            InvalidModel: the part is open already, so it contains itself; or the tree becomes too large.
        """
        if key in self._open:
            raise InvalidModel("values in its pickle contain themselves.")
        if count > MAX_NODES - self._nodes:  # known before any of them is built
            raise InvalidModel(_ENDLESS)
        before = TreeSize(self._nodes, self._bytes, self._deepest)
        self._open.add(key)
        self._deepest = 0
        self.add(LEAF)
        return before

    def leave(self, key: int, before: TreeSize) -> TreeSize:
        """End the part that `enter` began, and return its size."""
        self._open.remove(key)
        # `_deepest` counts from the top of the whole tree: less the open parts above, it is the height of this one.
        height = max(self._deepest - len(self._open), 0)
        self._deepest = max(self._deepest, before.height)
        return TreeSize(self._nodes - before.nodes, self._bytes - before.bytes, height)

    def add(self, size: TreeSize) -> None:
        """Count a leaf, or a part that was built before and is used again.

        Raises:
            InvalidModel: the tree becomes too large or too deep.
        """
        self._nodes += size.nodes
        self._bytes += size.bytes
        self._deepest = max(self._deepest, len(self._open) + size.height)
        if self._nodes > MAX_NODES or self._bytes > self._max_bytes or self._deepest > MAX_DEPTH:
            raise InvalidModel(_ENDLESS)
