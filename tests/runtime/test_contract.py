"""What every backend owes the engine: one suite for OpenVINO, ONNX Runtime, PyTorch where it is, and the fake."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from scenes import scene
from yoloom.errors import (
    BackendUnavailable,
    ContextBusy,
    InvalidModel,
    InvalidOption,
    RuntimeFailed,
    UnknownDevice,
    UnsupportedModel,
    UnsupportedOption,
)
from yoloom.formats.model import Layout, Model
from yoloom.formats.read import describe, read_model
from yoloom.images.letterbox import plan_letterbox
from yoloom.runtime.cpu import latency_profile, throughput_profile
from yoloom.runtime.precision import find_precision
from yoloom.runtime.protocol import LATENCY, THROUGHPUT, Backend, Batch, Context, Precision, Profile, RawOutputs
from yoloom.runtime.registry import CPU_BACKENDS, DeviceOptions, find_backend, parse_device
from yoloom.store.locate import file_at
from yoloom.system import cpu_model
from yoloom.system.cpus import available_cpus
from yoloom.testing import FakeBackend, Gate, barrier_run, fake_model, shaken

Factory = Callable[..., Path]

REAL = list(CPU_BACKENDS)
FORMS = (LATENCY, THROUGHPUT)


TORCH = pytest.param("torch", marks=pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed"))
CHECKPOINT = Path(__file__).parents[1] / "data" / "checkpoints" / "v10-detect.pt"  # with both kinds of heads


def backend_of(name: str) -> Backend:
    if name == "torch":
        from yoloom.runtime.torch.torch_backend import TorchBackend

        return TorchBackend("cpu", batch="fixed")
    return FakeBackend() if name == "fake" else find_backend(name, "cpu")


@pytest.fixture(params=["fake", *REAL, TORCH])
def backend(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


@pytest.fixture(params=REAL)
def real(request: pytest.FixtureRequest) -> Backend:
    return backend_of(request.param)


@pytest.fixture(params=list(Precision), ids=lambda precision: precision.value)
def precision(request: pytest.FixtureRequest) -> Precision:
    """Each in turn; a test skips those that its backend does not have here, with `skip_without`."""
    found: Precision = request.param
    return found


def skip_without(backend: Backend, precision: Precision) -> None:
    if precision not in backend.precisions():
        pytest.skip(f"{backend.name} has no {precision.value} on this machine")


@pytest.fixture
def model_of(
    backend: Backend, tiny_onnx: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Model]:
    """A tiny network for this backend; the fake needs its description only."""
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))

    def make(layout: str = "raw", batch: int | None = None, hw: tuple[int, int] | None = None) -> Model:
        if isinstance(backend, FakeBackend):
            return fake_model(batch=batch, hw=hw, layout=Layout.RAW if layout == "raw" else Layout.END2END)
        if backend.name == "torch":
            return of_checkpoint(layout, batch)
        return read_model(tiny_onnx(layout=layout, batch=batch, hw=hw))

    return make


def of_checkpoint(layout: str, batch: int | None) -> Model:
    """A checkpoint has no fixed sizes, and no NMS in its graph."""
    if layout == "nms" or (batch or 1) > 1:
        pytest.skip("no checkpoint is like this")
    model = describe(file_at(CHECKPOINT))
    return model if layout == "raw" else replace(model, layout=Layout.END2END)


def context_of(
    backend: Backend,
    model: Model,
    form: str = LATENCY,
    threads: int = 2,
    precision: Precision = Precision.FP32,
) -> Context:
    return backend.compile(model, Profile(form, threads), precision).context()


def image(seed: int, hw: tuple[int, int] = (64, 64)) -> Batch:
    return np.random.default_rng(seed).integers(0, 256, (1, *hw, 3), np.uint8)


def bits(outputs: RawOutputs) -> list[bytes]:
    return [output.tobytes() for output in outputs]


# ---- RawOutputs


def test_form_of_the_outputs(backend: Backend, model_of: Callable[..., Model]) -> None:
    outputs = context_of(backend, model_of()).run(image(0))
    assert isinstance(outputs, tuple)
    assert outputs[0].dtype == np.float32
    assert outputs[0].ndim == 3
    assert (outputs[0].shape[2] == 6) if backend.name == "torch" else (outputs[0].shape[:2] == (1, 7))


@pytest.mark.parametrize("layout", ["end2end", "nms"])
def test_suppressed_layouts(backend: Backend, model_of: Callable[..., Model], layout: str) -> None:
    (output,) = context_of(backend, model_of(layout, batch=1, hw=(64, 64))).run(image(0))
    assert output.shape[2] == 6
    assert output[0, 0, 4] > (0 if backend.name == "torch" else 0.25)  # the checkpoint's weights are random
    assert set(output[0, :, 5]) <= {0, 1, 2}


def test_outputs_belong_to_the_caller(backend: Backend, model_of: Callable[..., Model]) -> None:
    context = context_of(backend, model_of())
    first = context.run(image(1))
    before = bits(first)
    second = context.run(image(2))
    assert bits(first) == before != bits(second)
    first[0][...] = 0
    assert bits(context.run(image(2))) == bits(second)
    del context
    assert bits(second) != before


def test_input_is_left_alone(backend: Backend, model_of: Callable[..., Model]) -> None:
    batch = image(1)
    batch.flags.writeable = False
    before = batch.tobytes()
    context_of(backend, model_of(batch=3, hw=(64, 64))).run(batch)
    assert batch.tobytes() == before


def test_input_may_be_reused(backend: Backend, model_of: Callable[..., Model]) -> None:
    context, batch = context_of(backend, model_of()), image(1)
    first = context.run(batch)
    batch[...] = 0
    assert bits(first) == bits(context.run(image(1)))


# ---- Batches


def test_fixed_batch_is_filled_and_cut(backend: Backend, model_of: Callable[..., Model]) -> None:
    context = context_of(backend, model_of(batch=3, hw=(64, 64)))
    whole = context.run(np.concatenate([image(1), image(2), image(3)]))
    assert whole[0].shape[0] == 3
    for count in (1, 2):
        part = context.run(np.concatenate([image(1), image(2)][:count]))
        assert part[0].shape[0] == count
        assert part[0].tobytes() == whole[0][:count].tobytes()


def test_batch_that_is_too_large(backend: Backend, model_of: Callable[..., Model]) -> None:
    context = context_of(backend, model_of(batch=2, hw=(64, 64)))
    with pytest.raises(RuntimeFailed, match="batch of 3 does not fit a graph exported for 2"):
        context.run(np.concatenate([image(1)] * 3))
    assert len(context.run(image(1))[0]) == 1


def test_wrong_size_fails_and_leaves_the_context_usable(real: Backend, tiny_onnx: Factory) -> None:
    context = context_of(real, read_model(tiny_onnx(batch=1, hw=(64, 64))))
    with pytest.raises(RuntimeFailed, match=r"batch of shape \(1, 32, 64, 3\)"):
        context.run(image(0, (32, 64)))
    assert len(context.run(image(1))[0]) == 1


# ---- One thread at a time


class Held(Context):
    """A real context whose first run stands still at a gate."""

    def __init__(self, model: Model, inner: Context, gate: Gate) -> None:
        super().__init__(model)
        self._inner = inner
        self._gates = [gate]

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        if self._gates:
            self._gates.pop()()
        return self._inner._execute(batch, lowest_score)


def test_second_user_gets_context_busy(backend: Backend, model_of: Callable[..., Model]) -> None:
    """Seen to fail (no error, two users at once) with the lock in Context.run taken out."""
    model, gate = model_of(), Gate()
    context = Held(model, context_of(backend, model), gate)

    def use(number: int) -> RawOutputs:
        if number == 0:
            return context.run(image(0))
        gate.wait_for(1)
        try:
            with pytest.raises(ContextBusy, match="one thread at a time"):
                context.run(image(1))
        finally:
            gate.open()
        return ()

    first, _ = barrier_run(2, use)
    assert bits(first) == bits(context_of(backend, model).run(image(0)))
    assert bits(context.run(image(0))) == bits(first)  # free again


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), MemoryError(), KeyError("x"), ContextBusy("inner")])
def test_context_is_free_after_any_error(error: Exception) -> None:
    backend = FakeBackend()
    context = context_of(backend, fake_model())
    backend.script(error)
    expected = RuntimeFailed if type(error) is RuntimeError else type(error)
    with pytest.raises(expected):
        context.run(image(0))
    assert len(context.run(image(0))[0]) == 1


def test_failure_holds_the_words_of_the_runtime() -> None:
    backend = FakeBackend()
    backend.script(RuntimeError("out of memory"))
    with pytest.raises(RuntimeFailed, match="out of memory") as caught:
        context_of(backend, fake_model()).run(image(0))
    assert isinstance(caught.value.__cause__, RuntimeError)


# ---- Same bits


def test_forms_contexts_and_sizes_of_batches(
    backend: Backend, model_of: Callable[..., Model], precision: Precision
) -> None:
    skip_without(backend, precision)
    model, batch = model_of(), image(3, (64, 96))
    latency, throughput = (backend.compile(model, Profile(form, 2), precision) for form in FORMS)
    expected = bits(latency.context().run(batch))
    assert latency.lanes == 1 or backend.name == "torch"  # which has one profile, for many
    assert throughput.lanes >= 2
    for compiled in (latency, throughput):
        contexts = [compiled.context() for _ in range(3)]
        for context in contexts:
            assert bits(context.run(batch)) == expected
            for pair in ([batch, image(4, (64, 96))], [image(4, (64, 96)), batch]):
                both = context.run(np.concatenate(pair))
                mine = [output[next(i for i, one in enumerate(pair) if one is batch)] for output in both]
                assert [output.tobytes() for output in mine] == expected


def test_static_and_dynamic(real: Backend, tiny_onnx: Factory, precision: Precision) -> None:
    skip_without(real, precision)
    dynamic = context_of(real, read_model(tiny_onnx("dynamic.onnx")), precision=precision)
    for batch in (1, 3, 4):
        static = context_of(real, read_model(tiny_onnx("static.onnx", batch=batch, hw=(64, 96))), precision=precision)
        assert bits(static.run(image(5, (64, 96)))) == bits(dynamic.run(image(5, (64, 96))))


@pytest.mark.parametrize("streams", [None, 1, 2, 4])
def test_streams_and_larger_batches(
    backend: Backend, model_of: Callable[..., Model], streams: int | None, precision: Precision
) -> None:
    """An image at any place of any batch, whoever else is in it, and in however many streams."""
    skip_without(backend, precision)
    model, images = model_of(), np.concatenate([image(seed, (64, 96)) for seed in range(4)])
    assert backend.keeps_bits_in_batches(model)
    expected = [bits(context_of(backend, model, precision=precision).run(one[None])) for one in images]
    context = backend.compile(model, throughput_profile(4, streams), precision).context()
    for size in (1, 2, 3, 4):
        for start in range(5 - size):
            outputs = context.run(images[start : start + size])
            for row in range(size):
                assert [output[row].tobytes() for output in outputs] == expected[start + row]


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_lanes_follow_the_streams(backend: Backend, model_of: Callable[..., Model], streams: int) -> None:
    """OpenVINO gives no more streams than there are CPUs."""
    if backend.name == "torch":
        pytest.skip("its profile says how many lanes there are")
    compiled = backend.compile(model_of(), throughput_profile(4, streams))
    assert compiled.lanes in (streams + 1, min(streams, available_cpus()) + 1)
    assert backend.compile(model_of(), latency_profile(4)).lanes == 1


def test_onnx_runtime_promises_nothing_for_batches_with_attention(demo_model: Path, tiny_onnx: Factory) -> None:
    backend = backend_of("onnxruntime")
    assert not backend.keeps_bits_in_batches(read_model(demo_model))
    assert backend.keeps_bits_in_batches(read_model(tiny_onnx()))


@pytest.mark.slow
def test_deep_network_in_batches_of_four_and_any_number_of_streams(demo_model: Path) -> None:
    """A deep network, where a sum that is split differently would show."""
    backend, model = backend_of("openvino"), read_model(demo_model)
    batches = [letterboxed(seed) for seed in range(4)]
    single = context_of(backend, model)
    expected = [bits(single.run(batch)) for batch in batches]
    for streams in (1, 2, 4):
        context = backend.compile(model, throughput_profile(4, streams)).context()
        together = context.run(np.concatenate(batches))
        for row in range(4):
            assert [output[row].tobytes() for output in together] == expected[row]


def test_changing_sizes(backend: Backend, model_of: Callable[..., Model], precision: Precision) -> None:
    skip_without(backend, precision)
    context, fresh = context_of(backend, model_of(), precision=precision), model_of
    sizes = [(64, 64), (96, 64), (32, 128), (64, 64), (96, 64)]
    for seed, hw in enumerate(sizes):
        expected = context_of(backend, fresh(), precision=precision).run(image(seed, hw))
        assert bits(context.run(image(seed, hw))) == bits(expected)


def test_many_threads_at_once(backend: Backend, model_of: Callable[..., Model], precision: Precision) -> None:
    """Each thread with a context of its own, and each with the right answer, not just an answer."""
    skip_without(backend, precision)
    model = model_of()
    context = context_of(backend, model, precision=precision)
    expected = [bits(context.run(image(seed))) for seed in range(8)]
    compiled = backend.compile(model, throughput_profile(2), precision)
    contexts = [compiled.context() for _ in range(8)]
    with shaken():
        found = barrier_run(8, lambda index: [bits(contexts[index].run(image((index + i) % 8))) for i in range(8)])
    for index, answers in enumerate(found):
        assert answers == [expected[(index + i) % 8] for i in range(8)]


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_demo_model_in_both_forms_and_many_threads(demo_model: Path, name: str, precision: Precision) -> None:
    """A deep network, where a sum that is split differently would show."""
    backend, model = backend_of(name), read_model(demo_model)
    skip_without(backend, precision)
    batches = [letterboxed(seed) for seed in range(4)]
    single = context_of(backend, model, precision=precision)
    expected = [bits(single.run(batch)) for batch in batches]
    compiled = backend.compile(model, throughput_profile(2), precision)
    contexts = [compiled.context() for _ in range(4)]
    assert barrier_run(4, lambda index: bits(contexts[index].run(batches[index]))) == expected
    for count in (2, 4):
        whole = contexts[0].run(np.concatenate(batches[:count]))
        for row, alone in enumerate(expected[:count]):
            assert [output[row].tobytes() for output in whole] == alone


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("form", FORMS)
def test_demo_model_on_one_thread_and_on_several(demo_model: Path, name: str, form: str, precision: Precision) -> None:
    backend, model = backend_of(name), read_model(demo_model)
    skip_without(backend, precision)
    batch = letterboxed(5)
    found = {threads: bits(context_of(backend, model, form, threads, precision).run(batch)) for threads in (1, 2, 3)}
    assert found[1] == found[2] == found[3]


def letterboxed(seed: int) -> Batch:
    picture = scene(seed, (160, 128)).image
    letterbox = plan_letterbox((128, 160), (160, 160), 32)
    batch = np.empty((1, *letterbox.canvas_hw, 3), np.uint8)
    letterbox.draw(picture, batch[0])
    return batch


# ---- What goes into the network


@pytest.mark.parametrize("layout", ["raw", "end2end"])
def test_preprocessing_equals_rgb_over_255(real: Backend, tiny_onnx: Factory, layout: str) -> None:
    path = tiny_onnx(layout=layout)
    batch = image(7)
    by_hand = np.ascontiguousarray(batch[..., ::-1].transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
    (expected,) = onnxruntime.InferenceSession(path).run(None, {"images": by_hand})
    (found,) = context_of(real, read_model(path)).run(batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5 if real.name == "openvino" else 1e-6, atol=1e-6)


def test_channels_are_not_swapped(real: Backend, tiny_onnx: Factory) -> None:
    context = context_of(real, read_model(tiny_onnx()))
    blue, red = np.zeros((1, 64, 64, 3), np.uint8), np.zeros((1, 64, 64, 3), np.uint8)
    blue[..., 0] = red[..., 2] = 255
    assert bits(context.run(blue)) != bits(context.run(red))


def test_half_precision_graph(real: Backend, tiny_onnx: Factory) -> None:
    batch = image(8)
    (half,) = context_of(real, read_model(tiny_onnx("half.onnx", half=True))).run(batch)
    (single,) = context_of(real, read_model(tiny_onnx("single.onnx"))).run(batch)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, single, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("opset", [12, 17, 20])
def test_any_opset(real: Backend, tiny_onnx: Factory, opset: int) -> None:
    assert len(context_of(real, read_model(tiny_onnx(opset=opset))).run(image(0))) == 1


# ---- Precision


def test_float32_is_first_and_always_there(backend: Backend) -> None:
    assert backend.precisions()[0] is Precision.FP32
    assert len(set(backend.precisions())) == len(backend.precisions())


def test_bfloat16_is_what_the_network_is_computed_with(backend: Backend, model_of: Callable[..., Model]) -> None:
    """Near the float32 results and not equal to them: the runtime has not fallen back without a word."""
    skip_without(backend, Precision.BF16)
    if backend.name == "torch":
        pytest.skip("rows in the order of their scores are compared by tests/runtime/torch")
    model, batch = model_of(), image(6)
    single = context_of(backend, model).run(batch)
    brief = context_of(backend, model, precision=Precision.BF16).run(batch)
    assert bits(brief) != bits(single)
    for near, exact in zip(brief, single, strict=True):
        assert near.dtype == np.float32
        np.testing.assert_allclose(near, exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("layout", ["raw", "end2end", "nms"])
def test_coordinates_are_not_rounded_to_bfloat16(tiny_onnx: Factory, layout: str) -> None:
    """Beyond 256 it has every second pixel only. OpenVINO keeps what follows the last convolution in float32."""
    backend = backend_of("openvino")
    skip_without(backend, Precision.BF16)
    hw = (320, 320)
    model = read_model(tiny_onnx(layout=layout, batch=1, hw=hw))
    (output,) = context_of(backend, model, precision=Precision.BF16).run(image(0, hw))
    xywh = output[0, :4] if layout == "raw" else output[0, :, :4]
    assert (np.ascontiguousarray(xywh).view(np.uint32) & 0xFFFF).all()


@pytest.mark.parametrize("name", ["fake", *REAL])
def test_what_is_asked_for_becomes_what_is_there(name: str) -> None:
    backend = backend_of(name)
    assert find_precision("auto", backend) in backend.precisions()
    assert find_precision("fp32", backend) is Precision.FP32
    for precision in Precision:
        if precision in backend.precisions():
            assert find_precision(precision.value, backend) is precision
        else:
            with pytest.raises(UnsupportedOption, match=f"must be fp32.* for backend '{name}' on this machine"):
                find_precision(precision.value, backend)


def test_onnxruntime_has_float32_only() -> None:
    assert backend_of("onnxruntime").precisions() == (Precision.FP32,)


def test_a_machine_without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenVINO lists decides: it would compile with bf16 on any AVX-512, and emulate it slowly."""

    class WithoutBf16:
        def get_property(self, device: str, name: str) -> list[str]:
            assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
            return ["WINOGRAD", "FP32", "INT8", "BIN", "EXPORT_IMPORT"]

    monkeypatch.setattr("yoloom.runtime.openvino.core", WithoutBf16)
    backend = backend_of("openvino")
    assert backend.precisions() == (Precision.FP32,)
    assert find_precision("auto", backend) is Precision.FP32
    with pytest.raises(UnsupportedOption, match="must be fp32 for backend 'openvino' on this machine, got 'bf16'"):
        find_precision("bf16", backend)


def test_float32_asks_the_runtime_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the default, and the start should not wait for an answer that it does not need."""
    backend = FakeBackend()
    monkeypatch.setattr(backend, "precisions", None)
    assert find_precision("fp32", backend) is Precision.FP32


CPUS = {
    "AMX": ("GenuineIntel", "avx512f avx512_bf16 amx_bf16 amx_tile", True),
    "AMD": ("AuthenticAMD", "avx512f avx512_bf16", True),
    "Intel without AMX": ("GenuineIntel", "avx512f avx512_bf16", False),
    "AMX for whole numbers only": ("GenuineIntel", "avx512_bf16 amx_int8 amx_tile", False),
    "conversions only": ("GenuineIntel", "avx2 avx_ne_convert", False),
    "AMD without bfloat16": ("AuthenticAMD", "avx512f", False),
    "another maker": ("HygonGenuine", "avx512_bf16", False),
}


@pytest.mark.parametrize("cpu", [*CPUS, "another system", "ARM"])
@pytest.mark.parametrize("name", ["fake", "openvino", TORCH])
def test_auto_is_bfloat16_only_where_that_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, cpu: str
) -> None:
    # Before, it was wherever the runtime lists it, which took 1.5 times as long on Intel's CPUs without AMX.
    backend = backend_of(name)
    monkeypatch.setattr(type(backend), "precisions", lambda _: (Precision.FP32, Precision.BF16))
    vendor, flags, is_fast = CPUS.get(cpu, ("", "", False))
    cpuinfo = tmp_path / "cpuinfo"
    if cpu == "ARM":
        cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd bf16\nCPU implementer\t: 0x41\n\nprocessor\t: 1\n")
    elif flags:
        one = "processor\t: {}\nvendor_id\t: {}\nmodel name\t: A CPU: fast\nflags\t\t: fpu {}\n"
        cpuinfo.write_text(f"{one.format(0, vendor, flags)}\n{one.format(1, 'B', 'amx_bf16')}\n")
        assert cpu_model.cpu_model() != "A CPU: fast"
    monkeypatch.setattr(cpu_model, "_CPUINFO", cpuinfo)
    assert not flags or cpu_model.cpu_model() == "A CPU: fast"
    assert find_precision("auto", backend) is (Precision.BF16 if is_fast else Precision.FP32)
    assert find_precision("bf16", backend) is Precision.BF16


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("asked", ["", "FP32", "fp64", "int8", "bf16 ", True, 32, Precision.BF16, Unspeakable()])
def test_precisions_that_do_not_exist(asked: object) -> None:
    with pytest.raises(InvalidOption, match="precision must be one of fp32, bf16, fp16, tf32, auto, got ") as caught:
        find_precision(asked, FakeBackend())
    assert type(caught.value) is InvalidOption


# ---- Files


def test_openvino_ir(tiny_ir: Factory, tiny_onnx: Factory) -> None:
    backend = backend_of("openvino")
    expected = context_of(backend, read_model(tiny_onnx("same.onnx"))).run(image(1))
    assert bits(context_of(backend, read_model(tiny_ir(None))).run(image(1))) == bits(expected)


def test_ir_is_not_for_onnxruntime(tiny_ir: Factory) -> None:
    with pytest.raises(UnsupportedModel, match="leave out backend='onnxruntime'"):
        backend_of("onnxruntime").compile(read_model(tiny_ir(None)), latency_profile(1))


def test_weights_that_are_damaged(
    real: Backend, tiny_onnx: Factory, ultralytics_notes: Callable[..., dict[str, str]]
) -> None:
    """The declarations are sound, so the file is read; the runtime is the first to look at the weights."""
    path = tiny_onnx(metadata=ultralytics_notes())
    model = read_model(path)
    path.write_bytes(path.read_bytes().replace(b"Sigmoid", b"Sigmoix"))
    assert read_model(path) == model
    with pytest.raises(InvalidModel, match=r"tiny\.onnx"):
        real.compile(model, latency_profile(1))


def test_file_that_went_away(real: Backend, tiny_onnx: Factory) -> None:
    path = tiny_onnx()
    model = read_model(path)
    path.unlink()
    with pytest.raises(InvalidModel, match=r"tiny\.onnx"):
        real.compile(model, latency_profile(1))


def test_ir_with_damaged_weights(tiny_ir: Factory) -> None:
    folder = tiny_ir(None)
    model = read_model(folder)
    (folder / "tiny.bin").write_bytes(b"")
    with pytest.raises(InvalidModel):
        backend_of("openvino").compile(model, latency_profile(1))


def test_compilation_that_fails_in_the_fake() -> None:
    backend = FakeBackend()
    backend.script_compile(InvalidModel("scripted"))
    with pytest.raises(InvalidModel, match="scripted"):
        backend.compile(fake_model(), latency_profile(1))
    backend.compile(fake_model(), latency_profile(1))
    assert backend.compiled == [LATENCY] * 2


# ---- Names


def test_guarantee(backend: Backend, precision: Precision) -> None:
    skip_without(backend, precision)
    guarantee = backend.guarantee(precision)
    assert guarantee.backend == backend.name
    assert guarantee.version
    assert (guarantee.device, guarantee.precision) == ("cpu", precision.value)
    assert guarantee.bit_identical is (backend.name != "torch")  # which measures each network when it is compiled
    assert (guarantee.tolerance == 0.0) is guarantee.bit_identical
    assert guarantee.because


def test_the_guarantee_names_the_kernels_that_it_speaks_of() -> None:
    backend = backend_of("openvino")
    assert "float32" in backend.guarantee().because
    assert "bfloat16" in backend.guarantee(Precision.BF16).because


@pytest.mark.parametrize("name", REAL)
def test_backends_by_name(name: str) -> None:
    assert find_backend(name, "cpu").name == name


def test_unknown_names() -> None:
    with pytest.raises(InvalidOption, match="backend must be one of openvino, onnxruntime, torch, got 'tensorrt'"):
        find_backend("tensorrt", "cpu")
    for name in REAL:
        for device in ("gpu", "", "CPU "):
            with pytest.raises(UnknownDevice, match=name):
                find_backend(name, device)
    with pytest.raises(UnknownDevice, match="openvino"):
        find_backend("openvino", "cuda:0")


@pytest.mark.parametrize(
    ("device", "name"),
    [("cpu", "cpu"), ("CPU", "cpu"), ("cuda", "cuda:0"), ("cuda:3", "cuda:3"), (1, "cuda:1"), ("2", "cuda:2")],
)
def test_devices_by_name(device: object, name: str) -> None:
    assert parse_device(device) == name


@pytest.mark.parametrize("device", ["gpu", "", "cuda:-1", "cuda:x", -1, None, 1.5, True, ["cpu"]])
def test_devices_that_are_none(device: object) -> None:
    with pytest.raises(UnknownDevice, match="must be 'cpu', 'cuda'"):
        parse_device(device)


def test_options_of_a_gpu_are_refused_on_a_cpu() -> None:
    with pytest.raises(UnsupportedOption, match="same bits in every batch"):
        find_backend("openvino", "cpu", DeviceOptions(fixed_batch=True))


@pytest.mark.slow
@pytest.mark.parametrize("package", ["onnxruntime", "onnx"])
def test_package_that_is_not_installed(package: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = None
from yoloom.runtime.registry import find_backend
try:
    find_backend("onnxruntime", "cpu")
except ImportError as error:
    print(type(error).__name__, error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert told.startswith(BackendUnavailable.__name__)
    assert "pip install 'yoloom[onnxruntime]'" in told
