"""All tasks through the whole path: small checkpoints of Ultralytics, shared by threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scenes import scene
from yoloom import YOLO, Results
from yoloom.formats.checkpoint.onnx_model import build_onnx
from yoloom.formats.checkpoint.parse import read_checkpoint
from yoloom.testing import barrier_run, shaken

FOLDER = Path(__file__).parents[1] / "data" / "checkpoints"
NAMES = ("v9-segment", "26-segment", "11-pose", "26-pose", "12-obb", "26-obb", "11-classify", "resnet-classify")
SUPPRESSED = ("26-segment", "26-pose", "26-obb")
OPTIONS = {"conf": 0.01, "iou": 0.6, "max_det": 40, "imgsz": 96}

Open = Callable[..., YOLO]


@pytest.fixture
def open_model(tmp_path: Path) -> Iterator[Open]:
    opened: list[YOLO] = []

    def open_file(name: str, backend: str = "openvino", nms: bool | None = None, **fixed: Any) -> YOLO:
        path = FOLDER / f"{name}.pt"
        if fixed:
            onnx = tmp_path / f"{name}.onnx"
            onnx.write_bytes(build_onnx(read_checkpoint(path), dynamic=False, **fixed))
            path = onnx
        opened.append(YOLO(path, backend=backend, threads=2, nms=nms))
        return opened[-1]

    yield open_file
    for model in opened:
        model.close()


def picture(seed: int, size_wh: tuple[int, int] = (160, 120)) -> np.ndarray:
    return scene(seed, size_wh).image


def bits(result: Results) -> list[tuple[str, tuple[int, ...], bytes]]:
    members = {name: getattr(result, name) for name in ("boxes", "masks", "probs", "keypoints", "obb")}
    return [(name, m.data.shape, m.data.tobytes()) for name, m in members.items() if m is not None]


def check_members(result: Results, task: str) -> None:
    """The task's members are there, in source pixels, and no others."""
    height, width = result.orig_shape
    there = {name for name in ("boxes", "masks", "probs", "keypoints", "obb") if getattr(result, name) is not None}
    assert (
        there
        == {
            "segment": {"boxes", "masks"},
            "pose": {"boxes", "keypoints"},
            "obb": {"obb"},
            "classify": {"probs"},
        }[task]
    )
    if result.boxes is not None:
        assert (np.asarray(result.boxes.xyxy) <= [width, height, width, height]).all()
    if result.masks is not None:
        assert result.masks.data.dtype == np.uint8
        assert result.masks.data.reshape(len(result), -1).any(axis=1).all(), "empty masks are left out"
    if result.keypoints is not None:
        assert (np.asarray(result.keypoints.xy) <= [width, height]).all()
    if result.probs is not None:
        np.testing.assert_allclose(result.probs.data.sum(), 1, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_results_have_what_their_task_finds(open_model: Open, name: str) -> None:
    model = open_model(name)
    results = model.predict([picture(1), picture(2, (90, 150))], **OPTIONS)
    assert len(results[0]) > 1
    for result in results:
        check_members(result, model.task)


@pytest.mark.parametrize("name", SUPPRESSED)
def test_heads_without_nms_find_alike(open_model: Open, name: str) -> None:
    model = open_model(name, nms=False)
    (result,) = model.predict(picture(1), **OPTIONS)
    assert len(result) > 1
    check_members(result, model.task)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_threads_that_share_a_model_get_the_bits_of_a_lone_caller(open_model: Open, name: str, backend: str) -> None:
    model = open_model(name, backend)
    asked = [OPTIONS | {"conf": 0.002 * (i % 4), "max_det": 5 + i, "retina_masks": i % 2 == 1} for i in range(8)]
    images = [picture(i, (160, 120) if i % 2 else (96, 144)) for i in range(8)]
    alone = [bits(model.predict(image, **options)[0]) for image, options in zip(images, asked, strict=True)]
    assert len(set(map(str, alone))) == 8

    def caller(i: int) -> bool:
        return all(bits(model.predict(images[i], **asked[i])[0]) == alone[i] for _ in range(4))

    with shaken():
        assert all(barrier_run(8, caller))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_one_size_gives_the_same_as_one_of_any(open_model: Open, name: str) -> None:
    """Another file, so another network: OpenVINO computes the sine of fixed shapes by other steps, a bit apart."""
    options = OPTIONS | {"rect": False}
    (dynamic,) = open_model(name).predict(picture(1), **options)
    (static,) = open_model(name, imgsz_hw=(96, 96), batch=2).predict(picture(1), **options)
    if "obb" not in name:
        assert bits(static) == bits(dynamic)
    else:
        np.testing.assert_allclose(static.obb.data, dynamic.obb.data, rtol=1e-5, atol=1e-5)


def test_masks_are_as_large_as_the_input_or_as_the_picture(open_model: Open) -> None:
    model = open_model("v9-segment")
    (canvas,) = model.predict(picture(1), **OPTIONS)
    (source,) = model.predict(picture(1), retina_masks=True, **OPTIONS)
    assert canvas.masks is not None
    assert source.masks is not None
    assert canvas.masks.shape[1:] == (96, 96)  # 72 x 96, padded to the stride, which is never below 32
    assert source.masks.shape[1:] == (120, 160)


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_is_found_can_be_drawn_and_written(open_model: Open, name: str, tmp_path: Path) -> None:
    model = open_model(name)
    (result,) = model.predict(picture(1), save=True, save_txt=True, project=tmp_path, exist_ok=True, **OPTIONS)
    assert (result.plot() != result.orig_img).any()
    assert (tmp_path / "predict" / "image0.jpg").exists()
    lines = (tmp_path / "predict" / "labels" / "image0.txt").read_text().splitlines()
    assert len(lines) == len(result.summary()) > 1
