"""How an engine's forms are made: the same network, for one request at a time or for several.

```
files ── compile ──▶ first form ── export, import ──▶ second form
  └─────────── compile, where that can not be ────────────▲
```
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from yoloom.engine.lanes.cpu_gate import Share
from yoloom.engine.lanes.lane import Slot, warm_up
from yoloom.engine.lanes.plan import Plan
from yoloom.errors import InvalidModel
from yoloom.formats.model import Model
from yoloom.runtime.probe import have_same_bits
from yoloom.runtime.protocol import Backend, Compiled, Form, Precision, Setup, Sharing
from yoloom.system.safe_log import SafeLogger

log = SafeLogger("yoloom.engine")


class Compilation:
    """One thread at a time: the one that opens the model, later the one that compiles beside the traffic."""

    def __init__(
        self,
        model: Model,
        backend: Backend,
        plan: Plan,
        precision: Precision,
        share: Share,
        version: Callable[[], object],
    ) -> None:
        """share: of the engine's CPUs, which runs wait for. version: tells one state of the model's files from
        another; it must stay what it is now."""
        self._model = model
        self._backend = backend
        self._plan = plan
        self._precision = precision
        self._share = share
        self._version = version
        self._opened_version = version()
        self._first: Compiled | None = None

    def slots(self, form: Form) -> list[Slot]:
        """A place for each lane of the form. Raises what the backend raises, and InvalidModel for a changed file."""
        threads = self._share.threads
        setup = self._plan.setup(form, threads, self._precision)
        compiled = self._copied(setup) or self._compiled(setup)
        self._first = compiled if self._first is None else None  # there is no third
        cpus = self._plan.cpus_of(form, compiled.lanes, threads)
        return [Slot(compiled, self._share, cpus) for _ in range(self._plan.lanes_of(form, compiled.lanes))]

    def warm_slots(self, form: Form) -> list[Slot]:
        """The same, after the network has run once."""
        slots = self.slots(form)
        warm_up(slots[0], self._model)
        return slots

    def forget(self) -> None:
        """There will be no other form: let go of the network."""
        self._first = None

    def batch(self, form: Form) -> int:
        """How many images a lane of the form takes at once."""
        return self._plan.batch_of(form, self._model, self._backend)

    def _compiled(self, setup: Setup) -> Compiled:
        compiled = self._backend.compile(self._model, setup)
        # A second form of another file would give other results under load, and nobody would know.
        if self._version() != self._opened_version:
            path = self._model.graph.path
            raise InvalidModel(f"{path} was changed while it is open; open it again with YOLO(path).")
        return compiled

    def _copied(self, setup: Setup) -> Compiled | None:
        """A second form out of the first, in half the CPU time of compiling the files again; None where that can not
        be. It has shown the same bits; for networks of a fixed size that would take longer than it spares."""
        if self._first is None or not isinstance(self._backend, Sharing) or self._model.input.hw is not None:
            return None
        try:
            data = np.frombuffer(self._backend.exported(self._first), np.uint8)
            copied = self._backend.imported(self._model, setup, data)
            if have_same_bits(self._first, copied, self._model):
                return copied
            why = "other bits"
        except Exception as error:  # noqa: BLE001  whatever a runtime raises then: it can still compile
            why = f"{type(error).__name__}: {error}"
        log.info("the form for many callers is compiled from the files, and not out of the first one: %s", why)
        return None
