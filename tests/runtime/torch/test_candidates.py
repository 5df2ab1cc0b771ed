"""Ranking in the graph changes nothing: the detections are those of the raw output, and those of the CPU path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch

from torch_models import compiled_of
from yoloom.formats.model import Layout, Model
from yoloom.images.letterbox import Letterbox, plan_letterbox
from yoloom.options import PredictOptions
from yoloom.postprocess.detections import Detections, OutputLayout
from yoloom.postprocess.tasks import TASKS
from yoloom.runtime.cpu import latency_profile
from yoloom.runtime.protocol import Precision
from yoloom.runtime.registry import find_backend
from yoloom.runtime.torch import torch_network
from yoloom.runtime.torch.torch_device import TorchDevice
from yoloom.runtime.torch.torch_network import TorchNetwork

Models = Callable[[str], Model]
NAMES = ["v8-detect", "v9-segment", "26-segment", "11-pose", "26-pose", "12-obb", "26-obb", "v10-detect"]
HW = (160, 192)


def images(count: int = 2, hw: tuple[int, int] = HW) -> Any:
    return np.random.default_rng(7).integers(0, 256, (count, *hw, 3), np.uint8)


def letterbox(hw: tuple[int, int] = HW) -> Letterbox:
    return plan_letterbox(hw, hw, 32)


def layout_of(model: Model, ranked: bool) -> OutputLayout:
    end2end = model.layout is Layout.END2END
    return OutputLayout(end2end, len(model.names) or None, model.kpt_shape, ranked and not end2end)


def detections(model: Model, outputs: Any, row: int, options: PredictOptions, ranked: bool, keep: Any) -> Detections:
    arrays = tuple(np.array(output[row]) for output in outputs)
    return TASKS[model.task](arrays, layout_of(model, ranked), letterbox(), options, keep)


def options_for(raw: Any, model: Model, passing: float = 0.1, **changes: Any) -> PredictOptions:
    """A limit that a part of all anchors passes: the weights of the golden networks are random."""
    scores = raw[:, 4 : 4 + len(model.names)].max(axis=1)
    return PredictOptions(conf=float(np.quantile(scores, 1 - passing)), max_det=300, **changes)


def equal(one: Detections, other: Detections, atol: float = 0.0) -> None:
    for field in fields(Detections):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine.astype(np.float64), theirs, rtol=1e-4 if atol else 0, atol=atol)


@pytest.mark.parametrize("keep", [None, {1}])
@pytest.mark.parametrize("name", NAMES)
def test_detections_are_those_of_the_raw_output(checkpoint_model: Models, name: str, keep: Any) -> None:
    model = checkpoint_model(name)
    network = TorchNetwork(model, TorchDevice("cpu"), Precision.FP32)
    with torch.inference_mode():
        tensors = network.run(torch.from_numpy(images()), network.canvas(HW))
    ranked = [tensor.numpy() for tensor in network.outputs(tensors)]
    raw = [tensors[-4].numpy(), *ranked[1:]]
    for changes in ({}, {"agnostic_nms": True, "iou": 0.3}):
        options = options_for(raw[0], model, **changes)
        for row in range(2):
            found = detections(model, ranked, row, options, True, keep)
            equal(found, detections(model, raw, row, options, False, keep))
            assert len(next(value for value in vars(found).values() if value is not None)) or keep


@pytest.mark.parametrize("name", [*NAMES, "tiny-classify", "resnet-classify"])
def test_detections_are_those_of_the_cpu_path(checkpoint_model: Models, name: str) -> None:
    model = checkpoint_model(name)
    network = TorchNetwork(model, TorchDevice("cpu"), Precision.FP32)
    with torch.inference_mode():
        outputs = network.outputs(network.run(torch.from_numpy(images()), network.canvas(HW)))
    expected = find_backend("openvino", "cpu").compile(model, latency_profile(1)).context().run(images())
    options = PredictOptions() if model.task == "classify" else options_for(expected[0], model, passing=0.03)
    for row in range(2):
        mine = detections(model, [output.numpy() for output in outputs], row, options, True, None)
        equal(mine, detections(model, expected, row, options, False, None), atol=1e-3)


@pytest.mark.parametrize("name", ["v10-detect", "26-obb", "26-pose"])
def test_a_head_without_nms_gives_its_own_rows(checkpoint_model: Models, name: str) -> None:
    model = replace(checkpoint_model(name), layout=Layout.END2END)
    network = TorchNetwork(model, TorchDevice("cpu"), Precision.FP32)
    with torch.inference_mode():
        (rows,) = network.outputs(network.run(torch.from_numpy(images()), network.canvas(HW)))
    assert network.layout is Layout.END2END
    assert rows.shape[1] <= 300
    assert (np.diff(rows[0, :, 4]) <= 0).all()


def with_scores(network: TorchNetwork, scores: list[list[float]]) -> Any:
    """The rows that are made of one image with these scores of each class, by anchor."""
    classes = torch.tensor(scores).T
    boxes = torch.arange(4.0)[:, None] + torch.arange(classes.shape[1]) * 10
    return network._ranked(torch.cat([boxes, classes])[None])


def test_equal_scores_keep_the_order_of_the_anchors_and_nan_comes_last(checkpoint_model: Models) -> None:
    network = TorchNetwork(checkpoint_model("v8-detect"), TorchDevice("cpu"), Precision.FP32)
    nan = float("nan")
    scores = [[0.1, 0.2, 0.2], [0.5, 0.5, 0.1], [nan, 0.9, 0.1], [0.5, 0.1, 0.1]]
    ranking = with_scores(network, scores)
    rows = network._candidates(4, *ranking)[0]
    assert rows[:, 0].tolist() == [10, 30, 0, 20]
    assert rows[:, 4].tolist() == pytest.approx([0.5, 0.5, 0.2, -1])
    assert rows[:3, 5].tolist() == [0, 0, 1]  # the first of the classes that are equal


def test_nothing_is_left_out_without_a_word(checkpoint_model: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten rows come back; somebody who wants more than those gets all, whatever the batch-mates have."""
    monkeypatch.setattr(torch_network, "MOST_CANDIDATES", 10)
    context = compiled_of(checkpoint_model("v8-detect")).context()
    every = context.run(images())[0]
    assert every.shape[1] > 10
    tenth = every[:, 9, 4]
    few = context.run(images(), lowest_score=float(tenth.max()))[0]
    assert few.shape[1] == 10
    assert few.tobytes() == np.ascontiguousarray(every[:, :10]).tobytes()
    lowest = float(tenth.min()) if tenth.min() < tenth.max() else float(np.nextafter(tenth.min(), np.float32(0)))
    assert context.run(images(), lowest_score=lowest)[0].tobytes() == every.tobytes()
