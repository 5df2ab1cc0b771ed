"""An ONNX graph that is written down node by node, with weights that are computed when the file is written.

Field and type numbers: onnx.proto, messages AttributeProto, NodeProto, TensorProto, ValueInfoProto and GraphProto.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from yoloom.errors import UnsupportedModel
from yoloom.formats.checkpoint.network.conv_weights import Array
from yoloom.formats.protobuf import Deferred, ProtoMessage

MOST_NODES = 50_000  # the largest known network has 2,000

Dims = Sequence["int | str"]
"""A declared shape: a number for each axis, or the name of one that is free."""

FLOAT, _INT64, _FLOAT16 = 1, 7, 10  # TensorProto.DataType
_TYPES = {"float32": FLOAT, "int64": _INT64, "float16": _FLOAT16}


class OnnxGraph:
    """A GraphProto in the making: nodes, constants and weights. Values are known by their names.

    Thread safety: one thread at a time.
    """

    def __init__(self) -> None:
        self._nodes: list[ProtoMessage] = []
        self._weights: list[ProtoMessage] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the name of that."""
        output = self.unique_name(operation.lower())
        self.add_node(operation, inputs, [output], **attributes)
        return output

    def add_node(self, operation: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> None:
        """Add a node.

        Args:
            operation: the operator's name in ONNX.
            inputs: names of values; "" for an optional input that is not given.
            outputs: the names that its outputs get.
            attributes: float, int, str or a tuple of int, by name.

        Raises:
            UnsupportedModel: the graph has too many nodes.
        """
        if len(self._nodes) >= MOST_NODES:
            raise UnsupportedModel(f"the network has more than {MOST_NODES} operations, which no YOLO has.")
        node = ProtoMessage()
        for number, names in ((1, inputs), (2, outputs)):
            for name in names:
                node.text(number, name)
        node.text(3, self.unique_name(operation)).text(4, operation)
        for name, value in attributes.items():
            attribute = ProtoMessage().text(1, name)
            if isinstance(value, float):
                attribute.real(2, value).integer(20, 1)
            elif isinstance(value, int):
                attribute.integer(3, value).integer(20, 2)
            elif isinstance(value, str):
                attribute.text(4, value).integer(20, 3)
            else:
                attribute.integers(8, tuple(value)).integer(20, 7)
            node.message(5, attribute)
        self._nodes.append(node)

    def unique_name(self, kind: str) -> str:
        """Make a name that no other node has, from the number of the node that is added next."""
        return f"{kind}_{len(self._nodes)}"

    def constant(self, array: Array) -> str:
        """Store an array, and return its name. Equal arrays are stored once."""
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = self.weight(array.shape, array.dtype, lambda: array)
        return self._constants[key]

    def weight(self, shape: tuple[int, ...], dtype: np.dtype[Any], compute: Callable[[], Array]) -> str:
        """Declare an array that is computed when the file is written, and return its name.

        Args:
            shape: of the array.
            dtype: float32, int64 or float16, to which the array is converted.
            compute: makes the array. It is called once for each writing, and nothing keeps the array after it.
        """

        def content() -> memoryview | bytes:
            array = np.ascontiguousarray(compute(), dtype.newbyteorder("<"))
            return array.reshape(-1).view(np.uint8).data if array.size else b""  # the array's own bytes, no copy

        name = f"constant_{len(self._weights)}"
        deferred = Deferred(math.prod(shape) * dtype.itemsize, content)
        self._weights.append(
            ProtoMessage().integers(1, shape).integer(2, _TYPES[dtype.name]).text(8, name).data(9, deferred)
        )
        return name

    def message(self, inputs: Mapping[str, Dims], outputs: Mapping[str, Dims]) -> ProtoMessage:
        """Put the GraphProto together, with float32 inputs and outputs of these names and shapes."""
        graph = ProtoMessage()
        for node in self._nodes:
            graph.message(1, node)
        graph.text(2, "yoloom")
        for weight in self._weights:
            graph.message(5, weight)
        for number, values in ((11, inputs), (12, outputs)):
            for name, dims in values.items():
                shape = ProtoMessage()
                for dim in dims:
                    shape.message(
                        1, ProtoMessage().integer(1, dim) if isinstance(dim, int) else ProtoMessage().text(2, dim)
                    )
                tensor_type = ProtoMessage().message(1, ProtoMessage().integer(1, FLOAT).message(2, shape))
                graph.message(number, ProtoMessage().text(1, name).message(2, tensor_type))
        return graph
