"""Thread-safe YOLO inference: one model, any number of threads, the same bits as running alone."""

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from yoloom import (
    errors,
    opencv_quietly,  # noqa: F401  before anything else imports cv2
)

if TYPE_CHECKING:
    from yoloom.engine.calls import ResultFuture
    from yoloom.engine.cpu_budget import CpuBudget, cpu_budget
    from yoloom.engine.plan import Plan
    from yoloom.engine.queue_policy import QueuePolicy
    from yoloom.engine.statistics import Statistics, WorkerStatistics
    from yoloom.engine.stream import ResultStream
    from yoloom.engine.turns import Client
    from yoloom.errors import YoloomError
    from yoloom.results import OBB, Boxes, Keypoints, Masks, Probs, Results
    from yoloom.runtime.protocol import Guarantee
    from yoloom.workers.workers import Workers
    from yoloom.yolo import YOLO

# Without a handler of the program's own, Python would print warnings of a library to stderr.
logging.getLogger("yoloom").addHandler(logging.NullHandler())

__version__ = "0.1.0"
__all__ = [
    "OBB",
    "YOLO",
    "Boxes",
    "Client",
    "CpuBudget",
    "Guarantee",
    "Keypoints",
    "Masks",
    "Plan",
    "Probs",
    "QueuePolicy",
    "ResultFuture",
    "ResultStream",
    "Results",
    "Statistics",
    "WorkerStatistics",
    "Workers",
    "YoloomError",
    "cpu_budget",
    "errors",
]

_HOMES = {
    "OBB": "yoloom.results",
    "YOLO": "yoloom.yolo",
    "Boxes": "yoloom.results",
    "Client": "yoloom.engine.turns",
    "CpuBudget": "yoloom.engine.cpu_budget",
    "Guarantee": "yoloom.runtime.protocol",
    "Keypoints": "yoloom.results",
    "Masks": "yoloom.results",
    "Plan": "yoloom.engine.plan",
    "Probs": "yoloom.results",
    "QueuePolicy": "yoloom.engine.queue_policy",
    "ResultFuture": "yoloom.engine.calls",
    "ResultStream": "yoloom.engine.stream",
    "Results": "yoloom.results",
    "Statistics": "yoloom.engine.statistics",
    "WorkerStatistics": "yoloom.engine.statistics",
    "Workers": "yoloom.workers.workers",
    "YoloomError": "yoloom.errors",
    "cpu_budget": "yoloom.engine.cpu_budget",
}
"""Public name -> module. All are there once the package is imported, but in worker processes, which need few."""

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A public name, which is an attribute of its own from then on; `yoloom.verify`, too. Any thread."""
        if name == "verify":
            return import_module("yoloom.verify")
        if name not in _HOMES:
            raise AttributeError(f"module 'yoloom' has no attribute {name!r}")
        return globals().setdefault(name, getattr(import_module(_HOMES[name]), name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, "verify"})

    if not getattr(sys, "yoloom_worker", False):
        # Now and not when they are asked for: exit handlers of the program that come later must run before ours, and a
        # process that forks must not do so in the middle of an import.
        for _name in _HOMES:
            __getattr__(_name)
