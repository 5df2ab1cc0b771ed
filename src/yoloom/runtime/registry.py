"""A backend by its name; its package is imported when it is asked for."""

from __future__ import annotations

from yoloom.errors import InvalidOption, UnknownDevice
from yoloom.runtime.protocol import Backend

BACKENDS = ("openvino", "onnxruntime")


def check_backend(name: str, device: str) -> None:
    """Raises InvalidOption or UnknownDevice for what no backend is called or has."""
    if name not in BACKENDS:
        raise InvalidOption(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}.")
    if device != "cpu":
        raise UnknownDevice(f"device must be 'cpu' for backend {name!r} in this version, got {device!r}.")


def find_backend(name: str, device: str) -> Backend:
    """The backend called `name` for `device`. Raises InvalidOption, UnknownDevice or BackendUnavailable."""
    check_backend(name, device)
    if name == "onnxruntime":
        from yoloom.runtime.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend()
    from yoloom.runtime.openvino import OpenVINOBackend

    return OpenVINOBackend()
