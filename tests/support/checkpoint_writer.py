"""Writer of small checkpoints, sound and hostile, opcode by opcode: as torch does, and without torch."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STORED = zipfile.ZIP_STORED
DATA = Mapping[str, bytes]

CONV2D = "torch.nn.modules.conv.Conv2d"
SEQUENTIAL = "torch.nn.modules.container.Sequential"


@dataclass(frozen=True)
class Name:
    """A global: "os.system"."""

    name: str


@dataclass(frozen=True)
class CallOf:
    """The result of calling a global, whose `state` is set by BUILD."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None
    opcode: bytes = b"R"


@dataclass(frozen=True)
class Persistent:
    """The object that a persistent id stands for: a storage."""

    persistent_id: Any


@dataclass(frozen=True)
class Code:
    """Opcodes as they are."""

    code: bytes


@dataclass(frozen=True)
class Layer:
    """A module of the network."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    children: Mapping[str, Any] = field(default_factory=dict)


def storage(key: str, size: int, kind: str = "FloatStorage") -> Persistent:
    return Persistent(("storage", Name(f"torch.{kind}"), key, "cpu", size))


def tensor(
    key: str,
    shape: tuple[int, ...],
    stride: tuple[int, ...] | None = None,
    offset: int = 0,
    size: int | None = None,
    kind: str = "FloatStorage",
) -> CallOf:
    """A tensor with a storage to itself, by default as large as it needs."""
    steps, count = [], 1
    for dim in reversed(shape):
        steps.insert(0, count)
        count *= dim
    numbers = storage(key, count if size is None else size, kind)
    args = (
        numbers,
        offset,
        shape,
        tuple(steps) if stride is None else stride,
        False,
        CallOf("collections.OrderedDict"),
    )
    return CallOf("torch._utils._rebuild_tensor_v2", args)


def network(**changes: Any) -> dict[str, Any]:
    """Make the smallest content of a checkpoint with a detection network. `changes` go to the module."""
    scores = Layer(SEQUENTIAL, children={"0": Layer(CONV2D, parameters={"weight": tensor("1", (2, 4, 1, 1))})})
    branches = Layer(SEQUENTIAL, children={"0": scores})
    head = Layer("ultralytics.nn.modules.head.Detect", {"nc": 2}, children={"cv3": branches})
    attributes = {
        "names": {0: "cat", 1: "dog"},
        "stride": tensor("0", (2,)),
        "task": "detect",
        "yaml": {"nc": 2, "channels": 3},
        "args": {"imgsz": 64},
        **changes,
    }
    kept = {name: value for name, value in attributes.items() if value is not None}
    layers = Layer(SEQUENTIAL, children={"0": head})
    module = Layer("ultralytics.nn.tasks.DetectionModel", kept, children={"model": layers})
    return {"model": module, "ema": None, "version": "8.4.0"}


STORAGES: DATA = {"0": struct.pack("<2f", 8, 16), "1": struct.pack("<8f", *range(8))}
"""The storages of `network()`."""


def dump(value: Any) -> bytes:
    """Write a pickle of protocol 2."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value: Any) -> bytes:
    """Write the opcodes that leave `value` on the stack."""
    return _WRITERS[type(value)](value)


def _int(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    packed = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(packed)]) + packed


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _many(values: Any) -> bytes:
    return b"(" + b"".join(opcodes(value) for value in values)


def _dict(value: Mapping[Any, Any]) -> bytes:
    return b"}" + _many(part for item in value.items() for part in item) + b"u"


def _name(value: Name) -> bytes:
    module, _, name = value.name.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def _call_of(value: CallOf) -> bytes:
    call = _name(Name(value.name)) + opcodes(value.args) + value.opcode
    return call if value.state is None else call + opcodes(value.state) + b"b"


def _layer(value: Layer) -> bytes:
    ordered = CallOf("collections.OrderedDict")
    groups = {"_parameters": value.parameters, "_buffers": {}, "_modules": value.children}
    state = {"training": False, **groups, "_forward_hooks": ordered, **value.attributes}
    return _call_of(CallOf(value.name, (), state, opcode=b"\x81"))


_WRITERS: dict[type, Any] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"\x88" if value else b"\x89",
    int: _int,
    float: lambda value: b"G" + struct.pack(">d", value),
    str: _text,
    list: lambda value: b"]" + _many(value) + b"e",
    tuple: lambda value: _many(value) + b"t",
    dict: _dict,
    Name: _name,
    CallOf: _call_of,
    Persistent: lambda value: opcodes(value.persistent_id) + b"Q",
    Code: lambda value: value.code,
    Layer: _layer,
}


def archive(pickle: bytes, storages: DATA = STORAGES, extra: DATA | None = None, compression: int = STORED) -> bytes:
    """Make a zip archive as torch writes it, less its padding and its zip64 records."""
    members = {"data.pkl": pickle, "byteorder": b"little", "version": b"3\n"}
    members |= {f"data/{key}": content for key, content in storages.items()}
    return zipped({f"best/{name}": content for name, content in members.items()} | dict(extra or {}), compression)


def zipped(members: DATA, compression: int = STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return file.getvalue()


def checkpoint(value: Any, storages: DATA = STORAGES) -> bytes:
    """Make the bytes of a file that holds `value`."""
    return archive(dump(value), storages)
