"""`import cv2` without its changes to the environment.

OpenCV puts a folder of its own, and with it the working directory, in front of LD_LIBRARY_PATH. It is too late for this
process, which read that variable when it started; but every program that it starts would look for its libraries there.
"""

from __future__ import annotations

import os

_VARIABLE = "LD_LIBRARY_PATH"

_before = os.environ.get(_VARIABLE)
try:
    import cv2
finally:
    if _before is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = _before

__all__ = ["cv2"]
