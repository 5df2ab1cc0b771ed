"""A model that is open: its description, and the lease of the engine that runs it.

```
name ─▶ locate ─▶ ModelFile ─▶ describe ─▶ Model ─▶ registry().claim ─▶ OpenModel
```
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.engine_registry import Lease, registry
from yoloom.engine.lanes.thread_lanes import ThreadLanes
from yoloom.engine.scheduling.queue_policy import DEFAULT_QUEUE, QueuePolicy
from yoloom.engine.tuning.plans import Subject, plans
from yoloom.errors import InvalidModel, InvalidOption, UnsupportedOption
from yoloom.formats.model import Layout, Model
from yoloom.formats.read import describe
from yoloom.runtime.plan import DEFAULT_PLAN, Plan
from yoloom.runtime.precision import check_precision, find_precision
from yoloom.runtime.registry import PLAIN, DeviceOptions, check_backend, default_backend, find_backend
from yoloom.store.conversions import CheckpointFile
from yoloom.store.locate import locate
from yoloom.sync.green_threads import check_threads
from yoloom.system.files import file_identity
from yoloom.system.shortage import naming_limits
from yoloom.validation import shown
from yoloom.workers.process_lanes import worker_engine
from yoloom.workers.recipe import file_recipe
from yoloom.workers.settings import Workers


@dataclass(frozen=True)
class OpenSettings:
    """How files are opened, see `YOLO`. Immutable. Thread safety: any number of threads.

    Attributes:
        backend: Name of the runtime; None for the default of the device.
        device: "cpu" or "cuda:N".
        threads: The CPU budget.
        precision: Name of a number format; None for the device's default.
        watch_s: Seconds without progress after which the watchdog reports, None for no watchdog.
    """

    task: str | None
    names: Mapping[int, str] | Sequence[str] | None
    backend: str | None
    device: str
    threads: int
    nms: bool | None
    queue: QueuePolicy | None
    precision: str | None
    watch_s: float | None
    plan: Plan | Literal["auto"] | None
    workers: Workers | None = None
    device_options: DeviceOptions = PLAIN
    layout: str | None = None


@dataclass(frozen=True, eq=False)
class OpenModel:
    """One model behind a handle. Immutable. Thread safety: any number of threads.

    The handle holds it, and each call that was made on it: so a call keeps its model until it has ended, whatever
    happens to the handle. The engine is given back by `release`, or when nobody holds this any more.

    Attributes:
        model: The description of the file.
        nms: The values that a prediction may give for `nms`.
        version: The version of the files that was opened.
        lease: The claim on the engine.
    """

    model: Model
    nms: frozenset[bool]
    version: Hashable
    lease: Lease

    @property
    def engine(self) -> Engine:
        """The engine that runs the model, shared by all handles on the file."""
        return self.lease.engine

    def is_unchanged(self) -> bool:
        """Whether the files are still those that were opened."""
        try:
            return file_identity(self.model.graph.files) == self.version
        except OSError:
            return False

    def release(self, drain: bool = False, timeout: float | None = None) -> None:
        """Give the engine back, see `Lease.release`. Idempotent."""
        self.lease.release(drain, timeout)


def open_model(name: str | os.PathLike[str], settings: OpenSettings) -> OpenModel:
    """Locate and describe a model, and compile and warm it up unless it is open already.

    Args:
        name: A path, or a published name.
        settings: How to open it.

    Raises:
        YoloomError: As listed for `YOLO`.
    """
    check_threads(with_workers=settings.workers is not None)
    with naming_limits(f"{shown(name)[:300]} can not be opened"):
        return _open(name, settings)


def _open(name: str | os.PathLike[str], settings: OpenSettings) -> OpenModel:
    file = locate(name, one_to_one=settings.nms is False)
    backend = settings.backend or default_backend(settings.device, file.is_checkpoint)
    check_backend(backend, settings.device)
    settings = replace(settings, backend=backend)
    check_precision(settings.precision)
    model = describe(file, settings.task, settings.names, settings.layout)
    end2end = model.layout is Layout.END2END
    if settings.nms is not None and settings.nms == end2end and not file.is_checkpoint:
        raise UnsupportedOption(
            f"{file.path} was exported with a head that {'does' if end2end else 'needs'} its NMS, and can not be "
            f"opened with nms={settings.nms}: open its checkpoint, or export that again."
        )
    current_version = functools.partial(file_identity, file.files)
    version = current_version()
    if isinstance(file, CheckpointFile) and file.version != version:
        raise InvalidModel(f"{file.path} was changed while it was opened; open it again.")
    prepare = _prepare_threads if settings.workers is None else _prepare_workers
    key, build = prepare(model, version, settings)
    opened = None
    try:
        lease = registry().claim(key, lambda: build(current_version))
        heads = {not end2end} if settings.nms is None else {not end2end, settings.nms}
        opened = OpenModel(model, frozenset(heads), version, lease)
        _check_shared(opened.engine, settings)
        if settings.watch_s is not None:
            opened.engine.watch(settings.watch_s)
    except BaseException:
        if opened is not None:
            opened.release()
        raise
    return opened


Build = Callable[[Callable[[], Hashable]], Engine]
"""Takes a function that returns the current version of the files, and makes an engine that is not started."""


def _prepare_threads(model: Model, version: Hashable, settings: OpenSettings) -> tuple[Hashable, Build]:
    """Return the key of an engine with threads in this process, and how to build it."""
    runtime = find_backend(settings.backend or "", settings.device, settings.device_options)
    precision = find_precision(settings.precision, runtime)
    queue = settings.queue or DEFAULT_QUEUE
    size, threads, plan = queue.size, settings.threads, settings.plan
    if isinstance(plan, Plan):
        runtime.profiles(model, threads, plan)  # raises InvalidOption for a plan that does not fit

    def build(current_version: Callable[[], Hashable]) -> Engine:
        subject = Subject(model, runtime, threads, precision)
        chosen = plans().auto(subject) if plan == "auto" else plan or DEFAULT_PLAN  # "auto" measures, perhaps
        return thread_engine(
            model,
            runtime,
            threads,
            size,
            version=current_version,
            precision=precision,
            plan=chosen,
            max_bytes=queue.bytes_bound,
        )

    one_to_one = settings.nms is False
    # The input is part of the key, because it may be fed in another way for another layout.
    shared = (precision, settings.device_options, model.input)
    return (version, settings.backend, settings.device, threads, one_to_one, shared), build


def _prepare_workers(model: Model, version: Hashable, settings: OpenSettings) -> tuple[Hashable, Build]:
    """Return the same with worker processes, which find the runtime and what it offers."""
    workers, threads, one_to_one = settings.workers, settings.threads, settings.nms is False
    if workers is None:
        raise TypeError("expected Workers")
    if settings.plan is not None:
        raise UnsupportedOption("plan is for the threads of one process: leave it out, or leave out workers.")
    backend, device, precision = settings.backend or "", settings.device, settings.precision
    recipe = file_recipe(
        model, version, one_to_one, backend, device, precision, settings.device_options, settings.layout
    )
    queue = settings.queue or DEFAULT_QUEUE
    # Task and layout are part of the key, because workers post-process: other handles need another head.
    shared = (precision, workers, model.task, settings.device_options, model.layout, model.input)
    key = (version, backend, device, threads, one_to_one, shared)
    return key, lambda _: worker_engine(model, recipe, workers, threads, queue.size, max_bytes=queue.bytes_bound)


def _check_shared(engine: Engine, settings: OpenSettings) -> None:
    """Raise InvalidOption for a queue or a plan that differs from those which all handles on the file share."""
    queue, plan = settings.queue, settings.plan
    if queue is not None and engine.capacity != queue.size:
        raise InvalidOption(
            f"size must be {engine.capacity}: the file is open with a queue of that size, and its handles share it."
        )
    max_bytes = engine.scheduler.max_bytes
    if queue is not None and queue.max_bytes not in (None, max_bytes):
        raise InvalidOption(
            f"max_bytes must be {max_bytes:.0f}: the file is open with that bound, and its handles share it."
        )
    lanes = engine.lanes
    if isinstance(plan, Plan) and isinstance(lanes, ThreadLanes) and lanes.plan != plan:
        raise InvalidOption(f"plan must be {lanes.plan}: the file is open with it, and its handles share it.")
