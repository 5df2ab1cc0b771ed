"""OpenVINO: one compiled model for each form, one infer request for each context."""

from __future__ import annotations

import os
import threading

import cv2
import numpy as np
from numpy.typing import NDArray

from yoloom.errors import ForkedEngine, InvalidModel, RuntimeFailed, UnsupportedModel
from yoloom.formats.model import Model, Quantization
from yoloom.runtime.cpu import cpu_profiles
from yoloom.runtime.openvino_quietly import openvino as ov
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import (
    LATENCY,
    THROUGHPUT,
    Batch,
    Context,
    Guarantee,
    Precision,
    Profile,
    RawOutputs,
    reason_of,
)
from yoloom.sync.fork import after_fork_in_child, undestroyed_in_child
from yoloom.system.shortage import naming_limits

_OTHER = "open it with YOLO(path, backend='onnxruntime')"
_HINTS = {LATENCY: "LATENCY", THROUGHPUT: "THROUGHPUT"}
_PRECISION_HINTS = {Precision.FP32: "f32", Precision.BF16: "bf16"}
_BECAUSE = {
    Precision.FP32: "both forms use the same float32 kernels, and no kernel splits a sum between threads",
    Precision.BF16: "both forms use the same bfloat16 kernels, and no kernel splits a sum between threads "
    "(measured with AVX512-BF16, not with AMX)",
}

# A number that no network computes: a NaN with bits of our own. Of each output so many numbers are looked at.
_UNWRITTEN = np.uint32(0x7FC0_DEAD)
_SAMPLES = 64

# Requests that may be run once more by OpenVINO itself, with what they read.
_lost_requests: list[tuple[ov.InferRequest, Batch]] = []

# Guards the making of the one Core of the process: two would keep two plugins and two thread pools.
_core_lock = threading.Lock()
_core: tuple[int, ov.Core | None] | None = None  # with the process that made it, or was about to


@after_fork_in_child
def _reset_after_fork() -> None:
    global _core_lock, _core
    if _core is None and _core_lock.locked():  # by a thread that is not here, in the middle of OpenVINO's own code
        _core = os.getppid(), None
    _core_lock = threading.Lock()


def core() -> ov.Core:
    """The Core of this process, made on first use. Shared freely. Raises ForkedEngine where only its copy is."""
    global _core
    if _core is None:
        with _core_lock:
            if _core is None:
                new = undestroyed_in_child(ov.Core())
                # Weights in a mapped file would change under a running model when somebody writes to the file.
                new.set_property({"ENABLE_MMAP": False})
                _core = os.getpid(), new
    pid, made = _core
    if made is None or pid != os.getpid():
        raise ForkedEngine(
            "OpenVINO was used before this process forked, and its threads are not here: start processes with "
            "multiprocessing.get_context('spawn'), or open the first model after the fork."
        )
    return made


class OpenVINOBackend:
    """Runs ONNX files and OpenVINO IR. Stateless: shared freely."""

    name = "openvino"
    device = "cpu"
    compiling_bytes = 384 * 2**20  # most of it for the memory pools of new threads; 180 to 320 MiB were seen

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """Describe the two profiles of a CPU. Raises InvalidOption."""
        return cpu_profiles(self, model, threads, plan)

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> OpenVINOCompiled:
        """Compile the network.

        Raises InvalidModel, UnsupportedModel for operators that it computes wrongly, or RuntimeFailed.
        """
        if model.quantization is Quantization.CONTRIBUTED:
            # QLinearAdd, QLinearMul, QLinearLeakyRelu and others give other numbers (2026.4), and no error.
            raise UnsupportedModel(
                f"{model.graph.path} is quantised with operators that ONNX Runtime alone defines, and OpenVINO gives "
                f"wrong numbers for: {_OTHER}."
            )
        what = f"{model.graph.path}: OpenVINO can not compile it"
        try:
            with naming_limits(what):
                compiled = core().compile_model(_with_preprocessing(model), "CPU", _settings(profile, precision))
        except RuntimeError as error:
            other = f" {_OTHER}." if model.graph.format == "onnx" else ""
            raise InvalidModel(f"{what}: {reason_of(error)}.{other}") from error
        return OpenVINOCompiled(model, compiled, profile.name == LATENCY)

    def exported(self, compiled: OpenVINOCompiled) -> memoryview:
        """Serialise the compiled network. Raises RuntimeFailed."""
        try:
            return memoryview(compiled.network.export_model().getbuffer())
        except RuntimeError as error:
            raise RuntimeFailed(f"{compiled.path}: OpenVINO can not export it: {reason_of(error)}") from error

    def imported(
        self, model: Model, profile: Profile, data: NDArray[np.uint8], precision: Precision = Precision.FP32
    ) -> OpenVINOCompiled:
        """Compile what was exported, around `data` itself. Raises InvalidModel or RuntimeFailed."""
        what = f"{model.graph.path}: OpenVINO can not import it"
        try:
            with naming_limits(what):
                shared = ov.Tensor(data, shared_memory=True)
                compiled = core().import_model(shared, "CPU", _settings(profile, precision))
        except RuntimeError as error:
            raise InvalidModel(f"{what}: {reason_of(error)}") from error
        return OpenVINOCompiled(model, compiled, profile.name == LATENCY, data)

    def precisions(self) -> tuple[Precision, ...]:
        """List what this CPU computes in without emulation."""
        # Without native instructions OpenVINO emulates bfloat16: as coarse, at 0.4 of float32's speed (measured).
        native = "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return (Precision.FP32, Precision.BF16) if native else (Precision.FP32,)

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Tell that an image has the same bits in a batch as alone: true of all networks here."""
        return True

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """Say what holds for the bits of results in a precision."""
        return Guarantee(
            backend=self.name,
            version=ov.__version__,
            device="cpu",
            precision=precision.value,
            bit_identical=True,
            tolerance=0.0,
            because=_BECAUSE[precision],
        )


def _settings(profile: Profile, precision: Precision) -> dict[str, object]:
    settings: dict[str, object] = {
        "PERFORMANCE_HINT": _HINTS[profile.name],
        "INFERENCE_PRECISION_HINT": _PRECISION_HINTS[precision],
        "INFERENCE_NUM_THREADS": profile.threads,
        # Pinned threads of two models would share one core while another idles.
        "ENABLE_CPU_PINNING": False,
    }
    if profile.streams is not None:
        settings["NUM_STREAMS"] = profile.streams
    return settings


class OpenVINOCompiled:
    """Weights in OpenVINO's form. Immutable: shared freely."""

    splits_sums = False

    def __init__(
        self, model: Model, compiled: ov.CompiledModel, for_one: bool, data: NDArray[np.uint8] | None = None
    ) -> None:
        """Keep `data`, the memory that it was imported from, alive: OpenVINO looks at it and does not own it."""
        self.path = model.graph.path
        self.network = undestroyed_in_child(compiled)
        self._model = model
        self._data = data
        # One request more than there are streams: the next image starts while Python still fetches the last result.
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self.lanes = 1 if for_one else streams + 1
        self._hides_failures = streams == int(compiled.get_property("INFERENCE_NUM_THREADS")) == 1

    def context(self) -> OpenVINOContext:
        """Make an infer request with buffers of its own."""
        return OpenVINOContext(self._model, self.network.create_infer_request(), self._data, self._hides_failures)


class OpenVINOContext(Context):
    """One infer request. One thread at a time (ContextBusy).

    With one stream of one thread, `infer` returns from a run that failed as if all were well: the outputs are those of
    the run before, in size and in content, and what failed is begun once more by the thread's next run, on a request
    that may be gone by then (2026.4). So there a run that may want memory is not made by `infer`.
    """

    def __init__(
        self, model: Model, request: ov.InferRequest, data: NDArray[np.uint8] | None, hides_failures: bool
    ) -> None:
        super().__init__(model)
        self._request = undestroyed_in_child(request)
        self._data = data  # lasts as long as the request
        self._bgr = model.input.bgr
        self._rgb = np.empty((0, 0, 0, 3), np.uint8)
        self._hides_failures = hides_failures
        self._laid_out: set[tuple[int, ...]] = set()  # sizes that have run, for which there is memory
        for tensor in request.output_tensors:
            _samples(tensor.data)[...] = _UNWRITTEN

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        request = self._request
        pixels = batch if self._bgr else self._as_rgb(batch)
        request.set_input_tensor(ov.Tensor(pixels, shared_memory=True))
        if self._hides_failures and pixels.shape not in self._laid_out:
            request.start_async()  # which takes another thread, and tells
            request.wait()
        else:
            request.infer()
        outputs = []
        for tensor in request.output_tensors:
            # A view of the request's memory, which the next user overwrites.
            data = tensor.data
            samples = _samples(data)
            if (samples == _UNWRITTEN).any():
                # Never freed: what failed may be begun again by anything that OpenVINO runs in this thread.
                _lost_requests.append((request, pixels))
                raise RuntimeError("OpenVINO returned without having written its outputs, as it does without memory")
            outputs.append(np.array(data, np.float32, copy=True))
            samples[...] = _UNWRITTEN  # the next run overwrites or replaces it
        if self._hides_failures:
            self._laid_out.add(pixels.shape)
        return tuple(outputs)

    def _as_rgb(self, batch: Batch) -> Batch:
        """The batch with its channels in the network's order, in memory that lasts until the next call.

        OpenVINO offers to do that inside of the graph (`convert_color`), and then moves the step through the graph into
        a convolution. In some graphs of free size (one-to-one heads, 2026.4) it gets lost on the way: no error, but
        other boxes.
        """
        if self._rgb.shape != batch.shape:
            self._rgb = np.empty_like(batch)
        rows = (-1, *batch.shape[2:])
        cv2.cvtColor(batch.reshape(rows), cv2.COLOR_BGR2RGB, dst=self._rgb.reshape(rows))
        return self._rgb


def _samples(data: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Some numbers from all over an output, as bits, in place."""
    return data.reshape(-1)[:: max(1, data.size // _SAMPLES)].view(np.uint32)


def _with_preprocessing(model: Model) -> ov.Model:
    """The network with (B, H, W, 3) uint8 RGB in and float32 out."""
    network = model.graph.load(core().read_model)
    own_type = network.input().element_type
    steps = ov.preprocess.PrePostProcessor(network)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    if model.input.pixels:
        steps.input().preprocess().convert_element_type(own_type)
    else:
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0).convert_element_type(own_type)
    for index in range(len(network.outputs)):
        steps.output(index).tensor().set_element_type(ov.Type.f32)
    return steps.build()
