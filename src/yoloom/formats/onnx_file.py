"""`.onnx` files: shapes and metadata, without running or building anything.

Field numbers: onnx.proto, messages ModelProto, GraphProto, ValueInfoProto and TypeProto.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from yoloom.errors import InvalidModel
from yoloom.formats.model import Graph
from yoloom.formats.protobuf import fields, mapped, messages, text
from yoloom.formats.signature import Dims, Signature

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_INITIALIZER_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 2, 1, 1


def read_onnx(path: Path) -> tuple[Graph, Signature, Mapping[str, str]]:
    """What an ONNX file declares. Raises InvalidModel when it is no ONNX, damaged or cut short."""
    size = path.stat().st_size
    try:
        signature, notes = declarations(mapped(path))
    except ValueError as error:  # UnicodeDecodeError is one
        raise InvalidModel(
            f"{path} is no ONNX file, or a damaged or truncated one ({size} bytes): {error}. Copy or export it again."
        ) from error
    return Graph("onnx", (path,)), signature, notes


def declarations(model: memoryview) -> tuple[Signature, dict[str, str]]:
    """What the bytes of an ONNX file declare. Raises ValueError where they are none, or end too early."""
    graphs = list(messages(model, _MODEL_GRAPH))
    if len(graphs) != 1:
        raise ValueError(f"expected one graph, got {len(graphs)}")
    notes = {text(entry, _ENTRY_KEY): text(entry, _ENTRY_VALUE) for entry in messages(model, _MODEL_METADATA)}
    return _signature(graphs[0]), notes


def _signature(graph: memoryview) -> Signature:
    found: dict[int, list[memoryview]] = {
        number: [] for number in (_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT)
    }
    for number, _, value in fields(graph):
        if number in found and isinstance(value, memoryview):
            found[number].append(value)
    if not found[_GRAPH_NODE]:
        raise ValueError("the graph has no nodes")
    # Files of IR version 3 list their weights among the inputs.
    weights = {text(tensor, _INITIALIZER_NAME) for tensor in found[_GRAPH_INITIALIZER]}
    inputs = [value for value in found[_GRAPH_INPUT] if text(value, _VALUE_NAME) not in weights]
    return Signature([_dims(value) for value in inputs], [_dims(value) for value in found[_GRAPH_OUTPUT]])


def _dims(value: memoryview) -> Dims:
    inner = value
    for number in (_VALUE_TYPE, _TYPE_TENSOR, _TENSOR_SHAPE):
        inner = next(messages(inner, number), memoryview(b""))
    return tuple(_dim(dim) for dim in messages(inner, _SHAPE_DIM))


def _dim(dim: memoryview) -> int | None:
    sizes = [value for number, _, value in fields(dim) if number == _DIM_VALUE and isinstance(value, int)]
    return sizes[-1] if sizes and 0 < sizes[-1] < 2**63 else None
