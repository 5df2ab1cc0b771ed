"""Small models for `yoloom.verify`: a sound one, and one for each way of sharing badly.

They are cheap, so that faults show soon. Each is a callable predict(image, conf, iou) that answers with boxes (N, 6),
which depend on the picture and on every option.
"""

from __future__ import annotations

import itertools
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

CELL = 32  # pixels for one anchor


def anchors_of(shape: tuple[int, ...]) -> np.ndarray:
    """(N, 2) centres of the cells of an image."""
    ys, xs = np.mgrid[0 : shape[0] : CELL, 0 : shape[1] : CELL]
    return np.stack([xs, ys], axis=-1).reshape(-1, 2).astype(np.float32)


def boxes_of(image: np.ndarray, conf: float, iou: float, anchors: np.ndarray | None = None) -> np.ndarray:
    """What the sound model finds."""
    centres = anchors_of(image.shape) if anchors is None else anchors
    random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(image[::CELL, ::CELL]).tobytes()))
    sizes = random.uniform(8, 64, (4, 2)).astype(np.float32) * iou
    places = centres[random.integers(0, len(centres), 4)]
    scores = random.uniform(conf, 1, (4, 2)).astype(np.float32)
    return np.concatenate([places, places + sizes, scores], axis=1)


class Sound:
    """Nothing is shared but a counter, which is locked."""

    options = {"conf": [0.1, 0.25, 0.5], "iou": [0.3, 0.6, 0.9]}  # noqa: RUF012

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        return boxes_of(image, conf, iou)

    def next_call(self) -> int:
        with self._lock:
            self._calls += 1
            return self._calls


class SharedOptions(Sound):
    """Options are stored on the model, and read when the network has run."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        self.asked = conf, iou
        runtime()
        return boxes_of(image, *self.asked)


class SharedPicture(Sound):
    """The input is stored on the model: a shared input buffer."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        self.image = image
        runtime()
        return boxes_of(self.image, conf, iou)


class SharedBuffer(Sound):
    """All answers are views of one buffer, which the next call fills."""

    def __init__(self) -> None:
        super().__init__()
        self._output = np.zeros((4, 6), np.float32)

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._lock:
            self._output[:] = boxes_of(image, conf, iou)
            return self._output


class TornCache(Sound):
    """Anchors are cached for the last shape; shape and anchors are set one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._shape: tuple[int, ...] = ()
        self._anchors = np.zeros((0, 2), np.float32)

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if self._shape != image.shape:
            self._shape = image.shape
            runtime()
            self._anchors = anchors_of(image.shape)
        anchors = self._anchors if len(self._anchors) else anchors_of(image.shape)
        return boxes_of(image, conf, iou, anchors)


class SwappedOnceInAWhile(Sound):
    """Once in 500 calls, two callers that meet get each other's answers."""

    def __init__(self, every: int = 500) -> None:
        super().__init__()
        self._every = every
        self._meeting = threading.Condition()
        self._offered: list[list[Any]] = []

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        mine = boxes_of(image, conf, iou)
        with self._meeting:
            if self._offered:
                slot = self._offered.pop()
                slot[0], mine = mine, slot[0]
                self._meeting.notify_all()
            elif self.next_call() % self._every == 0:
                slot = [mine]
                self._offered.append(slot)
                self._meeting.wait(0.05)
                if slot in self._offered:
                    self._offered.remove(slot)
                mine = slot[0]
        return mine


class RaisesOnceInAWhile(Sound):
    """One call in 1,000 fails."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if self.next_call() % 1000 == 0:
            raise RuntimeError("infer request is busy")
        return boxes_of(image, conf, iou)


class Leaks(Sound):
    """Every call leaves something behind: bytes, an object, a thread or an open file."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what
        self._kept: list[Any] = []
        self._release = threading.Event()

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        if self._what == "bytes":
            self._kept.append(np.ones(200_000, np.uint8))  # seen also in a process of a gigabyte
        elif self._what == "objects":
            self._kept.append({"conf": conf, "when": time.perf_counter()})
        elif self.next_call() % 64 == 0:
            self._kept.append(self._left_behind())
        return boxes_of(image, conf, iou)

    def _left_behind(self) -> Any:
        if self._what == "files":
            return Path(__file__).open("rb")
        thread = threading.Thread(target=self._release.wait, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self._release.set()
        for thing in self._kept:
            if self._what == "files":
                thing.close()


class FillsACache(Sound):
    """Sound: keeps something of the first calls, and no more."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self._entries = entries
        self.cache: list[np.ndarray] = []

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._lock:
            if len(self.cache) < self._entries:
                self.cache.append(np.ones(40_000, np.uint8))
        return boxes_of(image, conf, iou)


class Deadlocks(Sound):
    """Two locks, taken in one order or the other as the options go."""

    def __init__(self) -> None:
        super().__init__()
        self._pair = threading.Lock(), threading.Lock()

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        first, second = self._pair if conf > 0.2 else reversed(self._pair)
        with first:
            runtime()
            with second:
                return boxes_of(image, conf, iou)


class WritesToItsInput(Sound):
    """Draws on the picture that it was given."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        found = boxes_of(image, conf, iou)
        image[1, 1] = 0  # no pixel that it looks at
        return found


class Sticky(Sound):
    """What a call asked for is the next one's default."""

    options = {"conf": [None, 0.1, 0.5]}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._conf = 0.25

    def __call__(self, image: np.ndarray, conf: float | None) -> Any:
        self._conf = conf or self._conf
        return boxes_of(image, self._conf, 0.5)


class Noisy(Sound):
    """Its sums differ in the last bits, from call to call."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self._noise = noise

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        return boxes_of(image, conf, iou) * np.float32(1 + self._noise * (self.next_call() % 3))


class SharedOptionsAndNoise(Noisy):
    """Cross-talk that no two answers with the same bits would show."""

    def __call__(self, image: np.ndarray, conf: float, iou: float) -> Any:
        self.asked = conf, iou
        runtime()
        return super().__call__(image, *self.asked)


class Futures(Sound):
    """A sound model with futures, as a `YOLO` has, which ends cancelled requests as it should."""

    def __init__(self) -> None:
        super().__init__()
        from concurrent.futures import ThreadPoolExecutor

        self.pool = ThreadPoolExecutor(2, thread_name_prefix="broken-models")

    def submit(self, image: np.ndarray, conf: float, iou: float) -> Any:
        return self.pool.submit(self, image, conf, iou)

    async def predict_async(self, image: np.ndarray, conf: float, iou: float) -> Any:
        import asyncio

        return await asyncio.wrap_future(self.submit(image, conf, iou))


class AnswersTheNext(Futures):
    """After a cancellation, the next future gets the cancelled request's answer: a stale one."""

    def __init__(self) -> None:
        super().__init__()
        self._stale: list[tuple[Any, ...]] = []

    def submit(self, image: np.ndarray, conf: float, iou: float) -> Any:
        with self._lock:
            asked = self._stale.pop() if self._stale else (image, conf, iou)
        future = self.pool.submit(self._slowly, *asked)
        cancel = future.cancel

        def cancel_and_keep() -> bool:
            cancelled = cancel()
            if cancelled:
                with self._lock:
                    self._stale.append(asked)
            return cancelled

        future.cancel = cancel_and_keep  # type: ignore[method-assign]
        return future

    def _slowly(self, image: np.ndarray, conf: float, iou: float) -> Any:
        runtime()
        return boxes_of(image, conf, iou)


class HangsInLoop(Sound):
    """A coroutine that waits for what never comes, once in 40 calls."""

    async def predict_async(self, image: np.ndarray, conf: float, iou: float) -> Any:
        import asyncio

        await asyncio.sleep(0)
        if self.next_call() % 40 == 0:
            await asyncio.get_running_loop().create_future()
        return boxes_of(image, conf, iou)


def runtime() -> None:
    """What a runtime does: lets other threads run, for a moment."""
    for _ in itertools.repeat(None, 3):
        time.sleep(0)
