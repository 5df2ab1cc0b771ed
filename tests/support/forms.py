"""A compiled form as the engine makes it, for tests of single lanes."""

from __future__ import annotations

import functools

from yoloom.engine.lanes.form import Form, WarmUp
from yoloom.formats.model import Model
from yoloom.runtime.protocol import Backend, Precision, Profile


def form_of(backend: Backend, model: Model, profile: Profile) -> Form:
    compile_again = functools.partial(backend.compile, model, profile, Precision.FP32)
    return Form(compile_again(), compile_again, WarmUp(model, backend.guarantee().bit_identical))
