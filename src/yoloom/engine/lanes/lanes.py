"""Lanes as the engine sees them: threads with contexts of this process, or worker processes."""

from __future__ import annotations

import os
import threading
from typing import Protocol

from yoloom.engine.image_job import ImageJob
from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.options import PredictOptions
from yoloom.runtime.protocol import Guarantee, Precision
from yoloom.sources.frame import FrameId
from yoloom.sync.clock import TimeLimit


class Lanes(Protocol):
    """Everything that runs the network of one engine.

    Thread safety: any number of threads, after `start`.
    """

    @property
    def precision(self) -> Precision:
        """Number format of the computation."""

    @property
    def window(self) -> int:
        """Images that a single consumer should have under way to keep all lanes busy."""

    @property
    def serves_many(self) -> bool:
        """Whether there are lanes for many callers, or will be in a moment."""

    def new_job(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
        frame: FrameId | None = None,
    ) -> ImageJob:
        """Make the job for one image that these lanes run. Raises UnknownClass. See `LocalImageJob`."""

    def start(self) -> None:
        """Make everything that a lone caller needs, and run the network once. Raises what the runtime raises."""

    def prepare_for_many(self) -> None:
        """Begin to make lanes for many callers, beside the traffic. Never blocks; idempotent."""

    def expect_many(self) -> None:
        """Make lanes for many callers now, and wait for them."""

    def guarantee(self) -> Guarantee:
        """Say what holds for the bits of results."""

    def workers(self) -> tuple[WorkerStatistics, ...]:
        """Describe the worker processes; empty without any."""

    def threads(self) -> list[threading.Thread]:
        """List the threads that belong to the lanes, without a lock."""

    def interrupt(self) -> None:
        """The scheduler has stopped: let no lane wait for anything but a run."""

    def join(self, limit: TimeLimit) -> list[str]:
        """Wait until all lanes have ended. Returns the names of threads that hang."""

    def close(self) -> None:
        """Free what is left, after `join`."""
