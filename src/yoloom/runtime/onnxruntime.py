"""ONNX Runtime: one session for each profile, shared by its contexts (`Run` may be called by any thread).

On a CPU as it comes, and on an NVIDIA GPU where the package onnxruntime-gpu is installed.
"""

from __future__ import annotations

import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from yoloom.errors import BackendUnavailable, InvalidModel, RuntimeFailed, UnknownDevice, UnsupportedModel
from yoloom.formats.model import Model
from yoloom.runtime.cpu import cpu_profiles
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import LATENCY, Batch, Context, Guarantee, Precision, Profile, RawOutputs, reason_of
from yoloom.sync.fork import undestroyed_in_child
from yoloom.system.shortage import naming_limits

try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from yoloom.runtime.onnxruntime_quietly import onnxruntime
except ImportError as error:
    raise BackendUnavailable(
        f"backend='onnxruntime' needs packages that are not installed ({error.name}): pip install 'yoloom[onnxruntime]'"
    ) from error

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import GraphProto, ModelProto

_INPUT = "yoloom_images"
_CUDA_PROVIDER = "CUDAExecutionProvider"
_LARGEST_ON_GPU = 8  # images at once, where neither the user nor the file says how many
_ERROR = 3  # ONNX Runtime's log severity: only errors are printed


class OnnxRuntimeBackend:
    """Runs ONNX files. Thread safety: any number of threads (stateless)."""

    name = "onnxruntime"

    def __init__(self, device: str = "cpu") -> None:
        """Check that this package has the device.

        Args:
            device: "cpu", "cuda" (the first GPU) or "cuda:N".

        Raises:
            UnknownDevice: No such name.
            BackendUnavailable: The package onnxruntime-gpu is not installed.
        """
        kind, _, number = device.partition(":")
        if device != "cpu" and (kind != "cuda" or (":" in device and not (number.isascii() and number.isdecimal()))):
            raise UnknownDevice(f"device must be 'cpu', 'cuda' or 'cuda:N' for backend 'onnxruntime', got {device!r}.")
        if kind == "cuda" and _CUDA_PROVIDER not in onnxruntime.get_available_providers():
            raise BackendUnavailable(
                f"device {device!r} needs the package onnxruntime-gpu for .onnx files, got onnxruntime "
                f"{onnxruntime.__version__} without its {_CUDA_PROVIDER}: pip uninstall onnxruntime, then pip install "
                "onnxruntime-gpu. An Ultralytics .pt file runs with backend='torch' instead."
            )
        self.device = "cpu" if kind == "cpu" else f"cuda:{int(number or 0)}"

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """Describe the two profiles of a CPU, or the one of a GPU. Raises InvalidOption."""
        if self.device == "cpu":
            return cpu_profiles(self, model, threads, plan)
        largest = model.input.batch or plan.batch or _LARGEST_ON_GPU
        rising = {1 << shift for shift in range(largest.bit_length())}
        sizes = (largest,) if model.input.batch else tuple(sorted({*rising, largest}))
        return (Profile("batches", lanes=1, batch_sizes=sizes, max_wait_ms=plan.max_wait_ms or 0.0),)

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> OnnxRuntimeCompiled:
        """Load the network into a session. Raises InvalidModel, UnsupportedModel, or RuntimeFailed without memory."""
        if model.graph.format != "onnx":
            raise UnsupportedModel(
                f"{model.graph.path}: ONNX Runtime reads .onnx files; leave out backend='onnxruntime'."
            )
        what = f"{model.graph.path}: ONNX Runtime can not load it"
        try:
            with naming_limits(what):
                proto = _with_preprocessing(model)
                session = _session(proto, profile, self.device, precision)
        except RuntimeFailed:
            raise
        except Exception as error:  # the runtime has a dozen exception classes without a common base
            raise InvalidModel(f"{what}: {reason_of(error)}") from error
        if self.device != "cpu":
            if session.get_providers()[0] != _CUDA_PROVIDER:  # it falls back to the CPU by itself
                raise BackendUnavailable(
                    f"{model.graph.path}: onnxruntime-gpu can not use {self.device} (it fell back to "
                    f"{session.get_providers()[0]}): its CUDA and cuDNN libraries must be those of its version."
                )
            # Shared CUDA sessions were seen to fail when several threads run them at once: one at a time.
            return OnnxRuntimeCompiled(model, session, lanes=1, turn=threading.Lock())
        lanes = 1 if profile.name == LATENCY else (profile.streams or profile.threads) + 1
        return OnnxRuntimeCompiled(model, session, lanes, _has_attention(proto.graph))

    def keeps_bits_in_batches(self, model: Model) -> bool:
        """Tell whether an image has the same bits at any place of a batch: not on a GPU, and not with attention."""
        if self.device != "cpu":
            return False
        what = f"{model.graph.path}: it can not be read"
        try:
            with naming_limits(what):
                return not _has_attention(model.graph.load(_read).graph)
        except RuntimeFailed:
            raise
        except Exception as error:  # as above
            raise InvalidModel(f"{what}: {error}") from error

    def precisions(self) -> tuple[Precision, ...]:
        """List the number formats. Its CPU provider has no kernels of bfloat16 for these networks."""
        return (Precision.FP32,) if self.device == "cpu" else (Precision.FP32, Precision.TF32)

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
        """Say what holds for any network."""
        if self.device != "cpu":
            return Guarantee(
                backend=self.name,
                version=onnxruntime.__version__,
                device=self.device,
                precision=precision.value,
                bit_identical=False,
                tolerance=1e-3 if precision is Precision.FP32 else 2e-2,
                because="cuDNN chooses kernels by the size of the batch",
            )
        return Guarantee(
            backend=self.name,
            version=onnxruntime.__version__,
            device="cpu",
            precision=precision.value,
            bit_identical=True,
            tolerance=0.0,
            because="both forms use the same float32 kernels, and as many threads where sums are split by them",
        )


class OnnxRuntimeCompiled:
    """A session. Thread safety: any number of threads (immutable)."""

    def __init__(
        self,
        model: Model,
        session: onnxruntime.InferenceSession,
        lanes: int,
        splits_sums: bool = False,
        turn: threading.Lock | None = None,
    ) -> None:
        """Store. `turn` is held by whichever context runs, where the session serves one at a time."""
        self._turn = turn
        self._model = model
        self._session = undestroyed_in_child(session)
        self.lanes = lanes
        self.splits_sums = splits_sums

    def context(self) -> OnnxRuntimeContext:
        """Make a context, idle."""
        return OnnxRuntimeContext(self._model, self._session, self._turn)


class OnnxRuntimeContext(Context):
    """A turn on the shared session. Thread safety: one thread at a time; a second one gets ContextBusy."""

    def __init__(self, model: Model, session: onnxruntime.InferenceSession, turn: threading.Lock | None = None) -> None:
        super().__init__(model)
        self._session = session
        self._turn = turn or nullcontext()

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        try:
            with self._turn:
                outputs = self._session.run(None, {_INPUT: batch})
        except Exception as error:  # the runtime has a dozen exception classes without a common base
            raise RuntimeError(str(error)) from error
        return tuple(np.asarray(output, np.float32) for output in outputs)


def _session(proto: ModelProto, profile: Profile, device: str, precision: Precision) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR
    # Threads that spin while they wait take the cores from the other lanes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if device == "cpu":
        # LATENCY: all threads on one image. THROUGHPUT: one image for each stream, with one thread it is computed by
        # the caller itself; but with attention, how a sum is split depends on how many threads a session has, so there
        # both forms have as many.
        alone = profile.name == LATENCY or _has_attention(proto.graph)
        threads = profile.threads
        options.intra_op_num_threads = threads if alone else max(1, threads // (profile.streams or threads))
        providers: list[Any] = ["CPUExecutionProvider"]
    else:
        options.intra_op_num_threads = 1
        settings = {
            "device_id": int(device.partition(":")[2]),
            "cudnn_conv_algo_search": "HEURISTIC",  # the default chooses by timing, which may differ from run to run
            "use_tf32": int(precision is Precision.TF32),
        }
        providers = [(_CUDA_PROVIDER, settings), "CPUExecutionProvider"]
    return onnxruntime.InferenceSession(bytes(proto.SerializeToString()), options, providers=providers)


def _has_attention(graph: GraphProto) -> bool:
    """Whether it multiplies matrices neither of which is a constant."""
    weights = {initializer.name for initializer in graph.initializer}
    return any(node.op_type == "MatMul" and weights.isdisjoint(node.input) for node in graph.node)


def _read(source: Path | bytes) -> ModelProto:
    return onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load_model(os.fspath(source))


def _with_preprocessing(model: Model) -> ModelProto:
    """The network with (B, H, W, 3) uint8 BGR in."""
    proto = model.graph.load(_read)
    graph = proto.graph
    weights = {initializer.name for initializer in graph.initializer}
    images = next(value for value in graph.input if value.name not in weights)
    image_type = images.type.tensor_type
    nodes, value = [], _INPUT
    if not model.input.bgr:
        graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), "yoloom_rgb_from_bgr"))
        nodes.append(helper.make_node("Gather", [value, "yoloom_rgb_from_bgr"], ["yoloom_rgb"], axis=3))
        value = "yoloom_rgb"
    nodes.append(helper.make_node("Transpose", [value], ["yoloom_nchw"], perm=[0, 3, 1, 2]))
    value = "yoloom_nchw"
    if not model.input.pixels:
        graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), "yoloom_255"))
        nodes.append(helper.make_node("Cast", [value], ["yoloom_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Div", ["yoloom_float", "yoloom_255"], ["yoloom_scaled"]))
        value = "yoloom_scaled"
    nodes.append(helper.make_node("Cast", [value], [images.name], to=image_type.elem_type))
    dims: list[Any] = [dim.dim_value or dim.dim_param or None for dim in image_type.shape.dim]
    batch, _, height, width = dims
    graph.input.insert(0, helper.make_tensor_value_info(_INPUT, TensorProto.UINT8, [batch, height, width, 3]))
    graph.input.remove(images)
    for position, node in enumerate(nodes):
        graph.node.insert(position, node)
    return proto
