"""OpenVINO IR: a folder with one `.xml`, its `.bin`, and the `metadata.yaml` that Ultralytics writes beside them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yoloom.errors import InvalidModel, ModelNotFound
from yoloom.formats.model import Graph
from yoloom.formats.signature import Dims, Signature

_MOST_ALIASES = 8


def read_openvino_ir(path: Path) -> tuple[Graph, Signature, Mapping[str, Any]]:
    """What an IR folder (or the `.xml` in it) declares. Raises ModelNotFound or InvalidModel."""
    xml = _only_xml(path) if path.is_dir() else path
    weights = xml.with_suffix(".bin")
    if not weights.is_file():
        raise ModelNotFound(f"{xml} has no weights beside it: expected {weights.name}.")
    notes_path = xml.parent / "metadata.yaml"
    files = (xml, weights, *([notes_path] if notes_path.is_file() else []))
    return Graph("openvino", files), _signature(xml), _notes(notes_path)


def _only_xml(folder: Path) -> Path:
    found = sorted(folder.glob("*.xml"))
    if len(found) != 1:
        raise ModelNotFound(f"{folder}: expected a folder with one OpenVINO .xml file, found {len(found)}.")
    return found[0]


def _signature(xml: Path) -> Signature:
    try:
        # Entity bombs end in a ParseError: expat has limited their growth since 2.4.1.
        layers = ET.parse(xml).getroot().findall("layers/layer")  # noqa: S314
        inputs = [_port(layer.find("output/port")) for layer in layers if layer.get("type") == "Parameter"]
        outputs = [_port(layer.find("input/port")) for layer in layers if layer.get("type") == "Result"]
    except (ET.ParseError, ValueError, LookupError) as error:  # a size that is no number, an unknown encoding
        raise InvalidModel(f"{xml} is no OpenVINO model, or a damaged one: {error}") from error
    if not inputs or not outputs:
        raise InvalidModel(f"{xml} declares no network: {len(inputs)} inputs and {len(outputs)} outputs.")
    return Signature(inputs, outputs)


def _port(port: ET.Element | None) -> Dims:
    dims = [] if port is None else [int(dim.text or -1) for dim in port.findall("dim")]
    return tuple(dim if dim > 0 else None for dim in dims)


def _notes(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    import yaml

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
