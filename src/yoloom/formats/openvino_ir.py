"""OpenVINO IR: a folder with one `.xml`, its `.bin`, and the `metadata.yaml` that Ultralytics writes beside them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yoloom.errors import InvalidModel, ModelNotFound
from yoloom.formats.model import ModelFile
from yoloom.formats.signature import Dims, Signature

_METADATA = "metadata.yaml"
_MOST_ALIASES = 8


def find_openvino_ir(path: Path) -> ModelFile:
    """Find the files of an IR folder, or of the `.xml` in it. Raises ModelNotFound when one is missing."""
    xml = path
    if path.is_dir():
        networks = sorted(path.glob("*.xml"))
        if len(networks) != 1:
            raise ModelNotFound(f"{path}: expected a folder with one OpenVINO .xml file, found {len(networks)}.")
        [xml] = networks
    weights, notes = xml.with_suffix(".bin"), xml.with_name(_METADATA)
    if not weights.is_file():
        raise ModelNotFound(f"{xml} has no weights beside it: expected {weights.name}.")
    return ModelFile("openvino", (xml, weights, *([notes] if notes.is_file() else [])))


def read_openvino_ir(file: ModelFile) -> tuple[Signature, Mapping[str, Any]]:
    """Read the shapes and the metadata that an IR declares. Raises InvalidModel, or OSError."""
    xml = file.path
    try:
        # Entity bombs end in a ParseError: expat has limited their growth since 2.4.1.
        layers = ET.parse(xml).getroot().findall("layers/layer")  # noqa: S314
        inputs = [_port(layer.find("output/port")) for layer in layers if layer.get("type") == "Parameter"]
        outputs = [_port(layer.find("input/port")) for layer in layers if layer.get("type") == "Result"]
    except (ET.ParseError, ValueError, LookupError) as error:  # a size that is no number, an unknown encoding
        raise InvalidModel(f"{xml} is no OpenVINO model, or a damaged one: {error}") from error
    if not inputs or not outputs:
        raise InvalidModel(f"{xml} declares no network: {len(inputs)} inputs and {len(outputs)} outputs.")
    return Signature(inputs, outputs), _notes(xml.with_name(_METADATA))


def _port(port: ET.Element | None) -> Dims:
    dims = [] if port is None else [int(dim.text or -1) for dim in port.findall("dim")]
    return tuple(dim if dim > 0 else None for dim in dims)


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
