"""An engine whose lanes are worker processes. All else, queue, deadlines, turns, counts, is the engine's own."""

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
    """Stands for the runtime that the workers use, which this process never loads. Shared freely."""

    def __init__(self, name: str, threads: int) -> None:
        """threads: of all workers together."""
        self.name = name
        self._threads = threads
        self._guarantee: Guarantee | None = None

    def compile(self, model: Model, setup: Setup) -> Compiled:
        raise UnknownDevice("the workers compile the network; this process has no runtime.")

    def precisions(self) -> tuple[Precision, ...]:
        """What the workers compute with."""
        return (Precision(self.guarantee().precision),)

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """What the first worker said of the precision that it computes with, for the share that each has now."""
        if self._guarantee is None:
            raise LookupError("no worker was ready yet")
        return self._guarantee

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Nobody asks: a worker takes one image at a time."""
        return False

    def told(self, ready: Mapping[str, Any], count: int) -> None:
        """What the first worker said when it was ready, and how many there are now."""
        found, share = Guarantee(**ready["guarantee"]), share_of(self._threads, count)
        if ready["splits_sums"] and share != self._threads:
            found = replace(
                found,
                bit_identical=False,
                tolerance=SPLIT_TOLERANCE,
                because=f"how sums are split depends on the number of threads, and each worker has {share} of "
                f"{self._threads}: results have the bits of a model with threads={share}, and others after a resize",
            )
        self._guarantee = found


class WorkersEngine(Engine):
    """One model file, opened by each of several worker processes. Shared freely.

    The constructor stores; `start` starts the workers and returns when all are ready; `close` ends everything.
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
        """recipe: how a worker comes to the model. threads: the CPU budget, of which each worker gets its share."""
        self._remote_backend = RemoteBackend(backend, threads)
        super().__init__(model, self._remote_backend, threads, capacity, clock, version)
        self._workers = workers
        self._supervisor = Supervisor(recipe, workers, threads, self._use_lanes)
        self._usable: frozenset[int] = frozenset()  # lanes; guarded by the engine's lock

    def start(self) -> None:
        """Raises what keeps a worker from being ready."""
        self._ready = self._supervisor.start().notes
        self._remote_backend.told(self._ready, self._workers.count)
        self.precision = Precision(self._remote_backend.guarantee().precision)
        self._add_lanes(self._workers.count)
        self._show_lanes(self._workers.count)

    @property
    def workers(self) -> Workers:
        """How many there are now, and how patient their parent is."""
        return self._workers

    def resize(self, count: int) -> None:
        """Have `count` workers, without refusing a request. Raises what keeps a new one from being ready."""
        self.check_process()
        self._add_lanes(count)
        self._supervisor.resize(count)
        self._workers = replace(self._workers, count=count)
        self._remote_backend.told(self._ready, count)
        self._show_lanes(count)

    def _add_lanes(self, count: int) -> None:
        """Have at least `count` lanes and their threads, whether they have workers or not."""
        lanes = [WorkerLane(self._supervisor.post(number)) for number in range(count)]
        with self._lock:
            if self._closed:
                return
            slots = self._slots.get(Form.LATENCY, ())
            if not slots:
                self._policy.add_form(Form.LATENCY, Lanes(0))
            self._slots[Form.LATENCY] = [*slots, *lanes[len(slots) :]]
            self._start_lanes(count)
            self._policy.use_lanes(Form.LATENCY, self._usable)

    def _show_lanes(self, count: int) -> None:
        """Tell so many in the statistics."""
        with self._lock:
            self._activity.add_form(Form.LATENCY, Lanes(count))

    def _use_lanes(self, lanes: frozenset[int]) -> frozenset[int]:
        """From now on requests go to these lanes. Returns those that have one now."""
        with self._lock:
            is_new, self._usable = lanes != self._usable, lanes
            if Form.LATENCY not in self._slots:
                return frozenset()
            busy = self._policy.use_lanes(Form.LATENCY, lanes)
            if is_new:
                self._work.notify_all()
            return busy

    def _start_compiler(self) -> None:
        """There is one form: several callers have several workers."""

    def _interrupt(self) -> None:
        self._supervisor.interrupt()

    def statistics(self) -> Statistics:
        found = super().statistics()
        workers = self._supervisor.statistics()
        return replace(found, workers=workers)

    def threads_alive(self) -> list[threading.Thread]:
        mine = [self._supervisor.thread] if self._supervisor.thread.is_alive() else []
        return [*super().threads_alive(), *mine]

    def close(self, drain: bool = False, timeout: float | None = None) -> None:
        super().close(drain, timeout)
        if os.getpid() == self._pid:
            self._supervisor.close()
