"""Networks of 8-bit numbers, made from one of floats by what stands before its first operator."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONTRIBUTED = "com.microsoft"


class Quantiser:
    """Puts operators before a network, and feeds it with what they give."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.images = model.graph.input[0].name
        self.nodes: list[onnx.NodeProto] = []
        self.form = (self.constant("scale", np.float32(1 / 255)), self.constant("zero", np.uint8(0)))

    def add(self, op: str, *inputs: str, count: int = 1, domain: str = "", **attributes: object) -> list[str]:
        outputs = [f"{op}{len(self.nodes)}_{place}" for place in range(count)]
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attributes))
        return outputs

    def constant(self, name: str, value: object) -> str:
        self.model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), f"whole_{name}"))
        return f"whole_{name}"

    def eye(self) -> str:
        return self.constant("eye", np.eye(3, dtype=np.uint8)[:, :, None, None])

    def feed(self, value: str) -> onnx.ModelProto:
        graph = self.model.graph
        for node in graph.node:
            node.input[:] = [value if name == self.images else name for name in node.input]
        for place, node in enumerate(self.nodes):
            graph.node.insert(place, node)
        self.model.opset_import.append(helper.make_opsetid(CONTRIBUTED, 1))
        return self.model

    def in_whole_numbers(self) -> str:
        return self.add("QuantizeLinear", self.images, *self.form)[0]

    def pairs(self) -> str:
        return self.in_whole_numbers()

    def operators(self) -> str:
        ones = (self.eye(), self.constant("one", np.float32(1)), self.form[1])
        return self.add("QLinearConv", self.in_whole_numbers(), *self.form, *ones, *self.form)[0]

    def product(self) -> str:
        whole = self.in_whole_numbers()
        return self.add("QLinearMul", whole, *self.form, whole, *self.form, *self.form, domain=CONTRIBUTED)[0]

    def leaky(self) -> str:
        return self.add(
            "QLinearLeakyRelu", self.in_whole_numbers(), *self.form, *self.form, domain=CONTRIBUTED, alpha=0.1
        )[0]

    def dynamic(self) -> str:
        whole, *form = self.add("DynamicQuantizeLinear", self.images, count=3)
        self.form = (form[0], form[1])
        return whole


def quantised(model: onnx.ModelProto, kind: str) -> onnx.ModelProto:
    """Change a network. kind: a method above, "integers" for ConvInteger, or "weights" for weights alone."""
    made = Quantiser(model)
    if kind == "weights":
        return _with_small_weights(made)
    if kind == "integers":
        sums = made.add("ConvInteger", made.dynamic(), made.eye(), made.form[1])[0]
        return made.feed(made.add("Mul", made.add("Cast", sums, to=TensorProto.FLOAT)[0], made.form[0])[0])
    whole = getattr(made, kind)()
    return made.feed(made.add("DequantizeLinear", whole, *made.form)[0])


def _with_small_weights(made: Quantiser) -> onnx.ModelProto:
    graph = made.model.graph
    conv = next(node for node in graph.node if node.op_type == "Conv")
    weights = next(one for one in graph.initializer if one.name == conv.input[1])
    numbers = np.clip(numpy_helper.to_array(weights) * 100, -127, 127).astype(np.int8)
    form = (made.constant("per", np.float32(0.01)), made.constant("none", np.int8(0)))
    conv.input[1] = made.add("DequantizeLinear", made.constant("numbers", numbers), *form)[0]
    return made.feed(made.images)


def with_unknown_operator(model: onnx.ModelProto, op: str, domain: str) -> onnx.ModelProto:
    """Put an operator that runtimes may not know before the last one."""
    graph, last = model.graph, model.graph.node[-1]
    graph.node.insert(len(graph.node) - 1, helper.make_node(op, [last.input[0]], ["unknown"], domain=domain))
    graph.node[-1].input[0] = "unknown"
    model.opset_import.append(helper.make_opsetid(domain, 1))
    return model
