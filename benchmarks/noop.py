"""A network that costs nothing and finds nothing, for what is around it. Opened by name in worker processes."""

from __future__ import annotations

import numpy as np

from yoloom.formats.model import Layout, Model
from yoloom.runtime.cpu import cpu_profiles
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import LATENCY, Batch, Context, Guarantee, Precision, Profile, RawOutputs
from yoloom.testing import fake_model
from yoloom.workers.recipe import WorkerModel


def noop_model() -> Model:
    return fake_model(layout=Layout.END2END)


def noop_opened() -> WorkerModel:
    return WorkerModel(noop_model(), NoopBackend())


class NoopBackend:
    """Stateless: shared freely."""

    name = "noop"
    device = "cpu"

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        return cpu_profiles(self, model, threads, plan)

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> NoopCompiled:
        return NoopCompiled(model, 1 if profile.name == LATENCY else profile.threads + 1)

    def precisions(self) -> tuple[Precision, ...]:
        return (Precision.FP32,)

    def keeps_bits_in_batches(self, model: Model) -> bool:
        return True

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        return Guarantee(self.name, "0", "cpu", "fp32", True, 0.0, "nothing is computed")


class NoopCompiled:
    """Immutable: shared freely."""

    splits_sums = False

    def __init__(self, model: Model, lanes: int) -> None:
        self._model = model
        self.lanes = lanes

    def context(self) -> NoopContext:
        return NoopContext(self._model)


class NoopContext(Context):
    """One thread at a time (ContextBusy)."""

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._shape = (4, 6) if model.layout is Layout.END2END else (4 + len(model.names), 8)

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        return (np.zeros((len(batch), *self._shape), np.float32),)
