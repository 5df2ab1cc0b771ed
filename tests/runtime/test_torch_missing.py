"""Where PyTorch is not installed, its backend is a typed error, and nothing else notices."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from yoloom.errors import BackendUnavailable


def test_the_tests_of_the_torch_backend_run() -> None:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is not installed: tests/runtime/torch is left out")


@pytest.mark.slow
def test_torch_that_is_not_installed() -> None:
    code = """
import sys
sys.modules["torch"] = None
import yoloom
try:
    import yoloom.runtime.torch.torch_backend
except ImportError as error:
    print(type(error).__name__, error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.startswith(BackendUnavailable.__name__)
    assert "pip install 'yoloom[cuda]'" in run.stdout
