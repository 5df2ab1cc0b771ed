"""Thread-safe YOLO inference: one model, any number of threads, the same bits as running alone."""

import logging
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from yoloom import errors
from yoloom._version import __version__ as __version__  # the one way in which users ask for it

# python -m yoloom: its __main__ comes after this.
if getattr(sys, "argv", [])[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)] == "yoloom":
    from yoloom_command import is_question

    sys.yoloom_question = is_question(sys.argv[1:])  # type: ignore[attr-defined]

# A command line that asks for the help or the version needs none of it, and worker processes find the little that they
# need in its modules. All others have it at once: exit handlers of the program that come later must run before ours,
# and a process must not fork in the middle of a late import.
if not getattr(sys, "yoloom_question", False):
    from yoloom.system import opencv_import  # noqa: F401  before anything else imports cv2
if not (getattr(sys, "yoloom_question", False) or getattr(sys, "yoloom_worker", False)):
    from yoloom.engine.futures import ResultFuture
    from yoloom.engine.insight.statistics import Statistics, WorkerStatistics
    from yoloom.engine.scheduling.queue_policy import QueuePolicy
    from yoloom.engine.scheduling.request_terms import Client
    from yoloom.engine.stream import ResultStream
    from yoloom.errors import YoloomError
    from yoloom.facade.cpu_budget import CpuBudget, cpu_budget
    from yoloom.results.mutable import MutableResults
    from yoloom.results.results import OBB, Boxes, Keypoints, Masks, Probs, Results
    from yoloom.runtime.plan import Plan
    from yoloom.runtime.protocol import Guarantee
    from yoloom.sources.frame import Frame, FrameId
    from yoloom.workers.settings import Workers
    from yoloom.yolo import YOLO

# Without a handler of the program's own, Python would print warnings of a library to stderr.
logging.getLogger("yoloom").addHandler(logging.NullHandler())

__all__ = [
    "OBB",
    "YOLO",
    "Boxes",
    "Client",
    "CpuBudget",
    "Frame",
    "FrameId",
    "Guarantee",
    "Keypoints",
    "Masks",
    "MutableResults",
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

_ELSEWHERE = frozenset({"NAS", "RTDETR", "SAM", "FastSAM", "YOLOE", "YOLOWorld"})

if TYPE_CHECKING:
    from yoloom.facade.elsewhere import NAS, RTDETR, SAM, YOLOE, FastSAM, YOLOWorld  # noqa: F401
else:

    def __getattr__(name: str) -> Any:
        """`yoloom.verify` and the classes of Ultralytics that are not here cost nothing until they are asked for."""
        if name == "verify":
            return import_module("yoloom.verify")
        if name in _ELSEWHERE:
            return getattr(import_module("yoloom.facade.elsewhere"), name)
        raise AttributeError(f"module 'yoloom' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*__all__, "verify", "__version__"})
