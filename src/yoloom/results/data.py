"""The data of one picture's results: the members, and what every task can be asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yoloom.errors import InputError
from yoloom.images.header import LazyImage, read_only
from yoloom.results.boxes import OBB, Boxes
from yoloom.results.keypoints import Keypoints
from yoloom.results.masks import Masks
from yoloom.results.probs import Probs
from yoloom.results.rows import ResultRows, TorchLike
from yoloom.sources.frame import FrameId
from yoloom.values import FrozenDict

NOT_TIMED = FrozenDict[str, float | None](preprocess=None, inference=None, postprocess=None)

# For type checkers, a member has its own type: its user knows the task. (typeshed has the same word for this.)
MaybeNone: TypeAlias = Any

T = TypeVar("T", bound=ResultRows)


class ResultsData(TorchLike):
    """Base of `Results`, with its arguments: what summaries, plots and writers read.

    Thread safety: any number of threads.
    """

    __slots__ = (
        "_picture",
        "boxes",
        "frame",
        "keypoints",
        "masks",
        "names",
        "obb",
        "path",
        "probs",
        "save_dir",
        "speed",
    )

    INSTEAD = (
        ": write results = results[results.boxes.conf > 0.6] to choose detections, results = results.replace(boxes=...)"
        " for other members, and picture = results.orig_img.copy() to draw"
    )

    _keys = ("boxes", "masks", "probs", "keypoints", "obb", "semantic_mask", "depth")  # Ultralytics' list of members
    semantic_mask = None  # of tasks that are not here
    depth = None

    _picture: NDArray[np.uint8] | LazyImage
    path: str
    names: FrozenDict[int, str]
    boxes: Boxes | MaybeNone
    masks: Masks | MaybeNone
    probs: Probs | MaybeNone
    keypoints: Keypoints | MaybeNone
    obb: OBB | MaybeNone
    speed: FrozenDict[str, float | None]
    save_dir: str | None
    frame: FrameId | None

    def __init__(
        self,
        orig_img: NDArray[np.uint8] | LazyImage,
        path: str | os.PathLike[str],
        names: Mapping[int, str],
        boxes: ArrayLike | Boxes | None = None,
        masks: ArrayLike | Masks | None = None,
        probs: ArrayLike | Probs | None = None,
        keypoints: ArrayLike | Keypoints | None = None,
        obb: ArrayLike | OBB | None = None,
        *,
        speed: Mapping[str, float | None] = NOT_TIMED,
        save_dir: str | os.PathLike[str] | None = None,
        frame: FrameId | None = None,
    ) -> None:
        picture = orig_img if isinstance(orig_img, LazyImage) else read_only(orig_img)
        height, width = picture.shape_hw if isinstance(picture, LazyImage) else picture.shape[:2]
        shape_hw = (height, width)
        self._store(
            _picture=picture,
            path=os.fspath(path),
            names=names if isinstance(names, FrozenDict) else FrozenDict(names),
            boxes=None if boxes is None else _member(Boxes, boxes, shape_hw),
            masks=None if masks is None else _member(Masks, masks, shape_hw),
            probs=None if probs is None else _member(Probs, probs, shape_hw),
            keypoints=None if keypoints is None else _member(Keypoints, keypoints, shape_hw),
            obb=None if obb is None else _member(OBB, obb, shape_hw),
            speed=speed if isinstance(speed, FrozenDict) else FrozenDict(speed),
            save_dir=None if save_dir is None else os.fspath(save_dir),
            frame=frame,
        )
        members = self._per_detection()
        if len(members) > 1 and len({len(member) for member in members.values()}) > 1:
            counts = ", ".join(f"{name} of {len(member)}" for name, member in members.items())
            raise InputError(
                f"expected the same number of detections in each member, got {counts}; replace them together"
            )

    def _per_detection(self) -> dict[str, ResultRows]:
        """Return the members with a row for each detection."""
        members = {"boxes": self.boxes, "masks": self.masks, "keypoints": self.keypoints, "obb": self.obb}
        return {name: member for name, member in members.items() if member is not None}

    @property
    def orig_img(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 BGR, read-only. With worker processes, a file's picture is decoded here at its first use."""
        return self._picture.image() if isinstance(self._picture, LazyImage) else self._picture

    @property
    def orig_shape(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        if isinstance(self._picture, LazyImage):
            return self._picture.shape_hw
        height, width = self._picture.shape[:2]
        return height, width

    @property
    def detections(self) -> Boxes | OBB | None:
        """The oriented boxes or the boxes: place, confidence and class. None where the task has neither."""
        boxes: Boxes | OBB | None = self.boxes if self.obb is None else self.obb
        return boxes

    @property
    def classes(self) -> list[int]:
        """The class number of each detection; for classify, of the five most probable classes, best first."""
        boxes = self.detections
        if boxes is None:
            return [] if self.probs is None else self.probs.top5
        classes: list[int] = np.asarray(boxes.cls).astype(int).tolist()
        return classes

    @property
    def class_names(self) -> list[str]:
        """The names of `classes`."""
        return [self.class_name(cls) for cls in self.classes]

    @property
    def confidences(self) -> list[float]:
        """The confidences of `classes`, 0 to 1."""
        boxes = self.detections
        if boxes is None:
            return [] if self.probs is None else self.probs.top5conf.tolist()
        return boxes.conf.tolist()  # type: ignore[no-any-return]

    def class_name(self, cls: int) -> str:
        """Return the name of a class, or "class7" where it has none."""
        return self.names.get(cls, f"class{cls}")

    def __len__(self) -> int:
        members = (self.boxes, self.masks, self.probs, self.keypoints, self.obb)
        return next((len(member) for member in members if member is not None), 0)


def named(results: ResultsData) -> Iterator[tuple[str, float]]:
    """Return class name and confidence of each row of the summary."""
    return zip(results.class_names, results.confidences, strict=True)


def _member(kind: type[T], values: ArrayLike | ResultRows, shape_hw: tuple[int, int]) -> T:
    """Make a member, or return the one given where it is a member of a picture of the same size."""
    if isinstance(values, kind) and values.orig_shape == shape_hw:
        return values
    return kind(values.data if isinstance(values, kind) else values, shape_hw)  # type: ignore[arg-type]
