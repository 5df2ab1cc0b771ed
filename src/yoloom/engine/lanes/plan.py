"""How the form for many callers is made: streams, lanes and batches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from yoloom.errors import InvalidOption
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Backend, Form, Precision, Setup
from yoloom.validation import positive, shown

MAX_LANES = 1024
MAX_BATCH = 256


@dataclass(frozen=True)
class Plan:
    """How a network is compiled and run for many callers. Immutable: shared freely.

    streams: images that are computed at once, each with its share of the CPU budget. lanes: contexts in use; one more
    than there are streams keeps them busy while Python fetches a result. batch: most images that a lane takes at once,
    all of one size. None leaves a number to the runtime, or the batch to the graph: what it was exported for, or 1.
    because: why these. Results have the same bits with every plan. Raises InvalidOption.
    """

    streams: int | None = None
    lanes: int | None = None
    batch: int | None = None
    because: str = field(default="the runtime's own choice", compare=False)

    def __post_init__(self) -> None:
        for name, most in (("streams", MAX_LANES), ("lanes", MAX_LANES), ("batch", MAX_BATCH)):
            object.__setattr__(self, name, _bounded(name, getattr(self, name), most))
        if not isinstance(self.because, str):
            raise InvalidOption(f"because must be a text, got {shown(self.because)}.")

    def check(self, model: Model, backend: Backend, threads: int) -> None:
        """Raise InvalidOption where the model, the backend or the CPU budget does not allow this plan."""
        if self.streams is not None and self.streams > threads:
            raise InvalidOption(f"streams must be at most {threads}, the CPU budget, got {self.streams}.")
        if self.batch is None or self.batch == 1:
            return
        if model.input.batch is not None and self.batch > model.input.batch:
            raise InvalidOption(
                f"batch must be at most {model.input.batch}, which {model.graph.path} was exported for, "
                f"got {self.batch}: export it with dynamic=True."
            )
        if not backend.keeps_bits_in_batches(model):
            raise InvalidOption(
                f"batch must be 1: {backend.name} gives other bits for several images of {model.graph.path} at once."
            )

    def setup(self, form: Form, threads: int, precision: Precision = Precision.FP32) -> Setup:
        """What to ask a backend for."""
        return Setup(form, threads, precision, self.streams if form is Form.THROUGHPUT else None)

    def cpus_of(self, form: Form, offered: int, threads: int) -> int:
        """How many CPUs a run computes with, of a form that offers so many lanes."""
        streams = self.streams or max(1, offered - 1)
        return threads if form is Form.LATENCY else max(1, threads // streams)

    def lanes_of(self, form: Form, offered: int) -> int:
        """How many contexts to make of a form that offers so many."""
        return offered if form is Form.LATENCY else self.lanes or offered

    def batch_of(self, form: Form, model: Model, backend: Backend) -> int:
        """How many images a lane of a form takes at once."""
        if self.batch is not None and form is Form.THROUGHPUT:
            return self.batch
        exported = model.input.batch or 1  # such a graph computes as many in any case
        return exported if exported == 1 or backend.keeps_bits_in_batches(model) else 1


def _bounded(name: str, value: Any, most: int) -> int | None:
    if value is None:
        return None
    number = positive(name, value)
    if number > most:
        raise InvalidOption(f"{name} must be at most {most}, got {shown(value)}.")
    return number


DEFAULT_PLAN = Plan()
