"""The recipe by which a worker opens its model, in plain values: no code and no object of the parent crosses over."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from yoloom.errors import InvalidModel
from yoloom.formats.model import Model
from yoloom.formats.read import describe
from yoloom.runtime.precision import find_precision
from yoloom.runtime.protocol import Backend, Precision
from yoloom.runtime.registry import PLAIN, DeviceOptions, check_backend, find_backend
from yoloom.store.locate import file_at
from yoloom.system.files import file_identity


@dataclass(frozen=True)
class WorkerModel:
    """A model as a worker has opened it, the backend that runs it, and the precision that this one computes with."""

    model: Model
    backend: Backend
    precision: Precision = Precision.FP32


@dataclass(frozen=True)
class Recipe:
    """The way to a model, for each generation of each worker anew. Immutable. Thread safety: any number of threads.

    Attributes:
        opener: "module:function", called in the worker with `arguments`, and returning a `WorkerModel`.
        arguments: JSON values.
        is_shared: Whether the first worker compiles for all, which takes a backend that is `Sharing`.
    """

    opener: str
    arguments: Mapping[str, Any]
    is_shared: bool = False

    def open(self) -> WorkerModel:
        """Call the opener, in the worker. Raises what it raises."""
        module, _, name = self.opener.partition(":")
        function: Callable[..., WorkerModel] = getattr(importlib.import_module(module), name)
        return function(**self.arguments)


def file_recipe(
    model: Model,
    version: object,
    one_to_one: bool,
    backend: str,
    device: str,
    precision: str | None,
    options: DeviceOptions = PLAIN,
    layout: str | None = None,
) -> Recipe:
    """Make the recipe of a model that this process has read. version: of its files; a worker takes no other."""
    arguments = {
        "path": str(model.graph.path.absolute()),
        "task": model.task,
        "names": [[number, name] for number, name in model.names.items()],
        "one_to_one": one_to_one,
        "backend": backend,
        "device": device,
        "precision": precision,
        "version": repr(version),
        "device_options": asdict(options),
        "layout": layout,
    }
    is_shared = check_backend(backend, device).shares_compiled
    return Recipe("yoloom.workers.recipe:open_in_worker", arguments, is_shared)


def open_in_worker(
    path: str,
    task: str,
    names: list[tuple[int, str]],
    one_to_one: bool,
    backend: str,
    device: str,
    precision: str | None,
    version: str,
    device_options: Mapping[str, Any],
    layout: str | None = None,
) -> WorkerModel:
    """Open a model file as `YOLO` does. Raises ModelError; InvalidModel when it is another file by now."""
    runtime = find_backend(backend, device, DeviceOptions(**device_options))
    chosen = find_precision(precision, runtime)
    try:
        model = describe(file_at(Path(path), one_to_one), task, dict(names) or None, layout)
        # Identified after it was read: a file that is replaced while it is read shows its new identity here. A worker
        # that starts late would otherwise answer with other weights than its siblings.
        same = repr(file_identity(model.graph.files)) == version
    except OSError as error:
        raise InvalidModel(f"{path} can not be read by a worker process: {error}") from error
    if not same:
        raise InvalidModel(f"{path} was changed while it is open; open it again with YOLO(path).")
    return WorkerModel(model, runtime, chosen)
