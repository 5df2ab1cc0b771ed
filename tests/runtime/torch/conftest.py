"""Skips the tests of this folder where torch is not installed, and makes checkpoints into models for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from yoloom.formats.model import Model
from yoloom.formats.read import describe
from yoloom.store.locate import file_at

DATA = Path(__file__).parents[2] / "data"

try:
    import torch

    torch.set_num_threads(1)  # the tests have threads of their own
except ImportError:
    collect_ignore_glob = ["test_*.py"]  # tests/runtime/test_torch_missing.py says so


@pytest.fixture
def checkpoint_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | Path], Model]:
    """The description of a golden checkpoint by the name of its file, or of any at a path."""
    monkeypatch.setenv("YOLOOM_CACHE", str(tmp_path / "cache"))

    def read(name: str | Path) -> Model:
        paths = [DATA / f"{name}.pt", DATA / "checkpoints" / f"{name}.pt"]
        return describe(file_at(name if isinstance(name, Path) else next(path for path in paths if path.exists())))

    return read
