"""OpenVINO IR: a folder with one `.xml`, its `.bin`, and the `metadata.yaml` that Ultralytics writes beside them."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from yoloom.errors import InvalidModel, ModelNotFound
from yoloom.formats.graph import MOST_VALUES, Constant, Graph, Node
from yoloom.formats.head_layout import Dims, Signature
from yoloom.formats.model import ModelFile, lfs_pointer

_METADATA = "metadata.yaml"
_MOST_ALIASES = 8
_OPS = {
    "Convert": "Cast",
    "Multiply": "Mul",
    "Divide": "Div",
    "Subtract": "Sub",
    "Power": "Pow",
    "SoftMax": "Softmax",
    "Convolution": "Conv",
    "VariadicSplit": "Split",
    "StridedSlice": "Slice",
    "ReLU": "Relu",
    "FloorMod": "Mod",
    "Broadcast": "Expand",
    "ConvertLike": "CastLike",
    "GroupConvolution": "Conv",
}
_TYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64", "u8": "uint8", "i8": "int8"}
_FORMATS = {"f32": "f", "f16": "e", "f64": "d", "u8": "B", "i8": "b", "i32": "i", "i64": "q"}  # of `struct`


def find_openvino_ir(path: Path) -> ModelFile:
    """Find the files of an IR folder, or of the `.xml` in it. Raises ModelNotFound when one is missing."""
    xml = path
    if path.is_dir():
        networks = sorted(path.glob("*.xml"))
        if len(networks) != 1:
            raise ModelNotFound(f"{path}: expected a folder with one OpenVINO .xml file, found {len(networks)}.")
        [xml] = networks
    weights = xml.with_suffix(".bin")
    if not weights.is_file():
        raise ModelNotFound(f"{xml} has no weights beside it: expected {weights.name}.")
    # YOLOv5 names its metadata after the model.
    notes = [path for path in (xml.with_name(_METADATA), xml.with_suffix(".yaml")) if path.is_file()]
    return ModelFile("openvino", (xml, weights, *notes[:1]))


def read_openvino_ir(file: ModelFile) -> tuple[Signature, Mapping[str, Any]]:
    """Read the shapes, the metadata and the operators that an IR declares. Raises InvalidModel, or OSError."""
    xml = file.path
    try:
        # Entity bombs end in a ParseError: expat has limited their growth since 2.4.1.
        root = ET.parse(xml).getroot()  # noqa: S314
        layers = root.findall("layers/layer")
        inputs: list[Dims] = []
        outputs: list[Dims] = []
        types = []
        for layer in layers:
            kind, data = layer.get("type"), layer.find("data")
            if kind in ("Parameter", "Result"):
                sizes = layer.findall("output/port[1]/dim" if kind == "Parameter" else "input/port[1]/dim")
                dims = tuple(size if size > 0 else None for size in (int(dim.text or -1) for dim in sizes))
                (inputs if kind == "Parameter" else outputs).append(dims)
            if kind == "Parameter" and data is not None:
                types.append(_TYPES.get(data.get("element_type", ""), data.get("element_type", "")))
        graph = _graph(root, layers, xml.with_suffix(".bin"))
    except (
        ET.ParseError,
        ValueError,
        LookupError,
        struct.error,
    ) as error:  # a size that is no number, an unknown encoding
        raise InvalidModel(lfs_pointer(xml) or f"{xml} is no OpenVINO model, or a damaged one: {error}") from error
    if not inputs or not outputs:
        raise InvalidModel(f"{xml} declares no network: {len(inputs)} inputs and {len(outputs)} outputs.")
    notes = file.files[2] if len(file.files) > 2 else None
    return Signature(inputs, outputs, types[0] if types else "", graph), {} if notes is None else _notes(notes)


def _graph(root: ET.Element, layers: Sequence[ET.Element], weights: Path) -> Graph:
    """Return the operators under their names in ONNX. Values are named "layer:port". Raises ValueError."""
    taken: dict[str, dict[int, str]] = {}
    for edge in root.iterfind("edges/edge"):
        name = f"{edge.get('from-layer')}:{edge.get('from-port')}"
        taken.setdefault(edge.get("to-layer", ""), {})[int(edge.get("to-port", "0"))] = name
    nodes, constants, images, outputs = [], {}, "", []
    with weights.open("rb") as data:
        for layer in layers:
            number, kind = layer.get("id", ""), layer.get("type", "")
            inputs = [name for _, name in sorted(taken.get(number, {}).items())]
            given = [f"{number}:{port.get('id')}" for port in layer.iterfind("output/port")]
            if kind == "Const":
                constants.update(dict.fromkeys(given, _constant(layer, data)))
            elif kind == "Parameter":
                images = given[0] if given else ""
            elif kind == "Result":
                outputs += inputs
            else:
                attributes = layer.find("data")
                axis = None if attributes is None else attributes.get("axis")
                op = _OPS.get(kind, kind)
                if op == "Gather" and len(inputs) > 2 and constants.get(inputs[2]):
                    axis = str(int((constants[inputs[2]].values or (0,))[0]))
                    inputs = inputs[:2]
                if kind in ("Split", "VariadicSplit", "Reverse") and len(inputs) > 1 and constants.get(inputs[1]):
                    axis = str(int((constants[inputs[1]].values or (0,))[0]))
                    inputs = [inputs[0], *inputs[2:]]
                if kind == "Slice" and len(inputs) > 4:  # start, end, step, axes; in ONNX the axes come first
                    inputs = [*inputs[:3], inputs[4], inputs[3]]
                if kind == "StridedSlice" and _reverses_channels(layer, [constants.get(name) for name in inputs]):
                    op, axis, inputs = "Reverse", "1", inputs[:1]
                nodes.append(Node(op, inputs, given, int(axis) if axis and axis.lstrip("-").isdecimal() else None))
    return Graph.folded(nodes, constants, images, outputs)


def _reverses_channels(layer: ET.Element, inputs: Sequence[Constant | None]) -> bool:
    """Tell whether a strided slice gives all three channels, the last first, and all else as it is."""
    strides = None if len(inputs) < 4 or inputs[3] is None else inputs[3].values
    if strides is None or strides[:2] != (1, -1) or not set(strides[2:]) <= {1}:
        return False
    before, after = ([dim.text for dim in layer.findall(f"{side}/port[1]/dim")] for side in ("input", "output"))
    return before == after and before[1:2] == ["3"]


def _constant(layer: ET.Element, weights: BinaryIO) -> Constant:
    attributes = layer.find("data")
    if attributes is None:
        return Constant(())
    shape = tuple(int(side) for side in attributes.get("shape", "").split(",") if side.strip())
    size, code = int(attributes.get("size", "0")), _FORMATS.get(attributes.get("element_type", ""))
    if code is None or not 0 < size <= MOST_VALUES * struct.calcsize(code):
        return Constant(shape)
    weights.seek(int(attributes.get("offset", "0")))
    data = weights.read(size)
    count = size // struct.calcsize(code)
    return Constant(shape, struct.unpack(f"<{count}{code}", data) if len(data) == size else None)


def _notes(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    import yaml  # here: only IR needs it

    try:
        text = path.read_text(encoding="utf-8")
        # References to references grow by their product: few of them are harmless, and Ultralytics writes none or few.
        if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)) > _MOST_ALIASES:
            raise InvalidModel(f"{path} refers to its own values more than {_MOST_ALIASES} times; write them out.")
        notes = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no UTF-8, no such date, brackets without end
        raise InvalidModel(f"{path} can not be read as YAML: {error}") from error
    if not isinstance(notes, dict):
        raise InvalidModel(f"{path}: expected keys and values, got {type(notes).__name__}.")
    return notes
