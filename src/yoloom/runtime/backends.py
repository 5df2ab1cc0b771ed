"""A backend by its name; its package is imported when it is asked for."""

from __future__ import annotations

from yoloom.errors import InvalidOption, UnknownDevice
from yoloom.runtime.protocol import Backend

BACKENDS = ("openvino", "onnxruntime")


def find_backend(name: str, device: str) -> Backend:
    """The backend called `name` for `device`. Raises InvalidOption, UnknownDevice or BackendUnavailable."""
    if name not in BACKENDS:
        raise InvalidOption(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}.")
    if device != "cpu":
        raise UnknownDevice(f"device must be 'cpu' for backend {name!r} in this version, got {device!r}.")
    if name == "onnxruntime":
        from yoloom.runtime.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend()
    from yoloom.runtime.openvino import OpenVINOBackend

    return OpenVINOBackend()
