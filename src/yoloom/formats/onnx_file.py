"""`.onnx` files: shapes and metadata, without running or building anything.

Field numbers: onnx.proto, messages ModelProto, GraphProto, ValueInfoProto and TypeProto.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from yoloom.errors import InvalidModel
from yoloom.formats.model import ModelFile
from yoloom.formats.protobuf import fields, mapped, messages, text
from yoloom.formats.signature import Dims, Signature

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_INITIALIZER_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 2, 1, 1


def read_onnx(file: ModelFile) -> tuple[Signature, Mapping[str, str]]:
    """Read the shapes and the metadata that an ONNX file declares.

    Raises:
        InvalidModel: It is no ONNX file, damaged or cut short.
        OSError: It can not be read.
    """

    def declared(network: Path | bytes) -> tuple[Signature, Mapping[str, str]]:
        return declarations(memoryview(network) if isinstance(network, bytes) else mapped(network))

    try:
        return file.load(declared)
    except ValueError as error:  # UnicodeDecodeError is one
        size = file.path.stat().st_size
        raise InvalidModel(
            f"{file.path} is no ONNX file, or a damaged or truncated one ({size} bytes): {error}. "
            "Copy or export it again."
        ) from error


def declarations(model: memoryview) -> tuple[Signature, dict[str, str]]:
    """Return what the bytes of an ONNX file declare. Raises ValueError where they are none, or end too early."""
    graphs = list(messages(model, _MODEL_GRAPH))
    if len(graphs) != 1:
        raise ValueError(f"expected one graph, got {len(graphs)}")
    notes = {text(entry, _ENTRY_KEY): text(entry, _ENTRY_VALUE) for entry in messages(model, _MODEL_METADATA)}
    parts: dict[int, list[memoryview]] = {
        number: [] for number in (_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT)
    }
    for number, _, value in fields(graphs[0]):
        if number in parts and isinstance(value, memoryview):
            parts[number].append(value)
    if not parts[_GRAPH_NODE]:
        raise ValueError("the graph has no nodes")
    # Files of IR version 3 list their weights among the inputs.
    weights = {text(tensor, _INITIALIZER_NAME) for tensor in parts[_GRAPH_INITIALIZER]}
    inputs = [value for value in parts[_GRAPH_INPUT] if text(value, _VALUE_NAME) not in weights]
    return Signature([_dims(value) for value in inputs], [_dims(value) for value in parts[_GRAPH_OUTPUT]]), notes


def _dims(value: memoryview) -> Dims:
    inner = value
    for number in (_VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE):
        inner = next(messages(inner, number), memoryview(b""))
    dims: list[int | None] = []
    for dim in messages(inner, _SHAPE_DIM):
        sizes = [size for number, _, size in fields(dim) if number == _DIM_VALUE and isinstance(size, int)]
        # A named axis has no size. In protobuf the last value of a field counts, and negative ones wrap around 2**64.
        dims.append(sizes[-1] if sizes and 0 < sizes[-1] < 2**63 else None)
    return tuple(dims)
