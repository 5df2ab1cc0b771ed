"""`import torch`, or the error that says how to install it."""

from __future__ import annotations

from yoloom.errors import BackendUnavailable

OLDEST = (2, 4)

try:
    import torch
    import torch.nn.functional as functional
except ImportError as error:
    raise BackendUnavailable(
        f"backend 'torch' needs PyTorch {'.'.join(map(str, OLDEST))} or newer, which can not be imported ({error}): "
        "pip install 'yoloom[cuda]', with the index for your CUDA version from pytorch.org."
    ) from error

if tuple(int(part) for part in torch.__version__.split(".")[:2]) < OLDEST:
    raise BackendUnavailable(
        f"backend 'torch' needs PyTorch {'.'.join(map(str, OLDEST))} or newer, got {torch.__version__}: upgrade it."
    )

__all__ = ["functional", "torch"]
