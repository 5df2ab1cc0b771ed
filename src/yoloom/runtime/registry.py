"""The one table of runtimes: names, modules, devices, and the extras that install them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from yoloom.errors import InvalidOption, UnknownDevice
from yoloom.runtime.protocol import Backend


@dataclass(frozen=True)
class BackendEntry:
    """One runtime. Its module is imported when the runtime is asked for, and raises BackendUnavailable without it.

    Thread safety: any number of threads (immutable).

    Attributes:
        module: Module of the backend.
        class_name: Class in it. It is made with the device, unless it knows a single one.
        devices: Kinds of devices that it computes on: "cpu", "cuda".
        extra: Name of the extra that installs what it needs; empty for none.
    """

    module: str
    class_name: str
    devices: tuple[str, ...] = ("cpu",)
    extra: str = ""


TABLE: dict[str, BackendEntry] = {
    "openvino": BackendEntry("yoloom.runtime.openvino", "OpenVINOBackend"),
    "onnxruntime": BackendEntry("yoloom.runtime.onnxruntime", "OnnxRuntimeBackend", extra="onnxruntime"),
}
BACKENDS = tuple(TABLE)
CPU_BACKENDS = ("openvino", "onnxruntime")
"""The runtimes made for CPUs, the default first."""


def check_backend(name: str, device: str, table: Mapping[str, BackendEntry] = TABLE) -> BackendEntry:
    """Look a backend up. Raises InvalidOption for an unknown name, UnknownDevice for a device that it has not."""
    if name not in table:
        raise InvalidOption(f"backend must be one of {', '.join(table)}, got {name!r}.")
    entry = table[name]
    kind = device.partition(":")[0] if isinstance(device, str) else device
    if kind not in entry.devices or (kind == "cpu" and device != "cpu"):
        devices = " or ".join(repr(one) for one in entry.devices)
        raise UnknownDevice(f"device must be {devices} for backend {name!r} in this version, got {device!r}.")
    return entry


def find_backend(name: str, device: str) -> Backend:
    """Make the backend called `name` for `device`. Raises InvalidOption, UnknownDevice or BackendUnavailable."""
    entry = check_backend(name, device)
    make = getattr(import_module(entry.module), entry.class_name)
    backend: Backend = make() if entry.devices == ("cpu",) else make(device)
    return backend
