"""The process of the rival: what it prints is no answer."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rival import Rival

# What a fresh Ultralytics does when it is imported: it writes its settings, and says so on stdout.
ULTRALYTICS = """
print("Creating new settings file")
__version__ = "8.4.190"
YOLO = None
"""


@pytest.mark.slow
def test_what_is_printed_while_it_is_imported_is_no_answer(tmp_path: Path) -> None:
    """Seen to fail: the first line of stdout was read as the answer, and was no JSON."""
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "ultralytics.py").write_text(ULTRALYTICS)
    (packages / "torch.py").write_text("Tensor = object\n")
    (packages / "torchvision.py").write_text("")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{packages}:{":".join(sys.path)}" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    image = tmp_path / "a.png"
    cv2.imwrite(str(image), np.zeros((8, 8, 3), np.uint8))
    with Rival(python, tmp_path / "model.pt", [image]) as rival:
        assert rival.ask("version") == "8.4.190"
        with pytest.raises(RuntimeError, match="NoneType"):
            rival.turn("shared", 1, 0.1)
        assert rival.ask("version") == "8.4.190", "an error of one command is not the end"
