"""Several packages write into the folder `cv2`: what is left of it imports, or says how to repair it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
try:
    import yoloom
except ImportError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(
    "content",
    ["", "raise ImportError('libGL.so.1: cannot open shared object file')", "from .cv2 import imdecode"],
    ids=["an empty package", "a library is missing", "the module is missing"],
)
def test_a_broken_opencv_names_the_repair(tmp_path: Path, content: str) -> None:
    # Uninstalling opencv-python beside opencv-python-headless leaves such folders.
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").write_text(content)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.startswith("BackendUnavailable OpenCV")
    assert "pip install --force-reinstall --no-deps 'opencv-python-headless>=5'" in run.stdout
