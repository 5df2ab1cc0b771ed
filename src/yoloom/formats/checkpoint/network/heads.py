"""The heads of all tasks: from feature maps to the outputs of the network.

The decoded layouts are those that Ultralytics' own exports have, so that one post-processing serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from yoloom.formats.checkpoint.network.block_registry import apply, chain, unknown_block
from yoloom.formats.checkpoint.network.head_parts import Branch, Extras, Output, predictions
from yoloom.formats.checkpoint.network.ops import V
from yoloom.formats.checkpoint.pickled.tree import Module

Head = Callable[[Branch[Any]], "list[Output[Any]]"]


def head_of(module: Module) -> Head:
    """Find the function that computes the outputs of a head.

    Raises:
        UnsupportedModel: its class has none.
    """
    if module.kind not in _HEADS:
        raise unknown_block(module)
    return _HEADS[module.kind]


def detect(branch: Branch[V]) -> list[Output[V]]:
    """Boxes and scores."""
    return [predictions(branch, branch.boxes())]


def segment(branch: Branch[V]) -> list[Output[V]]:
    """Coefficients for each anchor, and the prototypes that they mix into its mask."""
    coefficients = Extras(branch.levels("cv4"), branch.columns("cv4"))
    dims = ("batch", coefficients.columns, "mask_height", "mask_width")
    return [predictions(branch, branch.boxes(), coefficients), Output(_prototypes(branch), dims)]


def pose(branch: Branch[V]) -> list[Output[V]]:
    """Keypoints as twice their distance from the top left neighbour of the anchor point."""
    return _pose(branch, branch.levels("cv4"), branch.columns("cv4"), scale=2, shift=0.5)


def pose26(branch: Branch[V]) -> list[Output[V]]:
    """Keypoints as their distance from the anchor point."""
    keypoints = branch.levels("cv4_kpts", before="cv4")
    return _pose(branch, keypoints, branch.columns("cv4_kpts"), scale=1, shift=0)


def obb(branch: Branch[V]) -> list[Output[V]]:
    """Rotated boxes, with angles from -45 to 135 degrees."""
    ops = branch.ops
    # angle = (sigmoid(x) - 1/4) * pi, in radians
    turns = ops.sub(ops.sigmoid(branch.levels("cv4")), branch.constant(0.25))
    return _rotated(branch, ops.mul(turns, branch.constant(np.pi)))


def obb26(branch: Branch[V]) -> list[Output[V]]:
    """Rotated boxes, with angles in radians as the network gives them."""
    return _rotated(branch, branch.levels("cv4"))


def classify(branch: Branch[V]) -> list[Output[V]]:
    """The probability of each class, for the whole image."""
    ops, module = branch.ops, branch.head
    image = apply(ops, module.children["conv"], ops.concat(branch.features, axis=1))
    pixel = apply(ops, module.children["pool"], image)
    logits = chain(ops, module, ops.reshape(pixel, [0, -1]), "drop", "linear")
    classes = module.children["linear"].parameters["weight"].shape[0]
    return [Output(ops.softmax(ops.full_precision(logits), axis=1), ("batch", classes))]


_HEADS: dict[str, Head] = {
    "Detect": detect,
    "v10Detect": detect,
    "Segment": segment,
    "Segment26": segment,
    "Pose": pose,
    "Pose26": pose26,
    "OBB": obb,
    "OBB26": obb26,
    "Classify": classify,
}


def _prototypes(branch: Branch[V]) -> V:
    ops, proto = branch.ops, branch.head.children["proto"]
    image = branch.features[0]
    if proto.kind == "Proto26":  # all levels, enlarged to the size of the finest one, and summed
        for refine, coarse in zip(proto.children["feat_refine"].children.values(), branch.features[1:], strict=True):
            image = ops.add(image, ops.upsample_to(apply(ops, refine, coarse), image))
        image = apply(ops, proto.children["feat_fuse"], image)
    return chain(ops, proto, image, "cv1", "upsample", "cv2", "cv3")


def _pose(branch: Branch[V], keypoints: V, columns: int, scale: float, shift: float) -> list[Output[V]]:
    """Keypoints in pixels: (value * scale + anchor point - shift) * stride, and the sigmoid of their visibility."""
    ops = branch.ops
    count, values = (int(size) for size in branch.head.attributes["kpt_shape"])
    xy, *visible = ops.split(ops.reshape(keypoints, [0, count, values, -1]), [2, 1][: values - 1], axis=2)
    origin = ops.sub(branch.points, branch.constant(shift)) if shift else branch.points
    xy = ops.mul(ops.add(ops.mul(xy, branch.constant(scale)), origin), branch.strides)
    decoded = ops.concat([xy, *(ops.sigmoid(value) for value in visible)], axis=2)
    return [predictions(branch, branch.boxes(), Extras(ops.reshape(decoded, [0, columns, -1]), columns))]


def _rotated(branch: Branch[V], angle: V) -> list[Output[V]]:
    """Boxes turned about their anchor point, as centre and size in both branches."""
    ops = branch.ops
    left_top, right_bottom = branch.distances()
    # The sides lie along the turned axes, so the way from the anchor point to the centre is turned with them:
    # x' = x cos - y sin, y' = x sin + y cos, where (x, y) = (right_bottom - left_top) / 2.
    x, y = ops.split(ops.mul(ops.sub(right_bottom, left_top), branch.constant(0.5)), [1, 1], axis=1)
    sin, cos = ops.sin(angle), ops.cos(angle)
    turned = [ops.sub(ops.mul(x, cos), ops.mul(y, sin)), ops.add(ops.mul(x, sin), ops.mul(y, cos))]
    centre = ops.add(ops.concat(turned, axis=1), branch.points)
    boxes = ops.concat([centre, ops.add(left_top, right_bottom)], axis=1)
    return [predictions(branch, ops.mul(boxes, branch.strides), Extras(angle, 1))]
