"""A compiled form after a failure: nothing of it serves any more, and its successor must repeat the warm-up's bits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forms import form_of
from yoloom.engine.engine import Engine, thread_engine
from yoloom.engine.futures import predict_now
from yoloom.engine.image_job import LocalImageJob
from yoloom.engine.lanes.cpu_gate import CpuGate
from yoloom.engine.lanes.form import Pyramid, find_pyramid
from yoloom.engine.lanes.lane import ContextSlot
from yoloom.engine.scheduling.request_terms import RequestTerms
from yoloom.errors import RuntimeFailed
from yoloom.formats.model import Model
from yoloom.formats.read import read_model
from yoloom.options import PredictOptions
from yoloom.runtime.cpu import latency_profile, throughput_profile
from yoloom.runtime.probe import blank
from yoloom.runtime.protocol import Batch, Context, Precision, Profile, RawOutputs
from yoloom.testing import FakeBackend, FakeCompiled, Gate, fake_model

Factory = Callable[..., Path]


class Stale(Context):
    """A context that leaves the outputs of its first run in place, as a runtime without memory did."""

    def __init__(self, model: Model, inner: Context) -> None:
        super().__init__(model)
        self._inner = inner
        self._first: RawOutputs = ()

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        self._first = self._first or self._inner._execute(batch, lowest_score)
        return self._first


class OtherBits(FakeBackend):
    """A runtime whose second compilation gives other bits than its first."""

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        (output,) = super().execute(model, batch)
        return (np.nextafter(output, np.float32(1)) if len(self.compiled) > 1 else output,)


def slot_of(backend: FakeBackend) -> ContextSlot:
    slot = ContextSlot(form_of(backend, fake_model(), latency_profile(1)), CpuGate().share(1))
    slot.warm_up()
    return slot


@pytest.mark.parametrize("error", [RuntimeError("can't alloc"), MemoryError(), KeyError("x"), SystemExit()])
def test_after_any_failure_the_network_is_compiled_again(error: BaseException) -> None:
    """Seen to run new contexts of the network in which a run had failed: other boxes, or the end of the process."""
    backend = FakeBackend()
    slot, batch = slot_of(backend), blank(fake_model())
    before = slot.run(batch)
    backend.script(error)
    with pytest.raises((RuntimeFailed, SystemExit)):
        slot.run(batch)
    assert len(backend.compiled) == 1
    assert slot.run(batch)[0].tobytes() == before[0].tobytes()
    assert len(backend.compiled) == 2
    slot.run(batch)
    assert len(backend.compiled) == 2


def test_a_network_with_other_bits_never_serves() -> None:
    backend = OtherBits()
    slot, batch = slot_of(backend), blank(fake_model())
    backend.script(RuntimeError("no memory"))
    with pytest.raises(RuntimeFailed):
        slot.run(batch)
    for _ in range(2):
        with pytest.raises(RuntimeFailed, match="other bits than before"):
            slot.run(batch)


def test_a_compilation_that_fails_is_tried_again_by_the_next_request() -> None:
    backend = FakeBackend()
    slot, batch = slot_of(backend), blank(fake_model())
    backend.script(RuntimeError("no memory"))
    with pytest.raises(RuntimeFailed, match="no memory"):
        slot.run(batch)
    backend.script_compile(RuntimeFailed("still none"))
    with pytest.raises(RuntimeFailed, match="still none"):
        slot.run(batch)
    assert slot.run(batch)


def test_all_lanes_wait_for_one_compilation() -> None:
    backend = FakeBackend()
    form = form_of(backend, fake_model(), throughput_profile(2))
    slots = [ContextSlot(form, CpuGate().share(2)) for _ in range(3)]
    slots[0].warm_up()
    backend.script(RuntimeError("no memory"))
    with pytest.raises(RuntimeFailed):
        slots[0].run(blank(fake_model()))
    gate = Gate()
    backend.script_compile(gate)
    threads = [threading.Thread(target=slot.run, args=(blank(fake_model()),)) for slot in slots]
    for thread in threads:
        thread.start()
    gate.wait_for(1)
    gate.open()
    for thread in threads:
        thread.join()
    assert len(backend.compiled) == 2


# ---- Sizes


@pytest.mark.parametrize(
    ("anchors", "hw", "pyramid"),
    [
        (8400, (640, 640), Pyramid((8, 16, 32), 1)),
        (25200, (640, 640), Pyramid((8, 16, 32), 3)),
        (34000, (640, 640), Pyramid((4, 8, 16, 32), 1)),
        (525, (160, 160), Pyramid((8, 16, 32), 1)),
        (534, (160, 160), Pyramid((8, 16, 32, 64), 1)),
        (400, (160, 160), Pyramid((8,), 1)),
        (300, (160, 160), None),
        (300, (640, 640), None),
        (4, (160, 160), None),
    ],
)
def test_grids_are_found_in_the_number_of_anchors(anchors: int, hw: tuple[int, int], pyramid: Pyramid | None) -> None:
    assert find_pyramid(anchors, *hw) == pyramid


@pytest.mark.parametrize("layout", ["raw"])
@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_outputs_of_another_canvas_are_no_answer(
    tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch, name: str, layout: str
) -> None:
    """Seen to deliver the boxes of the run before, scaled to this picture."""
    from yoloom.runtime.registry import find_backend

    backend = find_backend(name, "cpu")
    model = read_model(tiny_onnx(layout=layout))
    form = form_of(backend, model, latency_profile(1))
    slot = ContextSlot(form, CpuGate().share(1))
    slot.warm_up()
    assert slot._place is not None
    slot._place = slot._place._replace(context=Stale(model, slot._place.context))
    slot.run(np.zeros((1, 64, 64, 3), np.uint8))
    with pytest.raises(RuntimeFailed, match="those of another run"):
        slot.run(np.zeros((1, 64, 128, 3), np.uint8))
    assert slot.run(np.zeros((1, 64, 128, 3), np.uint8))[0].shape[2] == 128


@pytest.mark.parametrize("shape", [(0, 7, 4), (2, 7, 4)])
def test_outputs_of_another_number_of_images_are_no_answer(shape: tuple[int, ...]) -> None:
    class Wrong(FakeBackend):
        def execute(self, model: Model, batch: Batch) -> RawOutputs:
            super().execute(model, batch)
            return (np.zeros(shape, np.float32),)

    context = Wrong().compile(fake_model(), latency_profile(1)).context()
    with pytest.raises(RuntimeFailed, match="a run that failed"):
        context.run(blank(fake_model()))


# ---- Lanes that run while another one fails


class Poisoned(FakeBackend):
    """Fails for white pictures. Each other run stands still until a white one has failed, as often as it is told to."""

    def __init__(self) -> None:
        super().__init__(lanes=2)
        self.spoil = 0
        self.failed = threading.Semaphore(0)
        self.began = threading.Semaphore(0)

    def execute(self, model: Model, batch: Batch) -> RawOutputs:
        if batch.min() == 255:
            self.began.acquire(timeout=30)
            raise RuntimeError("no memory")
        if batch.any() and self.spoil:
            self.spoil -= 1
            self.began.release()
            self.failed.acquire(timeout=30)
        return super().execute(model, batch)


@pytest.mark.parametrize("failures", [1, 2, 3])
def test_what_ran_while_another_lane_failed_is_repeated(failures: int) -> None:
    """Its answer is believed when it is repeated undisturbed, or when two disturbed runs agree."""
    backend = Poisoned()
    form = form_of(backend, fake_model(), throughput_profile(2))
    slots = [ContextSlot(form, CpuGate().share(2)) for _ in range(2)]
    slots[0].warm_up()
    backend.spoil = failures
    engine = thread_engine(fake_model(), FakeBackend(), threads=1)
    request = request_of(engine, 3)
    expected = FakeBackend().execute(fake_model(), canvas_of(request))[0][0]

    def fail() -> None:
        for _ in range(failures):
            with pytest.raises(RuntimeFailed, match="no memory"):
                slots[1].run(np.full((1, 64, 64, 3), 255, np.uint8))
            backend.failed.release()

    failing = threading.Thread(target=fail)
    failing.start()
    (outcome,) = slots[0].serve([request], lambda: 0.0)
    for _ in range(failures):
        backend.began.release()
        backend.failed.release()
    failing.join()
    engine.close()
    assert outcome.error is None
    assert outcome.retried
    assert outcome.outputs[0].tobytes() == expected.tobytes()


def request_of(engine: Engine, seed: int):  # type: ignore[no-untyped-def]
    job = LocalImageJob(engine.model, PredictOptions(), f"{seed}.jpg")
    job.prepare(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8))
    request = engine.new_request(RequestTerms(), lambda _: None)
    request.image = job
    return request


def canvas_of(request) -> Batch:  # type: ignore[no-untyped-def]
    canvas = np.empty((1, *request.image.canvas_hw, 3), np.uint8)
    request.image.draw(canvas[0])
    return canvas


def test_a_network_that_recovers_by_itself_is_kept() -> None:
    class Recovers(FakeCompiled):
        recovers = True

    class Backend(FakeBackend):
        def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> FakeCompiled:
            super().compile(model, profile, precision)
            return Recovers(self, model, 1, precision)

    backend = Backend()
    slot = slot_of(backend)
    backend.script(RuntimeError("no memory on the device"))
    with pytest.raises(RuntimeFailed):
        slot.run(blank(fake_model()))
    assert slot.run(blank(fake_model()))
    assert len(backend.compiled) == 1


def test_an_image_that_always_fails_fails_alone() -> None:
    class Fussy(FakeBackend):
        def execute(self, model: Model, batch: Batch) -> RawOutputs:
            if batch.min() == 255:
                raise RuntimeError("no memory")
            return super().execute(model, batch)

    engine = thread_engine(fake_model(), Fussy(), threads=2)
    engine.start()

    def ask(picture: np.ndarray) -> object:  # type: ignore[type-arg]
        job = LocalImageJob(engine.model, PredictOptions(), "a.jpg")
        return predict_now(engine, job, picture, RequestTerms())

    for _ in range(3):
        with pytest.raises(RuntimeFailed, match="no memory"):
            ask(np.full((64, 64, 3), 255, np.uint8))
        assert ask(np.zeros((64, 64, 3), np.uint8))
    engine.close()
