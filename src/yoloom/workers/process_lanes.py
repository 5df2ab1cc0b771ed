"""Lanes that are worker processes. The queue, deadlines, turns and counts are those of every engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from yoloom.engine.engine import Engine
from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.engine.lanes.lane_threads import LaneThreads
from yoloom.engine.scheduler import Scheduler
from yoloom.engine.scheduling.policy import LaneOffer, Policy
from yoloom.engine.scheduling.queue_policy import QUEUE_SIZE
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.options import PredictOptions
from yoloom.runtime.protocol import LATENCY, Guarantee, Precision
from yoloom.sources.frame import FrameId
from yoloom.sync.clock import Clock, TimeLimit, monotonic
from yoloom.workers.recipe import Recipe
from yoloom.workers.remote_job import RemoteImageJob
from yoloom.workers.settings import Workers
from yoloom.workers.supervisor import Supervisor, share_of
from yoloom.workers.worker_lane import WorkerLane

SPLIT_TOLERANCE = 1e-3
"""A guess: a hundred times the change of a raw output that was seen (2.7e-5) with another number of threads."""


class ProcessLanes:
    """Worker processes, one for each lane. See `Lanes`.

    Thread safety: any number of threads, after `start`.

    Attributes:
        window: Images under way that keep all workers busy, and a few that are read ahead.
        settings: Number of workers there are now, and the patience of their parent.
    """

    serves_many = True  # several callers have several workers

    def __init__(self, recipe: Recipe, workers: Workers, threads: int, scheduler: Scheduler, clock: Clock) -> None:
        """Store.

        Args:
            recipe: How a worker comes to the model.
            workers: Number of processes, and the patience of their parent.
            threads: CPU budget, of which each worker gets its share.
            scheduler: Gives the lanes work.
            clock: Clock of deadlines.
        """
        self.window = 2 * threads + 2
        self._threads = threads
        self._scheduler = scheduler
        self._lane_threads = LaneThreads(scheduler, clock)
        self._supervisor = Supervisor(recipe, workers, threads, self._use_lanes)
        # Guards what follows. Held around calls of the scheduler, and never taken by it: this lock comes first.
        self._lock = threading.Lock()
        self.settings = workers
        self._slots: list[WorkerLane] = []
        self._usable: frozenset[int] = frozenset()
        self._shown = 0  # lanes in the statistics
        self._ready: Mapping[str, Any] = {}  # from the first worker, when it was ready

    @property
    def precision(self) -> Precision:
        """Number format of the first worker."""
        if not self._ready:
            raise LookupError("no worker was ready yet")
        return Precision(self._ready["precision"])

    def new_job(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
        frame: FrameId | None = None,
    ) -> RemoteImageJob:
        """Make the job for one image. Raises UnknownClass."""
        return RemoteImageJob(model, options, path, max_pixels, save_dir, frame)

    def start(self) -> None:
        """Start all workers. Raises what keeps one from being ready."""
        self._ready = self._supervisor.start().notes
        self._set_lanes(self.settings.count, self.settings.count)

    def prepare_for_many(self) -> None:
        """There is one profile."""

    def expect_many(self) -> None:
        """There is one profile."""

    def resize(self, count: int) -> None:
        """Have `count` workers, without refusing a request. Raises what keeps a new one from being ready."""
        # Lanes before workers: a worker that becomes ready is reported at once, and its lane must be there. Lanes stay
        # when workers become fewer; without a worker they are not used.
        self._set_lanes(count)
        self._supervisor.resize(count)
        self.settings = replace(self.settings, count=count)
        self._set_lanes(count, count)

    def guarantee(self) -> Guarantee:
        """Say what the first worker said of its bits, for the share of the threads that each worker has now."""
        if not self._ready:
            raise LookupError("no worker was ready yet")
        guarantee = Guarantee(**self._ready["guarantee"])
        share = share_of(self._threads, self.settings.count)
        if not self._ready["splits_sums"] or share == self._threads:
            return guarantee
        return replace(
            guarantee,
            bit_identical=False,
            tolerance=SPLIT_TOLERANCE,
            because=f"how sums are split depends on the number of threads, and each worker has {share} of "
            f"{self._threads}: results have the bits of a model with threads={share}, and others after a resize",
        )

    def workers(self) -> tuple[WorkerStatistics, ...]:
        """Describe each worker."""
        return self._supervisor.statistics()

    def threads(self) -> list[threading.Thread]:
        """List the lanes' threads."""
        supervisor = self._supervisor.thread
        return [*self._lane_threads.threads(), *([supervisor] if supervisor.is_alive() else [])]

    def interrupt(self) -> None:
        """Let no lane wait for a worker."""
        self._supervisor.interrupt()

    def join(self, limit: TimeLimit) -> list[str]:
        """Wait until the lanes have ended. Returns the names of threads that hang."""
        return self._lane_threads.join(limit)

    def close(self) -> None:
        """End all workers, and wait for that."""
        self._supervisor.close()

    def _set_lanes(self, count: int, shown: int | None = None) -> None:
        """Have at least `count` lanes and their threads, with workers or not.

        Args:
            count: Lanes.
            shown: How many of them stand in the statistics; None for as many as before.
        """
        with self._lock:
            is_first = not self._slots
            self._slots += [
                WorkerLane(self._supervisor.current_worker(number)) for number in range(len(self._slots), count)
            ]
            self._lane_threads.set_slots(LATENCY, list(self._slots))
            if is_first:
                self._scheduler.add_profile(LATENCY, LaneOffer(0))
            self._lane_threads.start(count)
            self._shown = self._shown if shown is None else shown
            self._scheduler.use_lanes(LATENCY, self._usable, self._shown)

    def _use_lanes(self, lanes: frozenset[int]) -> frozenset[int]:
        """Send requests to these lanes from now on. Returns those that have one now. In the supervisor's thread."""
        # One moment under the scheduler's lock: the lanes that may get requests from now on, and those that have one.
        # A lane in neither set has none and gets none, so that its worker can go.
        with self._lock:
            self._usable = lanes
            return self._scheduler.use_lanes(LATENCY, lanes, self._shown) if self._slots else frozenset()


def worker_engine(
    model: Model,
    recipe: Recipe,
    workers: Workers,
    threads: int,
    capacity: int = QUEUE_SIZE,
    clock: Clock = monotonic,
    max_bytes: float = float("inf"),
) -> Engine:
    """Make an engine whose lanes are worker processes.

    Args:
        model: The network.
        recipe: How a worker comes to it.
        workers: Number of processes, and the patience of their parent.
        threads: CPU budget, of which each worker gets its share.
        capacity: Requests that may wait.
        clock: Clock of deadlines.
        max_bytes: Bytes of pictures that may wait, run, or be on their way to their callers.
    """
    return Engine(
        model,
        threads,
        lambda scheduler: ProcessLanes(recipe, workers, threads, scheduler, clock),
        Policy(capacity, {}, max_bytes=max_bytes),
        clock,
    )
