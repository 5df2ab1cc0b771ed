"""`import openvino` without its telemetry.

The package reports every import to an analytics service, from a process that it forks for that, and leaves a client id
in the home folder. It does without when its telemetry package is missing, so that is what it is told during its import.
A process that has imported OpenVINO before keeps what it has.
"""

from __future__ import annotations

import sys
from typing import Any

_TELEMETRY = "openvino_telemetry"

if "openvino" not in sys.modules and _TELEMETRY not in sys.modules:
    blocked: dict[str, Any] = sys.modules
    blocked[_TELEMETRY] = None
    try:
        import openvino
    finally:
        del blocked[_TELEMETRY]
else:
    import openvino

__all__ = ["openvino"]
