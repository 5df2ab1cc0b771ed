"""The machine and the packages that something ran with, for reports.

Only the standard library: `yoloom.bench` reads it where nothing else of yoloom can be imported.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Sequence
from importlib import metadata

REPORTED_PACKAGES = ("yoloom", "numpy", "openvino", "onnxruntime", "torch", "ultralytics")


def describe_machine() -> dict[str, str]:
    """Return Python, the system and the versions of `REPORTED_PACKAGES` as texts."""
    gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    gil = "with a GIL" if gil_enabled else "free-threaded"
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}, {gil}",
        "system": platform.platform(),
        "cpus": str(os.cpu_count() or "unknown"),
        **package_versions(REPORTED_PACKAGES),
    }


def package_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return {package: version} of those packages that are installed, in the order of `packages`."""
    versions = {}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return versions
