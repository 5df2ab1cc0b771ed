"""Members and classes of Ultralytics that yoloom does not have: one error each, with the way round."""

from __future__ import annotations

from collections.abc import Mapping

from yoloom.errors import UnsupportedFeature

_WEIGHTS = "the weights of an open model never change: open another file, YOLO(path), or model.swap(path)"
_TRAINING = "train with Ultralytics, and open its best.pt here"
MEMBERS: Mapping[str, str] = {
    "train": _TRAINING,
    "trainer": _TRAINING,
    "metrics": "validate with Ultralytics; docs/parity.md says how close results are",
    "val": "validate with Ultralytics; docs/parity.md says how close results are",
    "tune": "tune the training with Ultralytics; `yoloom tune` measures the fastest plan of this machine",
    "benchmark": "`yoloom bench` measures images/s and latency on this machine",
    "embed": "take embeddings with Ultralytics: here a network gives its detections only",
    "track": (
        "keep a tracker for each camera, and give it the results: supervision's ByteTrack, "
        "tracker.update_with_detections(Detections.from_ultralytics(result))"
    ),
    "load": _WEIGHTS,
    "reset_weights": _WEIGHTS,
    "state_dict": _WEIGHTS,
    "parameters": _WEIGHTS,
    "ckpt": _WEIGHTS,
    "save": "copy the file, or write another format with export()",
    "task_map": "the task is `model.task`",
    "transforms": "pictures are prepared by `predict`",
}
"""Members of `YOLO`, and what to do instead."""


def missing_member(owner: str, name: str) -> AttributeError:
    """Make the error for a member that does not exist."""
    if name in MEMBERS:
        return UnsupportedFeature(f"{owner}.{name} is not available in yoloom: {MEMBERS[name]}.")
    return AttributeError(f"{owner} has no attribute {name!r}.")


class Elsewhere:
    """A class that can be imported, since programs import it beside YOLO, and that can not be used."""

    way_round = "run it with Ultralytics"

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Raise UnsupportedFeature, whatever the arguments are."""
        raise UnsupportedFeature(f"{type(self).__name__} is not available in yoloom: {self.way_round}.")


class RTDETR(Elsewhere):
    """Stands for RT-DETR."""


class NAS(Elsewhere):
    """Stands for YOLO-NAS."""


class SAM(Elsewhere):
    """Stands for Segment Anything, which segments by prompts."""

    way_round = "run it with Ultralytics; YOLO('yolo11n-seg.pt') segments what it was trained for"


class FastSAM(SAM):
    """Stands for FastSAM, which segments by prompts."""


class YOLOWorld(Elsewhere):
    """Stands for YOLO-World, which finds what a text names."""

    way_round = "run it with Ultralytics, or export it there with fixed classes"


class YOLOE(YOLOWorld):
    """Stands for YOLOE, which finds what a prompt names."""
