"""ONNX files on a GPU: with the provider of onnxruntime-gpu, or the error that says what to install."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnxruntime
import pytest

from yoloom.errors import BackendUnavailable, UnknownDevice
from yoloom.formats.read import read_model
from yoloom.runtime.onnxruntime import OnnxRuntimeBackend
from yoloom.runtime.plan import DEFAULT_PLAN, Plan
from yoloom.runtime.protocol import Precision
from yoloom.testing import barrier_run

PROVIDER = "CUDAExecutionProvider"


class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
    """A session that says it runs on the GPU, and refuses a second thread."""

    made: ClassVar[list[Any]] = []
    falls_back = False

    def __init__(self, data: bytes, options: Any, providers: Any) -> None:
        super().__init__(data, options, providers=["CPUExecutionProvider"])
        self.made.append(providers)
        self.users = 0

    def get_providers(self) -> list[str]:
        return ["CPUExecutionProvider"] if self.falls_back else [PROVIDER, "CPUExecutionProvider"]

    def run(self, *arguments: Any) -> Any:
        self.users += 1
        assert self.users == 1
        outputs = super().run(*arguments)
        self.users -= 1
        return outputs


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> type[Session]:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(Session, "made", [])
    return Session


def image(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (1, 64, 64, 3), np.uint8)


def test_without_the_provider() -> None:
    if PROVIDER in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    with pytest.raises(BackendUnavailable, match=r"'cuda:1' needs the package onnxruntime-gpu .*backend='torch'"):
        OnnxRuntimeBackend("cuda:1")


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cpu:0", "cuda:-1"])
def test_devices_that_are_none(device: str) -> None:
    with pytest.raises(UnknownDevice, match="must be 'cpu', 'cuda' or 'cuda:N'"):
        OnnxRuntimeBackend(device)


def test_a_session_on_the_gpu_serves_one_at_a_time(gpu: type[Session], tiny_onnx: Callable[..., Path]) -> None:
    backend, model = OnnxRuntimeBackend("cuda:1"), read_model(tiny_onnx())
    (profile,) = backend.profiles(model, 4, DEFAULT_PLAN)
    assert (profile.batch_sizes, profile.threads, profile.lanes) == ((1, 2, 4, 8), 0, 1)
    compiled = backend.compile(model, profile)
    options = {"device_id": 1, "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": 0}
    assert gpu.made == [[(PROVIDER, options), "CPUExecutionProvider"]]
    contexts = [compiled.context() for _ in range(4)]
    expected = [compiled.context().run(image(seed)) for seed in range(4)]
    found = barrier_run(4, lambda index: [contexts[index].run(image(index)) for _ in range(20)])
    for index, answers in enumerate(found):
        assert all(answer[0].tobytes() == expected[index][0].tobytes() for answer in answers)


def test_what_a_gpu_promises(gpu: type[Session], tiny_onnx: Callable[..., Path]) -> None:
    backend, model = OnnxRuntimeBackend("cuda"), read_model(tiny_onnx(batch=3, hw=(64, 64)))
    assert backend.device == "cuda:0"
    assert backend.precisions() == (Precision.FP32, Precision.TF32)
    assert not backend.keeps_bits_in_batches(model)
    assert not backend.guarantee(Precision.TF32).bit_identical
    assert backend.profiles(model, 4, Plan(batch=2))[0].batch_sizes == (3,)
    backend.compile(model, backend.profiles(model, 4, DEFAULT_PLAN)[0], Precision.TF32)
    assert gpu.made[0][0][1]["use_tf32"] == 1


def test_a_session_that_falls_back_to_the_cpu_is_refused(
    gpu: type[Session], tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "falls_back", True)
    backend, model = OnnxRuntimeBackend("cuda"), read_model(tiny_onnx())
    with pytest.raises(BackendUnavailable, match=r"tiny\.onnx: onnxruntime-gpu can not use cuda:0"):
        backend.compile(model, backend.profiles(model, 1, DEFAULT_PLAN)[0])
