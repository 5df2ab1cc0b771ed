"""Outputs that a run of OpenVINO did not write are never delivered, whatever their size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from yoloom.errors import RuntimeFailed
from yoloom.formats.model import ModelFile
from yoloom.formats.read import read_model
from yoloom.runtime import openvino
from yoloom.runtime.cpu import latency_profile, throughput_profile
from yoloom.runtime.openvino import OpenVINOBackend, OpenVINOContext
from yoloom.runtime.protocol import Batch, Profile

Factory = Callable[..., Path]


class Silent:
    """An infer request that returns without having run, as OpenVINO's does without memory."""

    def __init__(self, request: Any) -> None:
        self._request = request

    def __getattr__(self, name: str) -> Any:
        return (lambda: None) if name in ("infer", "start_async", "wait") else getattr(self._request, name)


def image(seed: int, hw: tuple[int, int] = (64, 64), count: int = 1) -> Batch:
    return np.random.default_rng(seed).integers(0, 256, (count, *hw, 3), np.uint8)


def context_of(path: Path, profile: Profile) -> OpenVINOContext:
    return OpenVINOBackend().compile(read_model(path), profile).context()


PROFILES = [latency_profile(1), latency_profile(2), throughput_profile(1), throughput_profile(2, 2)]


@pytest.mark.parametrize("profile", PROFILES, ids=str)
@pytest.mark.parametrize("layout", ["raw", "end2end"])
@pytest.mark.parametrize("hw", [(64, 64), (64, 128), (32, 64)], ids=["same", "larger", "smaller"])
def test_the_outputs_of_the_run_before(
    tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch, profile: Profile, layout: str, hw: tuple[int, int]
) -> None:
    """Seen to be delivered as the answer for this image, also for one of the same size."""
    monkeypatch.setattr(openvino, "_lost_requests", [])
    context = context_of(tiny_onnx(layout=layout), profile)
    context.run(image(0))
    context._request = Silent(context._request)
    with pytest.raises(RuntimeFailed, match="without having written its outputs"):
        context.run(image(1, hw))
    assert len(openvino._lost_requests) == 1  # what failed may still be run, so it is kept


@pytest.mark.parametrize("batch", [1, 3])
def test_a_first_run_of_a_fixed_size(tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(openvino, "_lost_requests", [])
    context = context_of(tiny_onnx(batch=batch, hw=(64, 64)), latency_profile(1))
    context._request = Silent(context._request)
    with pytest.raises(RuntimeFailed, match="without having written its outputs"):
        context.run(image(1))


def test_a_first_run_of_a_free_size(tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its outputs are empty then."""
    context = context_of(tiny_onnx(), latency_profile(1))
    context._request = Silent(context._request)
    with pytest.raises(RuntimeFailed, match="a run that failed"):
        context.run(image(1))


@pytest.mark.parametrize("profile", PROFILES, ids=str)
def test_an_output_that_is_a_constant_is_written_each_time(
    tiny_onnx: Factory, tmp_path: Path, profile: Profile
) -> None:
    path = tiny_onnx()
    proto = onnx.load_model(path)
    constant = numpy_helper.from_array(np.arange(6, dtype=np.float32).reshape(1, 6), "constant")
    proto.graph.initializer.append(constant)
    proto.graph.node.append(helper.make_node("Identity", ["constant"], ["facts"]))
    proto.graph.output.append(helper.make_tensor_value_info("facts", TensorProto.FLOAT, [1, 6]))
    onnx.save_model(proto, tmp_path / "constant.onnx")
    model = replace(read_model(path), graph=ModelFile("onnx", (tmp_path / "constant.onnx",)))
    context = OpenVINOBackend().compile(model, profile).context()
    for seed in range(4):
        outputs = context.run(image(seed, (64, 64 + 32 * (seed % 2))))
        assert outputs[1].tolist() == [[0, 1, 2, 3, 4, 5]]


def test_a_run_that_may_fail_is_told_by_another_way_than_infer(
    tiny_onnx: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one thread `infer` hides what failed; only a size that has run before is left to it."""
    calls: list[str] = []

    class Watched(Silent):
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            return getattr(self._request, name)

    for threads, expected in ((1, ["wait", "infer", "wait", "infer"]), (2, ["infer"] * 4)):
        context = context_of(tiny_onnx(f"{threads}.onnx"), latency_profile(threads))
        context._request = Watched(context._request)
        calls.clear()
        for hw in ((64, 64), (64, 64), (64, 96), (64, 64)):
            context.run(image(1, hw))
        assert [call for call in calls if call in ("infer", "wait")] == expected
