"""An engine whose lanes are worker processes. Queue, deadlines, turns and counts are the engine's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from yoloom.engine.engine import Engine
from yoloom.engine.insight.statistics import Statistics
from yoloom.engine.scheduling.policy import Lanes
from yoloom.engine.scheduling.queue_policy import QUEUE_SIZE
from yoloom.errors import UnknownDevice
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Compiled, Form, Guarantee, Precision, Setup
from yoloom.sync.clock import Clock, monotonic
from yoloom.workers.recipe import Recipe
from yoloom.workers.remote_prediction import RemotePrediction
from yoloom.workers.settings import Workers
from yoloom.workers.supervisor import Supervisor, share_of
from yoloom.workers.worker_lane import WorkerLane

SPLIT_TOLERANCE = 1e-3
"""A guess: a hundred times what a raw output was seen to change by (2.7e-5) with another number of threads."""


class RemoteBackend:
    """A stand-in for the runtime that the workers use, which this process never loads.

    Thread safety: any number of threads.

    Args:
        name: The backend's name.
        threads: The CPU budget of all workers together.
    """

    def __init__(self, name: str, threads: int) -> None:
        self.name = name
        self._threads = threads
        self._guarantee: Guarantee | None = None

    def compile(self, model: Model, setup: Setup) -> Compiled:
        """Raise UnknownDevice: the workers compile."""
        raise UnknownDevice("the workers compile the network; this process has no runtime.")

    def precisions(self) -> tuple[Precision, ...]:
        """Return the precision that the workers compute with."""
        return (Precision(self.guarantee().precision),)

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """Return the guarantee of the first worker, for the share of the threads that each has now."""
        if self._guarantee is None:
            raise LookupError("no worker was ready yet")
        return self._guarantee

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Return False; a worker takes one image at a time."""
        return False

    def set_ready(self, ready: Mapping[str, Any], count: int) -> None:
        """Take the guarantee from the notes of the first "ready", for `count` workers."""
        guarantee, share = Guarantee(**ready["guarantee"]), share_of(self._threads, count)
        if ready["splits_sums"] and share != self._threads:
            guarantee = replace(
                guarantee,
                bit_identical=False,
                tolerance=SPLIT_TOLERANCE,
                because=f"how sums are split depends on the number of threads, and each worker has {share} of "
                f"{self._threads}: results have the bits of a model with threads={share}, and others after a resize",
            )
        self._guarantee = guarantee


class WorkersEngine(Engine):
    """One model file, opened by each of several worker processes.

    The constructor stores; `start` starts the workers and returns when all are ready; `close` ends everything.

    Thread safety: any number of threads.

    Args:
        model: The model, as this process has read it.
        recipe: How a worker comes to the same model.
        workers: How many there are, and how patient to be with them.
        threads: The CPU budget, of which each worker gets its share.
        backend: The name of the runtime in the workers.
        capacity: The places of the queue.
        clock: The clock of deadlines and statistics.
        version: Returns the present identity of the model's files.
    """

    prediction_type = RemotePrediction

    def __init__(
        self,
        model: Model,
        recipe: Recipe,
        workers: Workers,
        threads: int,
        backend: str = "remote",
        capacity: int = QUEUE_SIZE,
        clock: Clock = monotonic,
        version: Callable[[], object] = lambda: None,
    ) -> None:
        self._remote_backend = RemoteBackend(backend, threads)
        super().__init__(model, self._remote_backend, threads, capacity, clock, version)
        self._workers = workers
        self._supervisor = Supervisor(recipe, workers, threads, self._use_lanes)
        self._usable: frozenset[int] = frozenset()  # lanes; guarded by the engine's lock

    def start(self) -> None:
        """Start the workers and wait until they are ready. Raises what keeps one from that."""
        self._ready = self._supervisor.start().notes
        self._remote_backend.set_ready(self._ready, self._workers.count)
        self.precision = Precision(self._remote_backend.guarantee().precision)
        self._add_lanes(self._workers.count)
        self._show_lanes(self._workers.count)

    @property
    def workers(self) -> Workers:
        """How many workers there are now, and how patient their parent is."""
        return self._workers

    def resize(self, count: int) -> None:
        """Have `count` workers, without refusing a request. Raises what keeps a new one from being ready."""
        self.check_process()
        # Lanes before workers: a worker that becomes ready is reported at once, and its lane must be there. Lanes stay
        # when workers become fewer; without a worker they are not used.
        self._add_lanes(count)
        self._supervisor.resize(count)
        self._workers = replace(self._workers, count=count)
        self._remote_backend.set_ready(self._ready, count)
        self._show_lanes(count)

    def _add_lanes(self, count: int) -> None:
        """Have at least `count` lanes and their threads, whether they have workers or not."""
        lanes = [WorkerLane(self._supervisor.current_worker(number)) for number in range(count)]
        with self._lock:
            # Lanes that start after the close has counted them would never be joined.
            if self._closed:
                return
            slots = self._slots.get(Form.LATENCY, ())
            if not slots:
                self._policy.add_form(Form.LATENCY, Lanes(0))
            self._slots[Form.LATENCY] = [*slots, *lanes[len(slots) :]]
            self._start_lanes(count)
            self._policy.use_lanes(Form.LATENCY, self._usable)

    def _show_lanes(self, count: int) -> None:
        """Show this number of lanes in the statistics."""
        with self._lock:
            self._activity.add_form(Form.LATENCY, Lanes(count))

    def _use_lanes(self, lanes: frozenset[int]) -> frozenset[int]:
        """Send requests to these lanes from now on, and return those that have one. In the supervisor's thread."""
        with self._lock:
            is_new, self._usable = lanes != self._usable, lanes
            if Form.LATENCY not in self._slots:
                return frozenset()
            # One moment under the engine's lock: which lanes may get requests from now on, and which have one already.
            # A lane that is in neither set has none and gets none, so that its worker can go.
            busy = self._policy.use_lanes(Form.LATENCY, lanes)
            if is_new:
                self._work.notify_all()
            return busy

    def _start_compiler(self) -> None:
        """Do nothing: there is one form, as several callers have several workers."""

    def _interrupt(self) -> None:
        self._supervisor.interrupt()

    def statistics(self) -> Statistics:
        """Return the numbers of the engine, and those of each worker."""
        return replace(super().statistics(), workers=self._supervisor.statistics())

    def threads_alive(self) -> list[threading.Thread]:
        """Return the threads of the engine, and the supervisor's while it runs."""
        supervisor = self._supervisor.thread
        return [*super().threads_alive(), *([supervisor] if supervisor.is_alive() else [])]

    def close(self, drain: bool = False, timeout: float | None = None) -> None:
        """End the engine as usual, then the workers: those that still have a request are killed."""
        super().close(drain, timeout)
        # Not in a forked child: the processes, and the thread that watches them, are the parent's.
        if os.getpid() == self._pid:
            self._supervisor.close()
