"""The second form of a network comes out of the first, with the same bits, or out of the files."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from yoloom import YOLO
from yoloom.engine.lanes.compilation import Compilation
from yoloom.engine.lanes.cpu_gate import CpuGate
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.errors import InvalidModel, RuntimeFailed
from yoloom.formats.model import Model
from yoloom.formats.read import read_model
from yoloom.runtime.openvino import OpenVINOBackend, OpenVINOCompiled
from yoloom.runtime.plan import DEFAULT_PLAN
from yoloom.runtime.probe import pattern
from yoloom.runtime.protocol import Batch, Precision, Profile, RawOutputs


class Watched(OpenVINOBackend):
    """OpenVINO, and how often it compiled files. fault: what happens to a network that is handed over."""

    def __init__(self, fault: str = "") -> None:
        self.compiled = 0
        self._fault = fault

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> OpenVINOCompiled:
        self.compiled += 1
        return super().compile(model, profile, precision)

    def exported(self, compiled: OpenVINOCompiled) -> memoryview:
        if self._fault == "export":
            raise RuntimeFailed("it can not be exported")
        return super().exported(compiled)

    def imported(
        self, model: Model, profile: Profile, data: NDArray[np.uint8], precision: Precision = Precision.FP32
    ) -> Any:
        if self._fault == "run":
            return NoContexts(super().imported(model, profile, data, precision))
        if self._fault == "import":
            raise InvalidModel("it can not be imported")
        found = super().imported(model, profile, data, precision)
        return Off(found) if self._fault == "bits" else found


class NoContexts:
    """A network that can not be run."""

    def __init__(self, compiled: OpenVINOCompiled) -> None:
        self.lanes = compiled.lanes

    def context(self) -> Any:
        raise RuntimeError("no request can be made")


class Off:
    """A network whose outputs are off by the last bit."""

    def __init__(self, compiled: OpenVINOCompiled) -> None:
        self._compiled = compiled
        self.lanes = compiled.lanes

    def context(self) -> Any:
        return OffContext(self._compiled)


class OffContext:
    def __init__(self, compiled: OpenVINOCompiled) -> None:
        self._context = compiled.context()

    def run(self, batch: Batch) -> RawOutputs:
        return tuple(np.nextafter(output, np.float32(np.inf)) for output in self._context.run(batch))


def both_forms(path: Path, backend: OpenVINOBackend) -> tuple[Model, ContextSlot, list[ContextSlot]]:
    model = read_model(path)
    making = Compilation(model, backend, Precision.FP32, CpuGate().share(2), lambda: None)
    alone, together = backend.profiles(model, 2, DEFAULT_PLAN)
    (one,) = making.slots(alone)
    return model, one, making.slots(together)


@pytest.mark.slow
def test_the_second_form_comes_out_of_the_first_with_the_same_bits(demo_model: Path) -> None:
    backend = Watched()
    model, one, many = both_forms(demo_model, backend)
    assert (backend.compiled, len(many)) == (1, 3)
    for hw in (small := pattern(model).shape[1:3], (320, 224)):
        batch = np.random.default_rng(hw[0]).integers(0, 256, (1, *hw, 3), np.uint8)
        expected = [output.tobytes() for output in one.run(batch)]
        assert all([output.tobytes() for output in slot.run(batch)] == expected for slot in many)
    assert small == (160, 160)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["export", "import", "bits", "run"])
def test_what_can_not_be_handed_over_is_compiled(demo_model: Path, fault: str) -> None:
    backend = Watched(fault)
    model, one, many = both_forms(demo_model, backend)
    assert backend.compiled == 2
    batch = pattern(model)
    assert [output.tobytes() for output in one.run(batch)] == [output.tobytes() for output in many[0].run(batch)]


def test_a_network_of_a_fixed_size_is_compiled_twice(tiny_onnx: Callable[..., Path]) -> None:
    """Two runs of it, to compare their bits, may take longer."""
    backend = Watched()
    both_forms(tiny_onnx(hw=(64, 64)), backend)
    assert backend.compiled == 2


@pytest.mark.slow
def test_nothing_of_the_network_is_kept_by_a_handle_that_was_closed(demo_model: Path) -> None:
    """Seen to fail when what was compiled first is still there to make a second form of."""
    model = YOLO(demo_model, threads=1)
    network = weakref.ref(model._opened.engine.lanes._compilation._first)  # type: ignore[arg-type]
    assert network() is not None
    model.close()
    gc.collect()
    assert network() is None
