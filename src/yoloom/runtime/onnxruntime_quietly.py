"""`import onnxruntime` without its telemetry.

On Linux the package starts a thread that reports to an analytics service (1.31). A forked child has no such thread, and
waits for it at its end, for ever, whether it has used the package or not. A process that has imported the package
before keeps what it has.
"""

from __future__ import annotations

import os
import sys

_SWITCH = "ORT_DISABLE_TELEMETRY"

if "onnxruntime" in sys.modules or _SWITCH in os.environ:
    import onnxruntime
else:
    os.environ[_SWITCH] = "1"  # read once, during the import
    try:
        import onnxruntime
    finally:
        del os.environ[_SWITCH]

__all__ = ["onnxruntime"]
