"""A network's operators as far as its first and last ones prove how it is fed and what it answers. Nothing is executed.

```
input ─▶ feeding() ─▶ pixels or 0..1, RGB or BGR          sources_of(output) ─▶ what each column is computed by
```

Operators have the names of ONNX, also those of other formats.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from yoloom.formats.model import Quantization

MOST_VALUES = 64
"""Constants of more values are weights, and only their shape is kept."""

_MOST_STEPS = 2_000  # walking back from an output: far more than any head needs, and an end for any file
_MOST_DEPTH = 100
_UNIT_SCALE, _PIXEL_SCALE = 0.1, 0.06


class Source(enum.Enum):
    """The kind of operator that computes some columns of an output."""

    SIGMOID = "sigmoid"  # also a product of two
    SOFTMAX = "softmax"
    LINEAR = "linear"  # a convolution or a product of matrices, without an activation: logits, or undecoded boxes
    ARITHMETIC = "arithmetic"  # boxes, keypoints, angles
    INDEX = "index"  # a whole number that an operator counted: a class
    CONSTANT = "constant"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Columns:
    """Neighbouring columns of an output.

    Attributes:
        source: The kind of operator that computes them.
        width: How many there are, where the graph says so.
    """

    source: Source
    width: int | None = None


@dataclass(frozen=True)
class Constant:
    """A constant of a graph.

    Attributes:
        shape: Its shape.
        values: Its values in order; None for one of more than `MOST_VALUES`.
    """

    shape: tuple[int, ...]
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes:
        op: Its name in ONNX.
        inputs: Names of the values that it takes, "" for one that is left out.
        outputs: Names of the values that it gives.
        axis: The axis that it works on, where it names one.
    """

    op: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    axis: int | None = None


@dataclass(frozen=True)
class Feeding:
    """The form of the pixels that a network takes.

    Attributes:
        pixels: Whether it takes 0..255 and scales them itself, and not 0..1.
        bgr: Whether it takes blue first and reverses the channels itself.
    """

    pixels: bool = False
    bgr: bool = False


@dataclass(frozen=True)
class Graph:
    """The operators of a network. Immutable. Thread safety: any number of threads.

    Attributes:
        nodes: The operators, those before others that they feed.
        constants: Weights and other constants by name.
        images: Name of the input.
        outputs: Names of the outputs.
        quantization: Whether it computes with 8-bit numbers.
        makers: The operator that gives each value, and which of its outputs that is.
    """

    nodes: Sequence[Node]
    constants: Mapping[str, Constant]
    images: str
    outputs: Sequence[str]
    quantization: Quantization = Quantization.NONE
    makers: dict[str, tuple[Node, int]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        makers = {name: (node, place) for node in self.nodes for place, name in enumerate(node.outputs)}
        object.__setattr__(self, "makers", makers)

    @classmethod
    def folded(
        cls, nodes: Sequence[Node], constants: dict[str, Constant], images: str, outputs: Sequence[str]
    ) -> Graph:
        """Make a graph in which a constant of another type is a constant itself, as in files of 16 and 8 bits."""
        kept = []
        for node in nodes:
            first = constants.get(node.inputs[0]) if node.inputs else None
            if first is not None and node.op in ("Cast", "CastLike", "Identity", "FakeQuantize"):
                constants.update(dict.fromkeys(node.outputs, first))
            elif first is not None and node.op == "DequantizeLinear":
                constants.update(dict.fromkeys(node.outputs, Constant(first.shape)))
            else:
                kept.append(node)
        return cls(kept, constants, images, outputs, _quantization({node.op for node in nodes}))

    def feeding(self, takes_bytes: bool) -> Feeding | None:
        """Follow the input to the first operator that does more than scale, shift or reorder it.

        Args:
            takes_bytes: Whether the input is of unsigned bytes, which can hold nothing but pixels.

        Returns:
            None where what it takes is neither pixels nor 0..1 for sure.
        """
        scale, bgr, value = 1.0, False, self.images
        for _ in range(_MOST_DEPTH):
            takers = self._takers(value)
            channels = self._channels(takers)
            if channels:
                order, value = channels
                if order not in (_RGB, _RGB[::-1]):
                    return None
                bgr ^= order != _RGB
                continue
            if len(takers) != 1 or not takers[0].outputs:
                break
            node = takers[0]
            factors = [self.constants[name].values for name in node.inputs if name in self.constants]
            factor = max((abs(number) for number in factors[0] or ()), default=0.0) if factors else 0.0
            is_reversed = node.op == "Reverse" and node.axis in _CHANNEL_AXES
            is_flipped = node.op == "Slice" and factors.count((-1,)) > 1 and (1,) in factors  # start, step and axis
            if is_reversed or is_flipped:
                bgr = not bgr
            elif node.op in ("Mul", "Div", "DequantizeLinear") and factor and node.inputs[0] == value:
                scale = scale / factor if node.op == "Div" else scale * factor
            elif node.op == "QuantizeLinear" and factor:
                scale /= factor
            elif not (node.op in _SAME_VALUES or (node.op in ("Add", "Sub") and factors)):
                break
            value = node.outputs[0]
        if takes_bytes or scale < _PIXEL_SCALE:
            return Feeding(pixels=True, bgr=bgr)
        return Feeding(pixels=False, bgr=bgr) if scale > _UNIT_SCALE else None

    def _takers(self, value: str) -> list[Node]:
        return [node for node in self.nodes if value in node.inputs]

    def _channels(self, takers: Sequence[Node]) -> tuple[tuple[int, ...], str] | None:
        """Follow the channels of a picture that are taken apart, or reordered, to where they are together again.

        Returns:
            Their order there, empty for an unknown one, and the value; None where they stay together.
        """
        parts: list[tuple[str, int]] = []
        for node in takers:
            taken = self._channels_taken(node)
            if taken and len(node.outputs) == 1 and len(taken) > 1:
                return taken, node.outputs[0]
            parts += zip(node.outputs, taken, strict=False)
        joined: dict[str, int] = {}
        for name, number in parts:
            value = name
            while len(following := self._takers(value)) == 1 and following[0].op in _SAME_VALUES:
                value = following[0].outputs[0]
            joined[value] = number
        if not joined:
            return None
        following = self._takers(next(iter(joined)))
        if len(following) != 1 or following[0].op != "Concat" or following[0].axis not in _CHANNEL_AXES:
            return (), ""
        return tuple(joined.get(name, -1) for name in following[0].inputs), following[0].outputs[0]

    def _channels_taken(self, node: Node) -> tuple[int, ...]:
        """Return which channels of a picture the outputs of an operator have; nothing where it takes them all."""
        numbers = [list(self.constants[name].values or ()) for name in node.inputs if name in self.constants]
        if node.axis in _CHANNEL_AXES and node.op == "Split" and len(node.outputs) == len(_RGB):
            return _RGB
        if node.axis in _CHANNEL_AXES and node.op == "Gather" and len(numbers) == 1:
            return tuple(int(number) % len(_RGB) for number in numbers[0])
        if node.op == "Slice" and len(numbers) > 2 and numbers[2] in ([1], [-3]) and len(numbers[0]) == 1:
            start, end = int(numbers[0][0]), int(numbers[1][0])
            takes_one = end == start + 1 or (start == len(_RGB) - 1 and end > start)
            return (start,) if takes_one and start >= 0 else ()
        return ()

    def sources_of(self, output: str) -> tuple[Columns, ...]:
        """Say what computes the columns of an output, in order: of one row, where rows are joined from several maps."""
        return _Walk(self).sources(output, 0)

    def ancestors(self, value: str) -> Iterator[Node]:
        """Yield the operators that a value depends on, each once."""
        seen: set[int] = set()
        waiting = [value]
        while waiting:
            made = self.makers.get(waiting.pop())
            if made is not None and id(made[0]) not in seen:
                seen.add(id(made[0]))
                yield made[0]
                waiting.extend(made[0].inputs)


_CHANNEL_AXES = (1, -3)
_RGB = (0, 1, 2)
_SAME_VALUES = frozenset(
    {
        "Cast",
        "CastLike",
        "Identity",
        "FakeQuantize",
        "Dropout",
        "Transpose",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Flatten",
    }
)
_MOVES = _SAME_VALUES | {
    *("Slice", "Split", "Gather", "GatherElements", "GatherND", "Expand", "Tile", "Pad"),
    *("QuantizeLinear", "DequantizeLinear", "BatchNormalization", "ReduceMax", "TopK", "GlobalAveragePool"),
}
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Pow", "Exp", "ScatterND", "Sum", "Sqrt", "Atan", "Neg"})
_LINEAR = frozenset({"Conv", "Gemm", "MatMul", "ConvInteger", "QLinearConv", "QLinearMatMul", "MatMulInteger"})
_SCALED_BY_RUN = frozenset({"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"})
_QUANTIZED = frozenset(
    {
        "QuantizeLinear",
        "FakeQuantize",
        "QLinearConv",
        "QLinearMatMul",
        "QLinearSigmoid",
        "QLinearSoftmax",
        "QLinearConcat",
    }
)
_CONTRIBUTED = ("QLinear", "QGemm", "QAttention")
_ACTIVATIONS = {"Sigmoid": Source.SIGMOID, "HardSigmoid": Source.SIGMOID, "Softmax": Source.SOFTMAX}
_COUNTING = frozenset({"ArgMax", "NonMaxSuppression", "NonZero", "Mod"})


def _quantization(ops: Set[str]) -> Quantization:
    if not ops.isdisjoint(_SCALED_BY_RUN):
        return Quantization.DYNAMIC
    if any(op.startswith(_CONTRIBUTED) for op in ops - _QUANTIZED):
        return Quantization.CONTRIBUTED
    return Quantization.NONE if ops.isdisjoint(_QUANTIZED) else Quantization.STATIC


class _Walk:
    """A walk back from one output. Thread safety: one thread at a time."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._steps = 0

    def sources(self, value: str, depth: int) -> tuple[Columns, ...]:
        self._steps += 1
        if value in self._graph.constants:
            return (Columns(Source.CONSTANT),)
        made = self._graph.makers.get(value)
        if made is None or depth > _MOST_DEPTH or self._steps > _MOST_STEPS:
            return (Columns(Source.UNKNOWN),)
        node, place = made
        if node.op == "ConstantOfShape":
            return (Columns(Source.CONSTANT),)
        if node.op in _COUNTING or (node.op == "TopK" and place == 1):
            return (Columns(Source.INDEX, 1),)
        if node.op in _ACTIVATIONS:
            return (Columns(_ACTIVATIONS[node.op], self._width(node.inputs[0], depth + 1)),)
        if node.op in _LINEAR:
            return (Columns(Source.LINEAR, self._width(value, depth)),)
        if node.op == "Concat":
            return self._joined(node, depth)
        if node.op in _ARITHMETIC:
            return (Columns(self._computed(node, depth)),)
        if node.op in _MOVES and node.inputs:
            return self._moved(node, place, depth)
        return (Columns(Source.UNKNOWN),)

    def _joined(self, node: Node, depth: int) -> tuple[Columns, ...]:
        parts = [self.sources(name, depth + 1) for name in node.inputs]
        kinds = [[columns.source for columns in part] for part in parts]
        if len(parts) > 1 and all(kind == kinds[0] for kind in kinds) and kinds[0] != [Source.ARITHMETIC]:
            return parts[0]  # the same of several maps, one behind the other
        rows = [part for part in parts if len(part) > 1]
        if len(rows) == 1 and all(part in rows or part[0].source is Source.CONSTANT for part in parts):
            return rows[0]  # rows, and others of zeros behind them
        return tuple(columns for part in parts for columns in part)

    def _computed(self, node: Node, depth: int) -> Source:
        constants = [self._graph.constants[name] for name in node.inputs if name in self._graph.constants]
        others = [self.sources(name, depth + 1) for name in node.inputs if name and name not in self._graph.constants]
        others = [part for part in others if part != (Columns(Source.CONSTANT),)]
        kinds = {columns.source for part in others for columns in part}
        if not kinds:
            return Source.CONSTANT
        if kinds == {Source.INDEX}:
            return Source.INDEX
        if node.op == "Mul" and kinds == {Source.SIGMOID} and len(others) == 2:
            return Source.SIGMOID
        scales = all(constant.values is not None and len(constant.values) == 1 for constant in constants)
        if kinds == {Source.LINEAR} and len(others) == 1 and (node.op == "Add" or (node.op == "Mul" and scales)):
            return Source.LINEAR  # with its bias, or as one runtime writes the factors of Gemm
        return Source.ARITHMETIC

    def _moved(self, node: Node, place: int, depth: int) -> tuple[Columns, ...]:
        before = self.sources(node.inputs[0], depth + 1)
        axes = self._graph.constants.get(node.inputs[3]) if node.op == "Slice" and len(node.inputs) > 3 else None
        takes_rows = (axes is not None and axes.values == (0,)) or (node.op == "Gather" and not node.axis)
        if node.op not in ("Slice", "Split", "Gather") or takes_rows:
            return before
        if len(before) > 1:  # some of several: which ones would take the sizes of all
            return (Columns(Source.UNKNOWN),)
        return (Columns(before[0].source, self._split_width(node, place)),)

    def _split_width(self, node: Node, place: int) -> int | None:
        sizes = self._graph.constants.get(node.inputs[1]) if node.op == "Split" and len(node.inputs) > 1 else None
        if sizes is None or sizes.values is None or place >= len(sizes.values):
            return None
        return int(sizes.values[place])

    def _width(self, value: str, depth: int) -> int | None:
        """Return how many channels the convolution before a value has."""
        made = self._graph.makers.get(value)
        if made is None or depth > _MOST_DEPTH:
            return None
        node, place = made
        if node.op == "Conv":
            weights = self._graph.constants.get(node.inputs[1])
            return weights.shape[0] if weights is not None and weights.shape else None
        if node.op == "Split":
            return self._split_width(node, place)
        if node.op in ("Reshape", "Transpose", "Flatten", "Concat", "Identity", "Cast", "BatchNormalization"):
            widths = {self._width(name, depth + 1) for name in node.inputs[: None if node.op == "Concat" else 1]}
            return widths.pop() if len(widths) == 1 else None
        return None
