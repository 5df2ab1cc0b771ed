"""A runtime in one file, as small as one can be: it finds the brightest pixel of a picture, and a box around it.

It is registered by one entry, `ENTRY`. A real one would stand in `yoloom/runtime/registry.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from yoloom.formats.model import Model
from yoloom.runtime.cpu import cpu_profiles
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import LATENCY, Batch, Context, Guarantee, Precision, Profile, RawOutputs
from yoloom.runtime.registry import TABLE, BackendEntry
from yoloom.workers.recipe import WorkerModel, open_in_worker

ENTRY = BackendEntry("mirror_backend", "MirrorBackend")
BOX = 16  # pixels, width and height


class MirrorBackend:
    """Answers by the pixels alone, so bits cannot differ."""

    name = "mirror"
    device = "cpu"

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        return cpu_profiles(self, model, threads, plan)

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> MirrorCompiled:
        return MirrorCompiled(model, 1 if profile.name == LATENCY else profile.threads + 1)

    def precisions(self) -> tuple[Precision, ...]:
        return (Precision.FP32,)

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        return Guarantee(self.name, "1", self.device, precision.value, True, 0.0, "an answer is a function of pixels")

    def keeps_bits_in_batches(self, model: Model) -> bool:
        return True


class MirrorCompiled:
    splits_sums = False

    def __init__(self, model: Model, lanes: int) -> None:
        self._model = model
        self.lanes = lanes

    def context(self) -> MirrorContext:
        return MirrorContext(self._model)


class MirrorContext(Context):
    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._classes = len(model.names)

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        output = np.zeros((len(batch), 4 + self._classes, 1), np.float32)
        for rows, image in zip(output, batch, strict=True):
            brightness = image.sum(axis=2, dtype=np.int64)
            y, x = np.unravel_index(brightness.argmax(), brightness.shape)
            rows[:5, 0] = x, y, BOX, BOX, 0.5 + brightness[y, x] / 1530
        return (output,)


def open_registered(**arguments: Any) -> WorkerModel:
    """The opener of a worker whose registry has the entry too."""
    TABLE["mirror"] = ENTRY
    return open_in_worker(**arguments)
