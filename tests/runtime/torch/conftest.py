"""Skips the tests of this folder where torch is not installed, and makes checkpoints into models for the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from yoloom.formats.model import Model
from yoloom.formats.read import read_model

DATA = Path(__file__).parents[2] / "data"

try:
    import torch

    torch.set_num_threads(1)  # the tests have threads of their own
except ImportError:
    collect_ignore_glob = ["test_*.py"]  # tests/runtime/test_torch_missing.py says so


@pytest.fixture
def checkpoint_model() -> Callable[[str], Model]:
    """The description of a golden checkpoint, by the name of its file."""

    def read(name: str) -> Model:
        path = DATA / f"{name}.pt"
        return read_model(path if path.exists() else DATA / "checkpoints" / f"{name}.pt")

    return read
