"""`.onnx` files: shapes, metadata and operators, without running or building anything.

Field numbers: onnx.proto, messages ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto, ValueInfoProto and
TypeProto.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

from yoloom.errors import InvalidModel
from yoloom.formats.graph import MOST_VALUES, Constant, Graph, Node
from yoloom.formats.head_layout import Dims, Signature
from yoloom.formats.model import ModelFile, lfs_pointer
from yoloom.formats.protobuf import fields, mapped, messages, text, unpacked

_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 1, 5, 11, 12
_INITIALIZER_NAME = 8
_VALUE_NAME, _VALUE_TYPE = 1, 2
_TYPE_TENSOR, _ELEMENT_TYPE, _TENSOR_SHAPE, _SHAPE_DIM, _DIM_VALUE = 1, 1, 2, 1, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP, _NODE_ATTRIBUTE = 1, 2, 4, 5
_ATTRIBUTE_INTEGER, _ATTRIBUTE_TENSOR = 3, 5
_LOOKED_AT = (b"\n\4axis", b"\n\5value")  # attributes, which begin with their name
_DIMS, _DATA_TYPE, _FLOATS, _INT32S, _INT64S, _RAW_DATA = 1, 2, 4, 5, 7, 9
_TYPES = {1: "float32", 2: "uint8", 3: "int8", 6: "int32", 7: "int64", 10: "float16", 11: "float64", 16: "bfloat16"}
_FORMATS = {1: "f", 2: "B", 3: "b", 6: "i", 7: "q", 10: "e", 11: "d"}  # of `struct`


def read_onnx(file: ModelFile) -> tuple[Signature, Mapping[str, str]]:
    """Read the shapes and the metadata that an ONNX file declares.

    Raises:
        InvalidModel: It is no ONNX file, damaged or cut short.
        OSError: It can not be read.
    """
    try:
        return file.load(
            lambda network: declarations(memoryview(network) if isinstance(network, bytes) else mapped(network))
        )
    except (ValueError, struct.error) as error:  # UnicodeDecodeError is a ValueError
        kind = f"no ONNX file, or a damaged or truncated one ({file.path.stat().st_size} bytes)"
        raise InvalidModel(
            lfs_pointer(file.path) or f"{file.path} is {kind}: {error}. Copy or export it again."
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
    constants = dict(map(_named_constant, parts[_GRAPH_INITIALIZER]))
    weights = constants.keys()  # files of IR version 3 list them among the inputs
    inputs = [value for value in parts[_GRAPH_INPUT] if text(value, _VALUE_NAME) not in weights]
    graph = _graph(parts[_GRAPH_NODE], constants, inputs, [text(value, _VALUE_NAME) for value in parts[_GRAPH_OUTPUT]])
    shapes = [_tensor_type(value) for value in inputs]
    outputs = [_tensor_type(value)[0] for value in parts[_GRAPH_OUTPUT]]
    return Signature([dims for dims, _ in shapes], outputs, shapes[0][1] if shapes else "", graph), notes


def _graph(
    operators: list[memoryview], constants: dict[str, Constant], inputs: list[memoryview], outputs: list[str]
) -> Graph:
    nodes = []
    for message in operators:
        taken: list[str] = []
        given: list[str] = []
        op, axis, tensor = "", None, None
        for number, _, value in fields(message):
            if not isinstance(value, memoryview):
                continue
            if number in (_NODE_INPUT, _NODE_OUTPUT):
                (taken if number == _NODE_INPUT else given).append(str(value, "utf-8"))
            elif number == _NODE_OP:
                op = str(value, "utf-8")
            elif number == _NODE_ATTRIBUTE and bytes(value[:7]).startswith(_LOOKED_AT):
                for key, _, integer in fields(value):
                    if key == _ATTRIBUTE_INTEGER and isinstance(integer, int):
                        axis = integer - (1 << 64) if integer >= 1 << 63 else integer  # two's complement
                tensor = next(messages(value, _ATTRIBUTE_TENSOR), tensor)
        if op == "Constant":
            constants.update({name: Constant(()) if tensor is None else _named_constant(tensor)[1] for name in given})
        else:
            nodes.append(Node(op, taken, given, axis))
    return Graph.folded(nodes, constants, text(inputs[0], _VALUE_NAME) if inputs else "", outputs)


def _named_constant(tensor: memoryview) -> tuple[str, Constant]:
    shape: list[int] = []
    kind = 0
    data: dict[int, memoryview] = {}
    for number, _, value in fields(tensor):
        if number == _DIMS:
            shape += unpacked(value) if isinstance(value, memoryview) else [value]
        elif number == _DATA_TYPE and isinstance(value, int):
            kind = value
        elif isinstance(value, memoryview):
            data[number] = value
    name = str(data.get(_INITIALIZER_NAME, b""), "utf-8")
    count = math.prod(shape)
    if not 0 < count <= MOST_VALUES or kind not in _FORMATS:
        return name, Constant(tuple(shape))
    raw = data.get(_RAW_DATA, data.get(_FLOATS) if kind == 1 else None)
    if raw is not None and len(raw) == count * struct.calcsize(_FORMATS[kind]):
        return name, Constant(tuple(shape), struct.unpack(f"<{count}{_FORMATS[kind]}", raw))
    integers = unpacked(data.get(_INT64S if kind == 7 else _INT32S, memoryview(b""))) if kind in (2, 3, 6, 7) else []
    return name, Constant(tuple(shape), tuple(map(float, integers)) if len(integers) == count else None)


def _tensor_type(value: memoryview) -> tuple[Dims, str]:
    """Return the shape of an input or output, and the type of its numbers: "" where the file does not say."""
    tensor = value
    for number in (_VALUE_TYPE, _TYPE_TENSOR):
        tensor = next(messages(tensor, number), memoryview(b""))
    types = [field for number, _, field in fields(tensor) if number == _ELEMENT_TYPE and isinstance(field, int)]
    dims: list[int | None] = []
    for dim in messages(next(messages(tensor, _TENSOR_SHAPE), memoryview(b"")), _SHAPE_DIM):
        sizes = [size for number, _, size in fields(dim) if number == _DIM_VALUE and isinstance(size, int)]
        # A named axis has no size. In protobuf the last value of a field counts, and negative ones wrap around 2**64.
        dims.append(sizes[-1] if sizes and 0 < sizes[-1] < 2**63 else None)
    return tuple(dims), _TYPES.get(types[-1], f"type {types[-1]}") if types else ""
