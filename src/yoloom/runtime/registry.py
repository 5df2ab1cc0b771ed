"""The one table of runtimes: names, modules, devices, and the extras that install them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from yoloom.errors import InvalidOption, UnknownDevice, UnsupportedOption
from yoloom.runtime.protocol import Backend
from yoloom.validation import shown


@dataclass(frozen=True)
class DeviceOptions:
    """Options of backends that compute on a device with memory of its own.

    Thread safety: any number of threads (immutable).

    Attributes:
        fixed_batch: Run every image in batches of one size, so that its bits never change.
        max_memory: Most bytes of the device that the models of this process may hold together; None for no bound.
    """

    fixed_batch: bool = False
    max_memory: int | None = None


PLAIN = DeviceOptions()


@dataclass(frozen=True)
class BackendEntry:
    """One runtime. Its module is imported when the runtime is asked for, and raises BackendUnavailable without it.

    Thread safety: any number of threads (immutable).

    Attributes:
        module: Module of the backend.
        class_name: Class in it. It is made with the device, unless it knows a single one.
        devices: Kinds of devices that it computes on: "cpu", "cuda".
        extra: Name of the extra that installs what it needs; empty for none.
        has_options: Whether it takes `DeviceOptions`.
        shares_compiled: Whether it is `Sharing`, so that the workers of a model compile it once for all of them. Said
            here as well, because a parent of workers does not import the runtime.
    """

    module: str
    class_name: str
    devices: tuple[str, ...] = ("cpu",)
    extra: str = ""
    has_options: bool = False
    shares_compiled: bool = False


TABLE: dict[str, BackendEntry] = {
    "openvino": BackendEntry("yoloom.runtime.openvino", "OpenVINOBackend", shares_compiled=True),
    "onnxruntime": BackendEntry("yoloom.runtime.onnxruntime", "OnnxRuntimeBackend", ("cpu", "cuda"), "onnxruntime"),
    "torch": BackendEntry("yoloom.runtime.torch.torch_backend", "TorchBackend", ("cuda", "cpu"), "cuda", True),
}
BACKENDS = tuple(TABLE)
CPU_BACKENDS = ("openvino", "onnxruntime")
"""The runtimes made for CPUs, the default first."""


def check_backend(name: str, device: str, table: Mapping[str, BackendEntry] = TABLE) -> BackendEntry:
    """Look a backend up. Raises InvalidOption for an unknown name, UnknownDevice for a device that it has not."""
    if name not in table:
        raise InvalidOption(f"backend must be one of {', '.join(table)}, got {name!r}.")
    entry = table[name]
    if not has_device(name, device, table):
        devices = " or ".join(repr(one) for one in entry.devices)
        raise UnknownDevice(f"device must be {devices} for backend {name!r} in this version, got {device!r}.")
    return entry


def has_device(name: str | None, device: str, table: Mapping[str, BackendEntry] = TABLE) -> bool:
    """Tell whether the backend called `name` computes on "cpu", or "cuda:N"."""
    return name is not None and name in table and device.partition(":")[0] in table[name].devices


def parse_device(device: Any) -> str:
    """Read a device: "cpu", "cuda", "cuda:1", a number of a GPU, or an object of PyTorch's. Raises UnknownDevice.

    Returns:
        "cpu" or "cuda:N".
    """
    if isinstance(device, str):
        text = device.strip().lower()
    elif type(device) is int:
        text = str(device)
    else:  # torch.device, without importing torch
        kind, index = getattr(device, "type", None), getattr(device, "index", None)
        text = f"{kind}" if index is None else f"{kind}:{index}"
    if text in ("cpu", "cpu:0"):
        return "cpu"
    number = "0" if text == "cuda" else text.removeprefix("cuda:")
    if number.isascii() and number.isdecimal():
        return f"cuda:{int(number)}"
    raise UnknownDevice(f"device must be 'cpu', 'cuda', 'cuda:N' or the number of a GPU, got {shown(device)}.")


def default_backend(device: str, is_checkpoint: bool) -> str:
    """Choose the backend of a device: PyTorch for checkpoints on a GPU, ONNX Runtime for other files there."""
    if device == "cpu":
        return CPU_BACKENDS[0]
    return "torch" if is_checkpoint else "onnxruntime"


def find_backend(name: str, device: str, options: DeviceOptions = PLAIN) -> Backend:
    """Make the backend called `name` for `device`. Raises InvalidOption, UnknownDevice or BackendUnavailable."""
    entry = check_backend(name, device)
    if options != PLAIN and not entry.has_options:
        raise UnsupportedOption(
            f"batch='fixed' and max_memory are for checkpoints on a GPU, got backend {name!r} on {device!r}: on a CPU "
            "results have the same bits in every batch, and QueuePolicy(max_bytes=…) bounds the memory of pictures."
        )
    make = getattr(import_module(entry.module), entry.class_name)
    arguments: list[Any] = [] if entry.devices == ("cpu",) else [device]
    if entry.has_options:
        arguments += ["fixed" if options.fixed_batch else None, options.max_memory]
    backend: Backend = make(*arguments)
    return backend
