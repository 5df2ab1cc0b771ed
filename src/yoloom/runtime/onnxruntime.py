"""ONNX Runtime on the CPU: one session for each form, shared by its contexts (`Run` may be called by any thread)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from yoloom.errors import BackendUnavailable, InvalidModel, UnsupportedModel
from yoloom.formats.model import Model
from yoloom.runtime.cpu import cpu_profiles
from yoloom.runtime.plan import Plan
from yoloom.runtime.protocol import LATENCY, Batch, Context, Guarantee, Precision, Profile, RawOutputs

try:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:
    raise BackendUnavailable(
        f"backend='onnxruntime' needs packages that are not installed ({error.name}): pip install 'yoloom[onnxruntime]'"
    ) from error

if TYPE_CHECKING:
    from pathlib import Path

    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

_INPUT = "yoloom_images"
_ERROR = 3  # ONNX Runtime's log severity: only errors are printed


class OnnxRuntimeBackend:
    """Runs ONNX files. Stateless: shared freely."""

    name = "onnxruntime"
    device = "cpu"

    def profiles(self, model: Model, threads: int, plan: Plan) -> tuple[Profile, ...]:
        """Describe the two profiles of a CPU. Raises InvalidOption."""
        return cpu_profiles(self, model, threads, plan)

    def compile(self, model: Model, profile: Profile, precision: Precision = Precision.FP32) -> OnnxRuntimeCompiled:
        """Load the network into a session. Raises InvalidModel or UnsupportedModel."""
        if model.graph.format != "onnx":
            raise UnsupportedModel(
                f"{model.graph.path}: ONNX Runtime reads .onnx files; leave out backend='onnxruntime'."
            )
        try:
            proto = _with_preprocessing(model)
            session = _session(proto, profile)
        except Exception as error:  # the runtime has a dozen exception classes without a common base
            raise InvalidModel(f"{model.graph.path}: ONNX Runtime can not load it: {error}") from error
        lanes = 1 if profile.name == LATENCY else (profile.streams or profile.threads) + 1
        return OnnxRuntimeCompiled(model, session, lanes, _has_attention(proto.graph))

    def keeps_bits_in_batches(self, model: Model) -> bool:
        try:
            return not _has_attention(model.graph.load(_read).graph)
        except Exception as error:  # as above
            raise InvalidModel(f"{model.graph.path}: it can not be read: {error}") from error

    def precisions(self) -> tuple[Precision, ...]:
        return (Precision.FP32,)  # its CPU provider has no kernels of bfloat16 for these networks

    def guarantee(self, precision: Precision = Precision.FP32) -> Guarantee:
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
    """A session. Immutable: shared freely."""

    def __init__(
        self, model: Model, session: onnxruntime.InferenceSession, lanes: int, splits_sums: bool = False
    ) -> None:
        self._model = model
        self._session = session
        self.lanes = lanes
        self.splits_sums = splits_sums

    def context(self) -> OnnxRuntimeContext:
        return OnnxRuntimeContext(self._model, self._session)


class OnnxRuntimeContext(Context):
    """A turn on the shared session. One thread at a time (ContextBusy)."""

    def __init__(self, model: Model, session: onnxruntime.InferenceSession) -> None:
        super().__init__(model)
        self._session = session

    def _execute(self, batch: Batch, lowest_score: float) -> RawOutputs:
        try:
            outputs = self._session.run(None, {_INPUT: batch})
        except Exception as error:  # the runtime has a dozen exception classes without a common base
            raise RuntimeError(str(error)) from error
        return tuple(np.asarray(output, np.float32) for output in outputs)


def _session(proto: ModelProto, profile: Profile) -> onnxruntime.InferenceSession:
    # LATENCY: all threads on one image. THROUGHPUT: one image for each stream, with one thread it is computed by the
    # caller itself; but with attention, how a sum is split depends on how many threads a session has, so there both
    # forms have as many.
    alone = profile.name == LATENCY or _has_attention(proto.graph)
    threads = profile.threads
    intra = threads if alone else max(1, threads // (profile.streams or threads))
    return onnxruntime.InferenceSession(
        bytes(proto.SerializeToString()), _session_options(intra), providers=["CPUExecutionProvider"]
    )


def _has_attention(graph: GraphProto) -> bool:
    """Whether it multiplies matrices neither of which is a constant."""
    weights = {initializer.name for initializer in graph.initializer}
    return any(node.op_type == "MatMul" and weights.isdisjoint(node.input) for node in graph.node)


def _session_options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR
    # Threads that spin while they wait take the cores from the other lanes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _read(source: Path | bytes) -> ModelProto:
    return onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load_model(os.fspath(source))


def _with_preprocessing(model: Model) -> ModelProto:
    """The network with (B, H, W, 3) uint8 BGR in."""
    proto = model.graph.load(_read)
    graph = proto.graph
    weights = {initializer.name for initializer in graph.initializer}
    images = next(value for value in graph.input if value.name not in weights)
    nodes = _preprocessing_nodes(graph, images)
    graph.input.insert(0, _uint8_input(images))
    graph.input.remove(images)
    for position, node in enumerate(nodes):
        graph.node.insert(position, node)
    return proto


def _uint8_input(images: ValueInfoProto) -> ValueInfoProto:
    dims: list[Any] = [dim.dim_value or dim.dim_param or None for dim in images.type.tensor_type.shape.dim]
    batch, _, height, width = dims
    return helper.make_tensor_value_info(_INPUT, TensorProto.UINT8, [batch, height, width, 3])


def _preprocessing_nodes(graph: GraphProto, images: ValueInfoProto) -> list[NodeProto]:
    reverse, scale = "yoloom_rgb_from_bgr", "yoloom_255"
    graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), reverse))
    graph.initializer.append(numpy_helper.from_array(np.array(255, np.float32), scale))
    own_type = images.type.tensor_type.elem_type
    return [
        helper.make_node("Gather", [_INPUT, reverse], ["yoloom_rgb"], axis=3),
        helper.make_node("Transpose", ["yoloom_rgb"], ["yoloom_nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["yoloom_nchw"], ["yoloom_float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["yoloom_float", scale], ["yoloom_scaled"]),
        helper.make_node("Cast", ["yoloom_scaled"], [images.name], to=own_type),
    ]
