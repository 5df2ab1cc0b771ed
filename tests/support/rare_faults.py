"""Faulty targets for `yoloom.verify` that a check of warm models, whole pictures and boxes alone passes.

One class for each, in groups: the first calls, sizes, members of results, order, what is swallowed, and answers that
come late. Each has the verdict that it must get. `SOUND` are those that look like them and are not faulty.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np

from broken_models import Sound, anchors_of, boxes_of, runtime
from yoloom.verify import Verdict


class Busy(Sound):
    """Knows whether callers meet in it."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = 0

    @contextlib.contextmanager
    def meeting(self) -> Iterator[bool]:
        """Stay for a moment, and tell whether another caller was there too."""
        with self._lock:
            self._inside += 1
            met = self._inside > 1
        try:
            runtime()
            yield met or self._inside > 1
        finally:
            with self._lock:
                self._inside -= 1


# ---- First calls


class AnchorsWhileTheyAreMade(Sound):
    """The anchors are made by the first call; another one that comes meanwhile takes zeros."""

    verdict = Verdict.TORN

    def __init__(self) -> None:
        super().__init__()
        self._scale: np.ndarray | None = None

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if self._scale is None:
            self._scale = np.zeros(1, np.float32)
            runtime()
            self._scale[0] = 1
        return boxes_of(image, conf, iou, anchors_of(image.shape) * self._scale)


class SizesWhileTheyAreMade(Sound):
    """The same, for each size that comes for the first time: the baseline has asked for all sizes that it knows."""

    verdict = Verdict.TORN

    def __init__(self) -> None:
        super().__init__()
        self._anchors: dict[tuple[int, ...], np.ndarray] = {}

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        anchors = self._anchors.get(image.shape)
        if anchors is None:
            anchors = self._anchors[image.shape] = np.zeros_like(anchors_of(image.shape))
            runtime()
            anchors[:] = anchors_of(image.shape)
        return boxes_of(image, conf, iou, anchors)


class NormalizedTwice(Sound):
    """The first call scales the weights in place; two first calls scale them twice, for good."""

    verdict = Verdict.TORN

    def __init__(self) -> None:
        super().__init__()
        self._weights = np.full(1, 1.7, np.float32)
        self._is_ready = False

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if not self._is_ready:
            runtime()
            self._weights /= np.float32(1.7)
            self._is_ready = True
        return boxes_of(image, conf, iou * float(self._weights[0]))


class OptionsOfTheFirstCall(Sound):
    """While it warms up, options are kept on the model."""

    verdict = Verdict.CROSS_TALK

    def __init__(self) -> None:
        super().__init__()
        self._is_warm = False

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if not self._is_warm:
            self._asked = conf, iou
            runtime()
            conf, iou = self._asked
            self._is_warm = True
        return boxes_of(image, conf, iou)


class RaisesWhileItLoads(Sound):
    """Half a model is no model."""

    verdict = Verdict.EXCEPTIONS

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if not self._parts:
            self._parts.append("backbone")
            runtime()
            self._parts.append("head")
        if "head" not in self._parts:
            raise AttributeError("head")
        return boxes_of(image, conf, iou)


# ---- Sizes


class OddWidths(Busy):
    """A picture whose width is odd is copied into one buffer for all."""

    verdict = Verdict.CROSS_TALK

    def _is_special(self, image: np.ndarray) -> bool:
        return image.shape[1] % 2 == 1

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if self._is_special(image):
            self._buffer = image
            runtime()
            image = self._buffer
        return boxes_of(image, conf, iou)


class WidthsThatNeedPadding(OddWidths):
    """The same, for widths that are no multiple of four."""

    def _is_special(self, image: np.ndarray) -> bool:
        return image.shape[1] % 4 != 0


class SizesThatAreNoneOfACamera(OddWidths):
    """The same, for pictures that are not 4 : 3, 16 : 9 or square."""

    def _is_special(self, image: np.ndarray) -> bool:
        height, width = sorted(image.shape[:2])
        return height * 4 != width * 3 and height * 16 != width * 9 and height != width


class ChangesOfSize(Sound):
    """The anchors of the last size are kept, and are not those of a size that another caller brings meanwhile."""

    verdict = Verdict.TORN

    def __init__(self) -> None:
        super().__init__()
        self._width, self._anchors = 0, np.zeros((0, 2), np.float32)

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if image.shape[1] % 2 and self._width != image.shape[:2]:
            self._width, self._anchors = image.shape[:2], anchors_of(image.shape)
            runtime()
            return boxes_of(image, conf, iou, self._anchors)
        return boxes_of(image, conf, iou)


# ---- Members


class Members(Busy):
    """Sound: results as Ultralytics' and ours, in small."""

    verdict = Verdict.CROSS_TALK

    def results(self, image: np.ndarray, boxes: np.ndarray, **others: Any) -> Any:
        shape, names = image.shape[:2], {0: "thing", 1: "other thing"}
        masks = SimpleNamespace(data=(boxes[:, :4] > 20).astype(np.uint8))
        members = {"orig_img": image, "orig_shape": shape, "names": names, "masks": masks, **others}
        return SimpleNamespace(boxes=SimpleNamespace(data=boxes), probs=None, keypoints=None, obb=None, **members)

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        runtime()
        return self.results(image, boxes_of(image, conf, iou))


class PictureOfAnother(Members):
    """`orig_img` is the picture that came last."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        self._last = image
        runtime()
        return self.results(image, boxes_of(image, conf, iou), orig_img=self._last)


class ShapeOfAnother(Members):
    """So is its size."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        self._last = image.shape[:2]
        runtime()
        return self.results(image, boxes_of(image, conf, iou), orig_shape=self._last)


class MasksOfAnother(Members):
    """The boxes are right, and the masks are those of the last call."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        boxes = boxes_of(image, conf, iou)
        self._last = SimpleNamespace(data=boxes[:, :4] * 2)
        runtime()
        return self.results(image, boxes, masks=self._last)


class PictureOfNobody(Members):
    """`orig_img` is a buffer that is being filled."""

    verdict = Verdict.TORN

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            picture = np.zeros_like(image) if met else image
        return self.results(image, boxes_of(image, conf, iou), orig_img=picture)


# ---- Order


class RowsInAnotherOrder(Busy):
    """Rows are sorted by whoever is there."""

    verdict = Verdict.REORDERED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        return boxes[::-1].copy() if met else boxes


class MembersInAnotherOrder(Members):
    """The masks come in another order than the boxes that they belong to."""

    verdict = Verdict.REORDERED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        masks = SimpleNamespace(data=np.roll(boxes, 1, axis=0) if met else boxes)
        return self.results(image, boxes, masks=masks)


class BatchOfOneInAnotherOrder(Busy):
    """(1, N, 6) as runtimes give it, with a permutation inside."""

    verdict = Verdict.REORDERED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        return [np.roll(boxes, 2, axis=0)[None] if met else boxes[None]]


class Streams(Busy):
    """Sound: streams of several pictures."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        return boxes_of(image, conf, iou)

    def map(self, images: list[np.ndarray], conf: float, iou: float) -> Iterator[Any]:
        with self.meeting() as met:
            answers = [boxes_of(image, conf, iou) for image in images]
        return iter(self.told(answers, met))

    def told(self, answers: list[Any], met: bool) -> list[Any]:
        return answers


class StreamsInAnotherOrder(Streams):
    """The answers of a stream come as they are ready."""

    verdict = Verdict.REORDERED

    def told(self, answers: list[Any], met: bool) -> list[Any]:
        return answers[::-1] if met else answers


# ---- What is swallowed


class EmptyWhenBusy(Busy):
    """An error inside is taken for a picture without anything in it."""

    verdict = Verdict.SWALLOWED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        return boxes[:0] if met else boxes


class NoneWhenBusy(Busy):
    """The same, with None."""

    verdict = Verdict.SWALLOWED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        return None if met else boxes


class RowsAreLost(Busy):
    """Two rows are overwritten by somebody else's count."""

    verdict = Verdict.SWALLOWED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        return boxes[1:3] if met else boxes


class EmptyResultsWhenBusy(Members):
    """Results with the right picture, and no boxes: another case finds nothing either."""

    verdict = Verdict.SWALLOWED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        return self.results(image, boxes[:0] if met or (conf, iou) == (0.5, 0.9) else boxes)


class StreamsLoseTheLast(Streams):
    """The end of a stream comes before its last answer."""

    verdict = Verdict.SWALLOWED

    def told(self, answers: list[Any], met: bool) -> list[Any]:
        return answers[:-1] if met else answers


class ErrorsAreSwallowed(Busy):
    """A picture that must be refused is answered when others are there."""

    verdict = Verdict.SWALLOWED

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            if conf == 0.5 and not met:
                raise ValueError("not this confidence")
            return boxes_of(image, conf, iou)


# ---- Late


LATE_S = 0.6
wait_s = time.sleep
"""What late targets do for LATE_S: a test may let the time pass for the caller alone, and wait for nothing."""


class OneInAHundredIsLate(Sound):
    """A retry with a pause, which nobody is told of."""

    verdict = Verdict.LATE

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if self.next_call() % 100 == 99:
            wait_s(LATE_S)
        return boxes_of(image, conf, iou)


class WakesUpByItsTimeout(Sound):
    """A notification is lost now and then, and a timeout hides it."""

    verdict = Verdict.LATE

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        ready = threading.Event()
        if self.next_call() % 100 != 99:
            ready.set()
        if not ready.is_set():
            wait_s(LATE_S)
        return boxes_of(image, conf, iou)


class LateFutures(Sound):
    """A result that is ready waits for the next flush."""

    verdict = Verdict.LATE

    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(8, thread_name_prefix="rare-faults")

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        return boxes_of(image, conf, iou)

    def submit(self, image: np.ndarray, conf: float, iou: float) -> Any:
        future = self.pool.submit(self, image, conf, iou)
        if self.next_call() % 20 == 19:
            result = future.result
            future.result = lambda: (wait_s(LATE_S), result())[1]  # type: ignore[method-assign, assignment]
        return future


class LateWhenBusy(Busy):
    """Whoever meets another caller backs off, now and then for long."""

    verdict = Verdict.LATE

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self.meeting() as met:
            boxes = boxes_of(image, conf, iou)
        if met and self.next_call() % 20 == 19:
            wait_s(LATE_S)
        return boxes


# ---- Sound


class OneAtATime(Sound):
    """A lock around a network that takes its time: callers wait for each other, and not in order."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._lock:
            time.sleep(0.004)
            return boxes_of(image, conf, iou)


class PreparesEachSize(Sound):
    """A runtime that compiles for each size, once, while others wait."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes: set[tuple[int, ...]] = set()

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._lock:
            if image.shape not in self._sizes:
                time.sleep(0.05)
                self._sizes.add(image.shape)
        return boxes_of(image, conf, iou)


class WaitsForTheRuntime(Sound):
    """Two at once, each some milliseconds, as a pool of infer requests."""

    def __init__(self) -> None:
        super().__init__()
        self._places = threading.Semaphore(2)

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._places:
            time.sleep(0.003)
            return boxes_of(image, conf, iou)


FIRST_CALLS = (
    AnchorsWhileTheyAreMade, SizesWhileTheyAreMade, NormalizedTwice, OptionsOfTheFirstCall, RaisesWhileItLoads,
)  # fmt: skip
SIZES = (OddWidths, WidthsThatNeedPadding, SizesThatAreNoneOfACamera, ChangesOfSize)
MEMBERS = (PictureOfAnother, ShapeOfAnother, MasksOfAnother, PictureOfNobody)
ORDER = (RowsInAnotherOrder, MembersInAnotherOrder, BatchOfOneInAnotherOrder, StreamsInAnotherOrder)
SWALLOWED = (
    EmptyWhenBusy, NoneWhenBusy, RowsAreLost, EmptyResultsWhenBusy, StreamsLoseTheLast, ErrorsAreSwallowed,
)  # fmt: skip
LATE = (OneInAHundredIsLate, WakesUpByItsTimeout, LateFutures, LateWhenBusy)
FAULTY = tuple(itertools.chain(FIRST_CALLS, SIZES, MEMBERS, ORDER, SWALLOWED, LATE))
SOUND = (Members, Streams, OneAtATime, PreparesEachSize, WaitsForTheRuntime)
