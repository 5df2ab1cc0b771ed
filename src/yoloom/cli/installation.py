"""This installation in a few facts: what a report of a bug should begin with."""

from __future__ import annotations

import math
import os
from typing import Any

from yoloom._version import __version__
from yoloom.system.cpu_model import cpu_model
from yoloom.system.cpus import affinity_cpus, available_cpus, container_cpus
from yoloom.system.machine import describe_machine, package_versions
from yoloom.system.memory import available_memory_bytes, container_memory_bytes
from yoloom.system.opencv_import import cv2

PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu", "torch", "numpy", "pillow", "ultralytics")
OPENCV_PACKAGES = tuple(
    f"opencv-{kind}" for kind in ("python-headless", "python", "contrib-python-headless", "contrib-python")
)
"""Packages that write into the one folder `cv2`: of several, the last one that was installed wins."""

GIB = 2**30


def installation_facts() -> dict[str, Any]:
    """Return what `yoloom info --json` writes without a model. Nothing heavy is imported for it."""
    machine, quota = describe_machine(), container_cpus()
    return {
        "yoloom": __version__,
        "python": machine["python"],
        "system": machine["system"],
        "cpu": cpu_model(),
        "cpus": {"machine": os.cpu_count(), "affinity": affinity_cpus(), "available": available_cpus()},
        "cgroup": {"cpus": None if quota == math.inf else quota, "memory_bytes": container_memory_bytes()},
        "memory_bytes": available_memory_bytes(),
        "opencv": {"cv2": cv2.__version__, "packages": package_versions(OPENCV_PACKAGES)},
        "packages": package_versions(PACKAGES),
    }


def installation_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Say the facts for people, in pairs of a name and a text."""
    cpus, group, opencv = facts["cpus"], facts["cgroup"], facts["opencv"]
    held_by = ", ".join(f"{name} {version}" for name, version in opencv["packages"].items())
    quota = "no limit" if group["cpus"] is None else f"{group['cpus']:g}"
    return [
        *((name, facts[name]) for name in ("yoloom", "python", "system", "cpu")),
        ("CPUs", f"{cpus['available']} for this process, {cpus['affinity']} by affinity, {cpus['machine']} in all"),
        ("memory", f"{_gib(facts['memory_bytes'])} at most for this process"),
        ("control groups", f"CPUs: {quota}; memory: {_gib(group['memory_bytes'])}"),
        ("opencv", f"{opencv['cv2']}, by {held_by or 'none of its usual packages'}"),
        *((name, facts["packages"].get(name, "not installed")) for name in ("openvino", "onnxruntime", "torch")),
        *((name, text) for name, text in facts["packages"].items() if name not in ("openvino", "onnxruntime", "torch")),
    ]


def _gib(size: int | None) -> str:
    return "no limit" if size is None else f"{size / GIB:.1f} GiB"
