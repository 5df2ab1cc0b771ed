"""Lanes in this process: a runtime's contexts, compiled for a lone caller first, and for many when they come."""

from __future__ import annotations

import os
import threading

from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.insight.statistics import WorkerStatistics
from yoloom.engine.lanes.compilation import Compilation
from yoloom.engine.lanes.cpu_gate import cpu_gate
from yoloom.engine.lanes.gate import DeviceGate, OpenGate
from yoloom.engine.lanes.lane_threads import LaneThreads
from yoloom.engine.scheduler import Scheduler
from yoloom.engine.scheduling.policy import LaneOffer
from yoloom.formats.model import Model
from yoloom.images.decode import MAX_PIXELS
from yoloom.options import PredictOptions
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Backend, Guarantee, Precision, Profile, promised
from yoloom.sources.frame import FrameId
from yoloom.sync.clock import Clock, TimeLimit
from yoloom.sync.once import Once
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


def gate_of(backend: Backend, threads: int) -> DeviceGate:
    """Find the gate of a backend's device: a share of the CPUs, or none."""
    return cpu_gate().share(threads) if backend.device == "cpu" else OpenGate()


class ThreadLanes:
    """Contexts of one backend in this process. See `Lanes`.

    The profile for many callers is compiled beside the traffic, so nobody waits for the switch.

    Thread safety: any number of threads, after `start`.
    """

    def __init__(
        self,
        model: Model,
        backend: Backend,
        plan: Plan,
        threads: int,
        gate: DeviceGate,
        scheduler: Scheduler,
        compilation: Compilation,
        precision: Precision,
        clock: Clock,
    ) -> None:
        """Store. Raises InvalidOption for a plan that the model, the backend or the budget does not allow."""
        self.backend = backend
        self.plan = plan
        self.precision = precision
        self.gate = gate
        profiles = backend.profiles(model, threads, plan)
        self._alone, self._many = profiles[0], profiles[-1]
        self._cpu_threads = threads
        self._scheduler = scheduler
        self._compilation = compilation
        self._lanes = LaneThreads(scheduler, clock)
        self._offered_lanes = 1
        self._lock = threading.Lock()  # guards the two that follow
        self._compiler: threading.Thread | None = None
        self._compiler_failed: RuntimeError | None = None
        self._failure_logged = Once()

    @property
    def window(self) -> int:
        """Images under way that keep all lanes busy, and a few that are read ahead."""
        profile = self._many
        if profile.threads:
            return 2 * self._cpu_threads * profile.max_batch + 2
        return 2 * self._offered_lanes * profile.max_batch + 2

    def new_job(
        self,
        model: Model,
        options: PredictOptions,
        path: str,
        max_pixels: int = MAX_PIXELS,
        save_dir: os.PathLike[str] | None = None,
        frame: FrameId | None = None,
    ) -> LocalImageJob:
        """Make the job for one image. Raises UnknownClass."""
        layout, draws_early = self._compilation.own_layout, self._alone.draws_early
        return LocalImageJob(model, options, path, max_pixels, save_dir, frame, layout, draws_early)

    @property
    def serves_many(self) -> bool:
        """Whether the profile for many callers is compiled, or will be in a moment."""
        return self._many is self._alone or self._compiler is not None

    def start(self) -> None:
        """Compile for a lone caller and run the network once. Raises what the backend raises."""
        slots = self._compilation.slots(self._alone)
        self._offered_lanes = len(slots)
        self._lanes.add_profile(self._alone.name, slots, _offer(self._alone, len(slots)))

    def prepare_for_many(self) -> None:
        """Begin to compile for many callers, in a thread of its own. Never blocks; idempotent."""
        if self._many is self._alone:
            return
        with self._lock:
            # Looked at once more: many callers may have found no compiler at the same moment, and one starts it.
            if self._compiler is None and self._compiler_failed is None:
                compiler = threading.Thread(target=self._compile_for_many, name="yoloom-compile", daemon=True)
                try:
                    compiler.start()
                except RuntimeError as error:  # the profile for a lone caller serves them all
                    self._compiler_failed = error
                finally:  # even if Ctrl-C strikes
                    self._compiler = compiler if compiler.ident is not None else None
        # Without the lock: a handler of the program's may ask the model something.
        if self._compiler_failed is not None and self._failure_logged.take():
            log.error("the form for many callers can not be compiled: %s", self._compiler_failed)

    def expect_many(self) -> None:
        """Compile for many callers now, and wait for that."""
        self.prepare_for_many()
        compiler = self._compiler
        if compiler is not None:
            compiler.join()

    def guarantee(self) -> Guarantee:
        """Say what holds for the bits: what the network measured itself, or what the backend says of all."""
        return self._compilation.measured or promised(self.backend, self._compilation.model, self.precision)

    def workers(self) -> tuple[WorkerStatistics, ...]:
        """There are none."""
        return ()

    def threads(self) -> list[threading.Thread]:
        """List the lanes' threads and the one that compiles."""
        compiler = self._compiler
        return [*self._lanes.threads(), *([] if compiler is None else [compiler])]

    def interrupt(self) -> None:
        """Lanes wait for nothing but their run, and for CPUs until its deadline."""

    def join(self, limit: TimeLimit) -> list[str]:
        """Wait until lanes and compiler have ended, and free what they held. Returns the names of those that hang."""
        # The compiler first: until it is done it holds the network, and tries to add lanes (the scheduler refuses).
        compiler, hung = self._compiler, []
        if compiler is not None and compiler is not threading.current_thread():
            compiler.join(limit.left)
            hung = [compiler.name] if compiler.is_alive() else []
        hung = self._lanes.join(limit) + hung
        if not hung:
            self._compilation.forget()
        return hung

    def close(self) -> None:
        """Leave the gate: a run that hangs holds no CPU of the other engines any more."""
        self.gate.leave()

    def _compile_for_many(self) -> None:
        try:
            slots = self._compilation.slots(self._many)
            self._lanes.add_profile(self._many.name, slots, _offer(self._many, len(slots)))
        except Exception:
            log.exception("the form for many callers could not be compiled; one caller's form serves them all")


def _offer(profile: Profile, lanes: int) -> LaneOffer:
    return LaneOffer(lanes, profile.max_batch, profile.max_wait_ms / 1e3)
