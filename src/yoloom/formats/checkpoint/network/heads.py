"""The heads of all tasks: from feature maps to the outputs of the network.

The decoded layouts are those that Ultralytics' own exports have, so that one post-processing serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from yoloom.formats.checkpoint.network.block_registry import apply, chain
from yoloom.formats.checkpoint.network.head_parts import Branch, Extras, Output, predictions
from yoloom.formats.checkpoint.network.ops import V

Head = Callable[[Branch[Any]], "list[Output[Any]]"]


def detect(branch: Branch[V]) -> list[Output[V]]:
    """Boxes and scores."""
    return [predictions(branch, branch.boxes())]


def segment(branch: Branch[V]) -> list[Output[V]]:
    """Coefficients for each anchor, and the prototypes that they mix into its mask."""
    ops, proto, image = branch.ops, branch.head.children["proto"], branch.features[0]
    coefficients = Extras(branch.levels("cv4"), branch.columns("cv4"))
    rows = predictions(branch, branch.boxes(), coefficients)
    if proto.kind == "Proto26":  # all levels, enlarged to the size of the finest one, and summed
        for refine, coarse in zip(proto.children["feat_refine"].children.values(), branch.features[1:], strict=True):
            image = ops.add(image, ops.upsample_to(apply(ops, refine, coarse), image))
        image = apply(ops, proto.children["feat_fuse"], image)
    prototypes = chain(ops, proto, image, "cv1", "upsample", "cv2", "cv3")
    return [rows, Output(prototypes, ("batch", coefficients.columns, "mask_height", "mask_width"))]


def pose(branch: Branch[V]) -> list[Output[V]]:
    """Keypoints in pixels, with the sigmoid of their visibility.

    (value * scale + anchor point - shift) * stride: twice the distance from the top left neighbour of the anchor point,
    and of Pose26 the distance from the anchor point itself.
    """
    ops, is_26 = branch.ops, branch.head.kind == "Pose26"
    name, before = ("cv4_kpts", "cv4") if is_26 else ("cv4", None)
    keypoints, columns = branch.levels(name, before), branch.columns(name)
    count, values = (int(size) for size in branch.head.attributes["kpt_shape"])
    xy, *visible = ops.split(ops.reshape(keypoints, [0, count, values, -1]), [2, 1][: values - 1], axis=2)
    origin = branch.points if is_26 else ops.sub(branch.points, branch.constant(0.5))
    xy = ops.mul(ops.add(ops.mul(xy, branch.constant(1 if is_26 else 2)), origin), branch.strides)
    decoded = ops.concat([xy, *(ops.sigmoid(value) for value in visible)], axis=2)
    return [predictions(branch, branch.boxes(), Extras(ops.reshape(decoded, [0, columns, -1]), columns))]


def obb(branch: Branch[V]) -> list[Output[V]]:
    """Boxes turned about their anchor point, as centre and size in both branches; angles in radians."""
    ops, angle = branch.ops, branch.levels("cv4")
    if branch.head.kind == "OBB":  # -45 to 135 degrees: angle = (sigmoid(x) - 1/4) * pi
        angle = ops.mul(ops.sub(ops.sigmoid(angle), branch.constant(0.25)), branch.constant(np.pi))
    left_top, right_bottom = branch.distances()
    # The sides lie along the turned axes, so the way from the anchor point to the centre is turned with them:
    # x' = x cos - y sin, y' = x sin + y cos, where (x, y) = (right_bottom - left_top) / 2.
    x, y = ops.split(ops.mul(ops.sub(right_bottom, left_top), branch.constant(0.5)), [1, 1], axis=1)
    sin, cos = ops.sin(angle), ops.cos(angle)
    turned = [ops.sub(ops.mul(x, cos), ops.mul(y, sin)), ops.add(ops.mul(x, sin), ops.mul(y, cos))]
    centre = ops.add(ops.concat(turned, axis=1), branch.points)
    boxes = ops.concat([centre, ops.add(left_top, right_bottom)], axis=1)
    return [predictions(branch, ops.mul(boxes, branch.strides), Extras(angle, 1))]


def classify(branch: Branch[V]) -> list[Output[V]]:
    """The probability of each class, for the whole image."""
    ops, module = branch.ops, branch.head
    image = apply(ops, module.children["conv"], ops.concat(branch.features, axis=1))
    pixel = apply(ops, module.children["pool"], image)
    logits = chain(ops, module, ops.reshape(pixel, [0, -1]), "drop", "linear")
    classes = module.children["linear"].parameters["weight"].shape[0]
    return [Output(ops.softmax(ops.full_precision(logits), axis=1), ("batch", classes))]


HEADS: dict[str, Head] = {
    "Detect": detect,
    "v10Detect": detect,
    "Segment": segment,
    "Segment26": segment,
    "Pose": pose,
    "Pose26": pose,
    "OBB": obb,
    "OBB26": obb,
    "Classify": classify,
}
"""The class of a head → the function that computes its outputs."""
