"""Networks compiled by the torch backend on torch's CPU device."""

from __future__ import annotations

from typing import Any

from yoloom.formats.model import Model
from yoloom.runtime.plan import DEFAULT_PLAN
from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch.torch_backend import TorchBackend, TorchCompiled


def compiled_of(model: Model, precision: Precision = Precision.FP32, **options: Any) -> TorchCompiled:
    """Compile for many callers; options are those of the backend."""
    backend = TorchBackend("cpu", **options)
    (profile,) = backend.profiles(model, 2, DEFAULT_PLAN)
    return backend.compile(model, profile, precision)
