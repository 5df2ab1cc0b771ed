"""The engine's own tests, run against worker processes: the same functions, with another engine behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from worker_scripts import ScriptServer, script_servers
from yoloom.engine.engine import Engine
from yoloom.testing import FakeBackend
from yoloom.workers.process_lanes import worker_engine
from yoloom.workers.remote_job import RemoteImageJob
from yoloom.workers.settings import Workers


def taken_over(module: ModuleType, left_out: set[str]) -> dict[str, Callable[..., object]]:
    """The tests of a module, but for those that are about what processes do not have."""
    tests = {name: test for name, test in vars(module).items() if name.startswith("test_")}
    assert left_out <= tests.keys(), "a test was renamed"
    return {name: test for name, test in tests.items() if name not in left_out}


def with_processes(module: ModuleType, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """While this lasts, the engines that the module's tests make have worker processes."""
    with script_servers() as servers:

        def engine(model: Any, backend: FakeBackend, threads: int, **more: Any) -> Engine:
            servers.append(ScriptServer(backend))
            workers = Workers(min(threads, backend.lanes))
            return worker_engine(model, servers[-1].recipe(model), workers, threads, **more)

        patch.setattr(module, "thread_engine", engine)
        patch.setattr(module, "LocalImageJob", RemoteImageJob)
        yield
