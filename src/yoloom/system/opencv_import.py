"""`import cv2` without its changes to the environment, or the command that repairs it.

OpenCV puts a folder of its own, and with it the working directory, in front of LD_LIBRARY_PATH. It is too late for this
process, which read that variable when it started; but every program that it starts would look for its libraries there.

Several packages (opencv-python, opencv-python-headless, ...) write into the one folder `cv2`, and pip lets them: the
last one wins, and uninstalling one takes files of the others away.
"""

from __future__ import annotations

import os

from yoloom.errors import BackendUnavailable

_VARIABLE = "LD_LIBRARY_PATH"
REPAIR = "pip install --force-reinstall --no-deps 'opencv-python-headless>=5'"
"""The command that makes the folder `cv2` whole, whatever was installed into it."""

_before = os.environ.get(_VARIABLE)
try:
    import cv2
except ImportError as error:
    raise BackendUnavailable(f"OpenCV can not be imported ({error}): {REPAIR}") from error
finally:
    if _before is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = _before

if not hasattr(cv2, "imdecode"):  # an empty folder is a package to Python
    raise BackendUnavailable(
        f"OpenCV is installed in part only, as after uninstalling one of two packages that hold it: {REPAIR}"
    )

__all__ = ["REPAIR", "cv2"]
