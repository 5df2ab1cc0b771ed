"""A model file that is open: what it says, and the claim on the engine that runs it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from yoloom.engine.engine import Engine
from yoloom.engine.lanes.plan import DEFAULT_PLAN, Plan
from yoloom.engine.registry import Lease, registry
from yoloom.engine.scheduling.queue_policy import DEFAULT_QUEUE, QueuePolicy
from yoloom.engine.tuning.plans import Subject, plans
from yoloom.errors import InvalidModel, InvalidOption, UnsupportedOption
from yoloom.formats.model import Layout, Model
from yoloom.formats.read import read_model
from yoloom.runtime.precision import check_precision, find_precision
from yoloom.runtime.registry import check_backend, find_backend
from yoloom.store.conversions import CachedConversion, convert
from yoloom.system.files import file_identity
from yoloom.workers.recipe import file_recipe
from yoloom.workers.settings import Workers
from yoloom.workers.worker_engine import WorkersEngine


@dataclass(frozen=True)
class Settings:
    """How files are opened, see `YOLO`. Immutable: shared freely.

    threads: the CPU budget. watch_s: the watchdog's patience, None for no watchdog.
    """

    task: str | None
    names: Mapping[int, str] | Sequence[str] | None
    backend: str
    device: str
    threads: int
    nms: bool | None
    queue: QueuePolicy | None
    precision: str
    watch_s: float | None
    plan: Plan | Literal["auto"] | None
    workers: Workers | None = None


@dataclass(frozen=True, eq=False)
class Opened:
    """One file behind a handle. Immutable: shared freely.

    The handle holds it, and each call that was made on it: so a call keeps its model until it has ended, whatever
    happens to the handle. The engine is given back by `release`, or when nobody holds this any more.

    nms: what a prediction may ask of `nms`. version: of the files, as they were opened.
    """

    model: Model
    nms: frozenset[bool]
    version: Hashable
    lease: Lease

    @property
    def engine(self) -> Engine:
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


def open_file(path: Path, settings: Settings) -> Opened:
    """Read, and compile and warm up unless the file is open already. Raises what `YOLO` raises."""
    check_backend(settings.backend, settings.device)
    check_precision(settings.precision)
    one_to_one = settings.nms is False
    described = read_model(path, settings.task, settings.names, functools.partial(convert, one_to_one=one_to_one))
    heads = _heads(described, settings.nms)
    version = functools.partial(file_identity, described.graph.files)
    opened_version = _opened_version(described, version())
    new_engine = _in_threads if settings.workers is None else _in_workers
    key, build = new_engine(described, opened_version, one_to_one, settings)
    opened = None
    try:
        lease = registry().claim(key, lambda: build(version))
        opened = Opened(described, heads, opened_version, lease)
        _check_shared(opened.engine, settings)
        if settings.watch_s is not None:
            opened.engine.watch(settings.watch_s)
    except BaseException:
        if opened is not None:
            opened.release()
        raise
    return opened


Build = Callable[[Callable[[], Hashable]], Engine]
"""What tells the version of the files → an engine that is not started."""


def _in_threads(model: Model, version: Hashable, one_to_one: bool, settings: Settings) -> tuple[Hashable, Build]:
    """The key of the engine, and how it is made."""
    runtime = find_backend(settings.backend, settings.device)
    precision = find_precision(settings.precision, runtime)
    size, threads, asked = (settings.queue or DEFAULT_QUEUE).size, settings.threads, settings.plan
    subject = Subject(model, runtime, threads, precision)
    if isinstance(asked, Plan):
        asked.check(model, runtime, threads)

    def build(now: Callable[[], Hashable]) -> Engine:
        plan = _plan_of(asked, subject)
        return Engine(model, runtime, threads, size, version=now, precision=precision, plan=plan)

    return (version, settings.backend, settings.device, threads, one_to_one, precision), build


def _in_workers(model: Model, version: Hashable, one_to_one: bool, settings: Settings) -> tuple[Hashable, Build]:
    """The same with worker processes, which find the runtime and what it offers."""
    workers = settings.workers
    if workers is None:
        raise TypeError("expected Workers")
    if settings.plan is not None:
        raise UnsupportedOption("plan is for the threads of one process: leave it out, or leave out workers.")
    recipe = file_recipe(model, version, one_to_one, settings.backend, settings.device, settings.precision)
    size = (settings.queue or DEFAULT_QUEUE).size
    # Workers judge, too: for a handle with another task they do it by another head.
    asked = (settings.precision, workers, model.task)
    key = (version, settings.backend, settings.device, settings.threads, one_to_one, asked)
    return key, lambda now: WorkersEngine(model, recipe, workers, settings.threads, settings.backend, size, version=now)


def _check_shared(engine: Engine, settings: Settings) -> None:
    """What all handles on a file have in common. Raises InvalidOption."""
    queue, plan = settings.queue, settings.plan
    if queue is not None and engine.capacity != queue.size:
        raise InvalidOption(
            f"size must be {engine.capacity}: the file is open with such a queue, which its handles share."
        )
    if isinstance(plan, Plan) and engine.plan != plan:
        raise InvalidOption(f"plan must be {engine.plan}: the file is open with it, and its handles share it.")


def _plan_of(asked: Plan | Literal["auto"] | None, subject: Subject) -> Plan:
    """What a new engine runs by. Measures, perhaps."""
    return plans().auto(subject) if asked == "auto" else asked or DEFAULT_PLAN


def _heads(model: Model, nms: bool | None) -> frozenset[bool]:
    """What of `nms` this model answers to: what it does, and what it was opened with. Raises UnsupportedOption."""
    own = model.layout is not Layout.END2END
    if nms is not None and nms != own and model.graph.conversion is None:
        raise UnsupportedOption(
            f"{model.graph.path} was exported with a head that {'needs' if own else 'does'} its NMS, and can not be "
            f"opened with nms={nms}: open its checkpoint, or export that again."
        )
    return frozenset({own} if nms is None else {own, bool(nms)})


def _opened_version(model: Model, version: Hashable) -> Hashable:
    """The version of the files that all later ones are compared with. Raises InvalidModel."""
    conversion = model.graph.conversion
    if isinstance(conversion, CachedConversion) and conversion.identity != version:
        raise InvalidModel(f"{model.graph.path} was changed while it was opened; open it again.")
    return version
