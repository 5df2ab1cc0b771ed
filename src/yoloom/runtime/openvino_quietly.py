"""`import openvino` without its telemetry, and in a worker process without its tools.

The package reports every import to an analytics service, from a process that it forks for that, and leaves a client id
in the home folder. It does without when its telemetry package is missing, so that is what it is told during its import.
A process that has imported OpenVINO before keeps what it has.

A worker process starts anew after each crash, so its start counts: OpenVINO goes without its tools for other
frameworks' models when they can not be imported, and is imported in half the time.
"""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"

blocked: dict[str, Any] = sys.modules  # None stands for a module that can not be imported
if getattr(sys, "yoloom_worker", False):
    blocked.setdefault("openvino.tools", None)

if "openvino" not in sys.modules and _TELEMETRY not in sys.modules:
    blocked[_TELEMETRY] = None
    try:
        import openvino
    finally:
        del blocked[_TELEMETRY]
else:
    import openvino

__all__ = ["openvino"]
