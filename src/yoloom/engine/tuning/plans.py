"""The plan for a model on this machine: found in the user's cache, or measured, once in a process whoever asks.

```
"auto" ─▶ asked for before? ─▶ in the user's cache? ─▶ measured, and kept there
          └── once for each machine, runtime, model, precision and CPU budget ──┘
```
"""

from __future__ import annotations

import functools
import hashlib
import platform
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from yoloom._version import __version__
from yoloom.engine.tuning.plan_cache import PlanCache, plan_cache
from yoloom.engine.tuning.tuner import SECONDS, Progress, Tuner, Tuning
from yoloom.errors import InvalidOption
from yoloom.formats.model import Model
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import Backend, Precision
from yoloom.sync.fork import after_fork_in_child
from yoloom.sync.once import SingleFlight
from yoloom.system.cpu_model import cpu_model
from yoloom.system.cpus import available_cpus
from yoloom.system.safe_log import SafeLogger

TUNER = 1
"""Goes up when plans that were measured before are no longer worth having."""

_READ_BYTES = 1 << 20

log = SafeLogger("yoloom.plans")


@dataclass(frozen=True)
class Subject:
    """The subject of a measured plan. Immutable: shared freely."""

    model: Model
    backend: Backend
    threads: int
    precision: Precision = Precision.FP32

    def about(self) -> dict[str, str]:
        """All that a plan depends on, in words. Raises ModelError or OSError when the model's file is gone."""
        return {
            "cpu": cpu_model(),
            "machine": platform.machine(),
            "cpus": str(available_cpus()),
            "threads": str(self.threads),
            "backend": self.backend.name,
            "runtime": self.backend.guarantee().version,
            "yoloom": __version__,
            "tuner": str(TUNER),
            "model": _content(self.model),
            "imgsz": "x".join(map(str, self.model.imgsz_hw)),
            "precision": self.precision.value,
        }


Measure = Callable[[Subject], Tuning]


class Plans:
    """The plans of a process. Threads: anybody."""

    def __init__(self, measure: Measure, find_cache: Callable[[], PlanCache | None] = plan_cache) -> None:
        self._measure = measure
        self._find_cache = find_cache
        self._once: SingleFlight[str, Plan] = SingleFlight()
        self._lock = threading.Lock()  # guards what follows
        self._known: dict[str, Plan] = {}

    def auto(self, subject: Subject) -> Plan:
        """The best plan that is known, measured now when none is. The first to ask measures, the others wait.

        Raises what the backend raises.
        """
        about = subject.about()
        key = repr(sorted(about.items()))
        with self._lock:
            known = self._known.get(key)
        return known or self._once.get(key, functools.partial(self._found, key, about, subject))

    def keep(self, subject: Subject, tuning: Tuning) -> Path | None:
        """Use what was measured from now on, in this process and later ones; None where there is no place for it."""
        about = subject.about()
        self._know(repr(sorted(about.items())), tuning.plan)
        return self._kept(about, subject, tuning.plan)

    def _found(self, key: str, about: dict[str, str], subject: Subject) -> Plan:
        cache = self._find_cache()
        plan = None if cache is None else cache.find(about)
        if plan is None or not _fits(plan, subject):
            log.info("%s: plans are measured for a moment, once on this machine", subject.model.graph.path)
            plan = self._measure(subject).plan
            self._kept(about, subject, plan)
        log.info("%s: %s", subject.model.graph.path, plan.because)
        self._know(key, plan)
        return plan

    def _know(self, key: str, plan: Plan) -> None:
        with self._lock:
            self._known[key] = plan

    def _kept(self, about: dict[str, str], subject: Subject, plan: Plan) -> Path | None:
        cache = self._find_cache()
        if cache is None:
            return None
        try:
            return cache.store(about, subject.model.graph.path.name, plan)
        except OSError as error:
            log.warning("the plan can not be kept in %s (%s): it is measured again", cache.folder, error.strerror)
            return None


def tune(subject: Subject, seconds: float = SECONDS, progress: Progress = lambda _words: None) -> Tuning:
    """Measure now, whatever is known. Raises what the backend raises."""
    precision = subject.precision
    return Tuner(subject.model, subject.backend, subject.threads, precision, seconds, progress=progress).tune()


def _fits(plan: Plan, subject: Subject) -> bool:
    """Whether a plan of the cache may be used: nobody knows who wrote it."""
    try:
        subject.backend.profiles(subject.model, subject.threads, plan)
    except InvalidOption:
        return False
    return True


def _content(model: Model) -> str:
    """A hash of what the runtime reads."""
    digest = hashlib.sha256()
    source = model.graph.network()
    if isinstance(source, bytes):
        digest.update(source)
        return digest.hexdigest()
    for path in (source,) if model.graph.is_checkpoint else model.graph.files:
        with path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


_plans = Plans(tune)


def plans() -> Plans:
    """The plans of this process."""
    return _plans


@after_fork_in_child
def _reset_after_fork() -> None:
    # A thread that is not in the child may have held a lock, or been about to finish a measurement.
    global _plans
    _plans = Plans(tune)
