"""The parts of the detection heads of all tasks: levels, anchor points, distances, scores, and the choice of the best.

```
features ─▶ cv2 ─▶ distances ─┐
         ─▶ cv3 ─▶ scores ────┼─▶ (B, 4 + classes + extras, A)                          one-to-many: NMS comes later
         ─▶ cv4 ─▶ extras ────┘   (B, N, 4 + score + class + extras), the N best rows    one-to-one: no NMS
```
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np

from yoloom.formats.checkpoint.network.block_registry import apply
from yoloom.formats.checkpoint.network.blocks_conv import channels_out
from yoloom.formats.checkpoint.network.ops import Ops, V
from yoloom.formats.checkpoint.pickled.tree import Module

ONE_TO_ONE = "one2one_"
MOST_DETECTIONS = 300


@dataclass(frozen=True)
class Branch(Generic[V]):
    """One of the two branches of a head, with the operations and features to compute it with.

    Thread safety: one thread at a time.

    Attributes:
        ops: the operations.
        head: the head's module.
        features: the feature map of each level, (B, C, H, W).
        prefix: the start of the names of the branch's children: ONE_TO_ONE, or "" for one-to-many.
    """

    ops: Ops[V]
    head: Module
    features: Sequence[V]
    prefix: str

    def stages(self, name: str) -> list[Module]:
        """Find the modules of the child `name`, one for each level."""
        return list(self.head.children[self.prefix + name].children.values())

    def columns(self, name: str) -> int:
        """Count the channels of `levels(name)`: those of its last convolution."""
        last = self.stages(name)[0]
        while "weight" not in last.parameters and "conv" not in last.children:
            last = list(last.children.values())[-1]
        return channels_out(last)

    def levels(self, name: str, before: str | None = None) -> V:
        """Compute the child `name` (fed by the child `before`) on every level, as (B, channels, A)."""
        inputs = self.features
        if before is not None:
            inputs = [apply(self.ops, stage, x) for stage, x in zip(self.stages(before), inputs, strict=True)]
        maps = [apply(self.ops, stage, x) for stage, x in zip(self.stages(name), inputs, strict=True)]
        rows = self.ops.concat([self.ops.reshape(x, [0, self.columns(name), -1]) for x in maps], axis=2)
        return self.ops.full_precision(rows)

    @cached_property
    def points(self) -> V:
        """The anchor points in pixels of their level: (2, A)."""
        return self.ops.anchor_points(self.features)

    @cached_property
    def strides(self) -> V:
        """The stride of each anchor point: (1, A)."""
        strides = [float(stride) for stride in self.head.attributes["stride"].numpy()]
        return self.ops.anchor_strides(self.features, strides)

    def constant(self, value: float) -> V:
        """Make a value of one number."""
        return self.ops.constant(np.array(value, np.float32))

    def distances(self) -> list[V]:
        """Compute the distances from the anchor point to the sides of the box, in pixels of the level.

        Returns:
            Those to left and top, and those to right and bottom: both (B, 2, A).
        """
        ops, columns = self.ops, self.columns("cv2")
        sides = self.levels("cv2")
        if columns > 4:
            # Each side is a distribution over the distances 0, 1, ..., n - 1, and its mean sum(i * softmax(logits)[i])
            # is the distance: Li et al., "Generalized Focal Loss" (2020), section 3.
            bins = np.arange(columns // 4, dtype=np.float32)[None]
            weights = ops.softmax(ops.reshape(sides, [0, 4, columns // 4, -1]), axis=2)
            sides = ops.reshape(ops.matmul(ops.constant(bins), weights), [0, 4, -1])
        return ops.split(sides, [2, 2], axis=1)

    def boxes(self) -> V:
        """Compute the boxes in pixels, (B, 4, A): centre and size for NMS, corners from the branch that needs none."""
        ops = self.ops
        left_top, right_bottom = self.distances()
        first, second = ops.sub(self.points, left_top), ops.add(self.points, right_bottom)
        if self.prefix != ONE_TO_ONE:
            centre = ops.mul(ops.add(first, second), self.constant(0.5))
            first, second = centre, ops.sub(second, first)
        return ops.mul(ops.concat([first, second], axis=1), self.strides)


@dataclass(frozen=True)
class Extras(Generic[V]):
    """The values of a task for each anchor besides its box and scores: (B, columns, A)."""

    value: V
    columns: int


@dataclass(frozen=True)
class Output(Generic[V]):
    """An output of the network; `dims` names the axes that depend on the input."""

    value: V
    dims: tuple[int | str, ...]


def predictions(branch: Branch[V], boxes: V, extras: Extras[V] | None = None) -> Output[V]:
    """Make the output that every detection head has, in the layout of its branch."""
    ops, scores, classes = branch.ops, branch.ops.sigmoid(branch.levels("cv3")), branch.columns("cv3")
    width, values = (0, []) if extras is None else (extras.columns, [extras.value])
    if branch.prefix != ONE_TO_ONE:
        return Output(ops.concat([boxes, scores, *values], axis=1), ("batch", 4 + classes + width, "anchors"))
    # The N best: first the best anchors, then the best pairs of one of these and a class.
    count_of_classes = ops.constant(np.array(classes, np.int64))
    count = ops.size(scores, axis=2, most=MOST_DETECTIONS)
    _, anchors = ops.top(ops.reshape(ops.max_of_axis(scores, axis=1), [0, -1]), count)
    boxes, scores, *values = (ops.rows(ops.transpose(rows, [0, 2, 1]), anchors) for rows in (boxes, scores, *values))
    score, pair = ops.top(ops.reshape(scores, [0, -1]), count)
    # The pairs are numbered row by row, as they lie in (N, classes): number = row * classes + class.
    row, class_id = ops.div(pair, count_of_classes), ops.to_float(ops.mod(pair, count_of_classes))
    columns = [ops.reshape(value, [0, -1, 1]) for value in (score, class_id)]
    best = [ops.rows(boxes, row), *columns, *(ops.rows(value, row) for value in values)]
    return Output(ops.concat(best, axis=2), ("batch", "detections", 6 + width))
