"""Lets the standard-library parts of `yoloom.bench` be imported where yoloom is not installed: beside a rival.

Import this first.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

if find_spec("yoloom") is None:
    bare = ModuleType("yoloom")  # without its __init__, which needs what is not here
    bare.__path__ = [str(Path(__file__).resolve().parent.parent / "src" / "yoloom")]
    sys.modules["yoloom"] = bare
