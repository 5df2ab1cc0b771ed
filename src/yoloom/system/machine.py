"""Where a check ran."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata

PACKAGES = ("yoloom", "numpy", "openvino", "onnxruntime", "torch", "ultralytics")


def describe_machine() -> dict[str, str]:
    """Python, system and the versions of what is installed, as texts."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}, {_gil()}",
        "system": platform.platform(),
        "cpus": str(os.cpu_count() or "unknown"),
        **{name: version for name in PACKAGES if (version := _version(name))},
    }


def _gil() -> str:
    enabled = getattr(sys, "_is_gil_enabled", None)
    return "with a GIL" if enabled is None or enabled() else "free-threaded"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
