"""What is wrong with a device is said before anything runs on it: one typed error each."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from yoloom.errors import BackendUnavailable, ForkedEngine, InvalidOption, UnknownDevice
from yoloom.runtime.protocol import Precision
from yoloom.runtime.torch import torch_device
from yoloom.runtime.torch.torch_backend import TorchBackend
from yoloom.runtime.torch.torch_device import DeviceLost, TorchDevice, cuda_errors, kernels_for

ILLEGAL = "CUDA error: an illegal memory access was encountered"


class Card:
    """One NVIDIA card as torch sees it, in a machine without one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] = (9, 0), count: int = 1) -> None:
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        for name, value in {
            "is_available": True,
            "device_count": count,
            "get_device_capability": capability,
            "get_device_name": "NVIDIA Test",
            "get_arch_list": ["sm_75", "sm_80", "sm_90a", "compute_90"],
        }.items():
            monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cuda: 0", "cpu:0", "CUDA", "cuda:²", 0, None]
)
def test_names_that_are_none(name: Any) -> None:
    with pytest.raises(UnknownDevice, match="got"):
        TorchDevice(name)


def test_a_torch_for_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    with pytest.raises(BackendUnavailable, match=r"needs a PyTorch built for CUDA, got .*pytorch\.org"):
        TorchBackend("cuda")


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(BackendUnavailable, match=r"NVIDIA driver and a GPU .*CUDA_VISIBLE_DEVICES='7'.*nvidia-smi"):
        TorchBackend("cuda")


@pytest.mark.parametrize(("count", "names"), [(1, "'cuda:0'"), (4, "'cuda:0' to 'cuda:3'")])
def test_an_index_that_is_not_there(monkeypatch: pytest.MonkeyPatch, count: int, names: str) -> None:
    Card(monkeypatch, count=count)
    with pytest.raises(UnknownDevice, match=f"must be {names} on this machine, got 'cuda:4'"):
        TorchBackend("cuda:4")


def test_a_card_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch, capability=(6, 1))
    with pytest.raises(BackendUnavailable, match=r"capability 7\.5 or newer, got NVIDIA Test with 6\.1"):
        TorchBackend("cuda")


def test_cuda_that_was_used_before_a_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch)

    def forked(*_: object) -> None:
        raise RuntimeError("Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, ...")

    monkeypatch.setattr(torch.cuda, "get_device_capability", forked)
    with pytest.raises(ForkedEngine, match="'spawn'"):
        TorchBackend("cuda")


def test_precisions_follow_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    Card(monkeypatch)
    device = TorchDevice("cuda")
    assert (device.name, device.description) == ("cuda:0", "cuda:0 NVIDIA Test")
    assert device.precisions() == (Precision.FP16, Precision.FP32, Precision.BF16, Precision.TF32)
    Card(monkeypatch, capability=(7, 5))
    assert TorchDevice("cuda:0").precisions() == (Precision.FP16, Precision.FP32)
    assert "cuDNN" in device.version


@pytest.mark.parametrize("batch", [0, -1, float("nan"), 1.5, "largest", "", True, 257, [8]])
def test_batches_that_are_none(batch: Any) -> None:
    with pytest.raises(InvalidOption, match="batch must be"):
        TorchBackend("cpu", batch=batch)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "8 GB"])
def test_limits_of_memory_that_are_none(limit: Any) -> None:
    with pytest.raises(InvalidOption, match="max_memory must be"):
        TorchBackend("cpu", max_memory=limit)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried\nmore"), MemoryError),
        (RuntimeError("CUDA error: out of memory"), MemoryError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), MemoryError),
        (RuntimeError(ILLEGAL + "\nmore words"), DeviceLost),
        (RuntimeError("CUDA error: operation failed due to a previous error during capture"), RuntimeError),
        (RuntimeError("Sizes of tensors must match"), RuntimeError),
        (ValueError("x"), ValueError),
    ],
)
def test_kinds_of_errors(error: BaseException, expected: type[BaseException]) -> None:
    with pytest.raises(expected) as caught, cuda_errors():
        raise error
    assert type(caught.value) is expected
    assert "more" not in str(caught.value)


def flags() -> dict[str, Any]:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    found = {
        "benchmark": cudnn.benchmark,
        "deterministic": cudnn.deterministic,
        "enabled": cudnn.enabled,
        "half": matmul.allow_fp16_reduced_precision_reduction,
    }
    if hasattr(cudnn, "conv"):
        return {**found, "conv": cudnn.conv.fp32_precision, "matmul": matmul.fp32_precision}
    return {**found, "conv": cudnn.allow_tf32, "matmul": matmul.allow_tf32}


@pytest.mark.parametrize("precision", list(Precision))
def test_kernels_are_chosen_for_a_moment(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    """And put back, also after an error: the process belongs to its user."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = flags()
    inside: dict[str, Any] = {}

    def fail_inside() -> None:
        with torch_device._kernel_flags(precision):
            inside.update(flags())
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert flags() == before
    narrow = precision is Precision.TF32
    assert (inside["benchmark"], inside["deterministic"], inside["half"]) == (False, True, False)
    assert (
        inside["conv"]
        == inside["matmul"]
        == (("tf32" if narrow else "ieee") if hasattr(torch.backends.cudnn, "conv") else narrow)
    )


def test_a_user_with_autocast_and_gradients_changes_nothing() -> None:
    device = TorchDevice("cpu")
    with torch.autocast("cpu", dtype=torch.bfloat16), kernels_for(device, Precision.FP32):
        product = torch.ones(2, 2) @ torch.ones(2, 2, requires_grad=True)
    assert product.dtype == torch.float32
    assert product.is_inference()
