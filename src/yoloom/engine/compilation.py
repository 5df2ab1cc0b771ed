"""How an engine's forms are made: the same files, compiled for one request at a time or for several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from yoloom.engine.cpu_gate import Share
from yoloom.engine.lane import Slot, warm_up
from yoloom.engine.plan import Plan
from yoloom.errors import InvalidModel
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Backend, Form, Precision


@dataclass(frozen=True)
class Compilation:
    """Immutable: shared freely. share: of the engine's CPUs, which runs wait for.

    version: tells one state of the model's files from another; it must stay what it is now.
    """

    model: Model
    backend: Backend
    plan: Plan
    precision: Precision
    share: Share
    version: Callable[[], object]
    opened_version: object = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "opened_version", self.version())

    def slots(self, form: Form) -> list[Slot]:
        """A place for each lane of the form. Raises what the backend raises, and InvalidModel for a changed file."""
        threads = self.share.threads
        compiled = self.backend.compile(self.model, self.plan.setup(form, threads, self.precision))
        # A second form of another file would give other results under load, and nobody would know.
        if self.version() != self.opened_version:
            raise InvalidModel(f"{self.model.graph.path} was changed while it is open; open it again with YOLO(path).")
        cpus = self.plan.cpus_of(form, compiled.lanes, threads)
        return [Slot(compiled, self.share, cpus) for _ in range(self.plan.lanes_of(form, compiled.lanes))]

    def warm_slots(self, form: Form) -> list[Slot]:
        """The same, after the network has run once."""
        slots = self.slots(form)
        warm_up(slots[0], self.model)
        return slots

    def batch(self, form: Form) -> int:
        """How many images a lane of the form takes at once."""
        return self.plan.batch_of(form, self.model, self.backend)
