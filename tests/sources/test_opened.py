"""Open files and tensors as sources: what they hold, and how those end that hold none."""

from __future__ import annotations

import asyncio
import importlib.resources
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from yoloom import YOLO
from yoloom.assets import DEMO_MODEL
from yoloom.errors import InvalidImage, SourceWarning, UnsupportedSource
from yoloom.sources.opened import TensorImage, images_of_tensor, read_one

SCENES = sorted(Path(str(importlib.resources.files("yoloom.assets"))).glob("scene-*.jpg"))
OPTIONS: dict[str, Any] = {"imgsz": 160, "conf": 0.01}


class Tensor:
    """As much of a tensor of PyTorch as is asked for."""

    def __init__(self, array: NDArray[Any], dtype: str = "") -> None:
        self.array, self.dtype = array, dtype or str(array.dtype)

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def float(self) -> Tensor:
        return Tensor(self.array.astype(np.float32))

    def __array__(self, *_: object, **__: object) -> NDArray[Any]:
        if "bfloat16" in self.dtype:
            raise TypeError("numpy has no bfloat16")
        return self.array


@pytest.fixture(scope="module")
def model() -> Iterator[YOLO]:
    with YOLO(DEMO_MODEL) as opened:
        yield opened


def rows(result: Any) -> bytes:
    return bytes(result.boxes.data.tobytes())


# ---- Files


def test_an_open_file_is_read_by_every_way_to_ask(model: YOLO) -> None:
    data = SCENES[0].read_bytes()
    expected = rows(model(SCENES[0], **OPTIONS)[0])
    with SCENES[0].open("rb") as file:
        assert rows(model(file, **OPTIONS)[0]) == expected
    assert rows(model.submit(io.BytesIO(data), **OPTIONS).result()) == expected
    assert rows(asyncio.run(model.predict_async(io.BytesIO(data), **OPTIONS))) == expected
    assert [rows(one) for one in model.map(iter([io.BytesIO(data)] * 1), **OPTIONS)] == [expected]
    assert [rows(one) for one in model([io.BytesIO(data), io.BytesIO(data)], stream=True, **OPTIONS)] == [expected] * 2


def test_an_open_file_is_read_from_where_it_is() -> None:
    file = io.BytesIO(b"header" + b"picture")
    file.seek(6)
    assert read_one(file) == b"picture"
    with pytest.raises(InvalidImage, match=r"was read to its end before: source\.seek\(0\)"):
        read_one(file)


async def read() -> bytes:
    return b""


@pytest.mark.parametrize(
    ("gives", "error", "match"),
    [
        (lambda: "text", InvalidImage, "got str: open it as 'rb'"),
        (lambda: None, InvalidImage, "got NoneType"),
        (read, InvalidImage, r"await source\.read\(\)"),
        (lambda: (True, np.zeros((2, 2, 3), np.uint8)), UnsupportedSource, "pass each frame"),
    ],
)
def test_files_that_give_no_bytes(gives: Any, error: type[Exception], match: str) -> None:
    file = type("Upload", (), {"read": staticmethod(gives)})()
    with pytest.raises(error, match=match):
        read_one(file)


# ---- Tensors


def test_a_tensor_gives_what_its_picture_gives(model: YOLO) -> None:
    """It is on its canvas already: 192x256 runs at that size, whatever `imgsz` says, as in Ultralytics."""
    picture = cv2.resize(cv2.imread(str(SCENES[0])), (256, 192))
    expected = model(picture, conf=0.01, imgsz=(192, 256))[0]
    rgb = np.ascontiguousarray(picture[:, :, ::-1].transpose(2, 0, 1))
    for tensor in (Tensor(rgb), Tensor(rgb[None]), Tensor(rgb[None].astype(np.float32) / 255)):
        (result,) = model(tensor, **OPTIONS)
        assert rows(result) == rows(expected)
        assert result.orig_shape == (192, 256)
    assert rows(model.submit(Tensor(rgb), **OPTIONS).result()) == rows(expected)


def test_a_batch_is_several_images(model: YOLO) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 96), np.uint8)
    results = model(Tensor(batch), conf=0.01)
    assert len(results) == 3
    for image, result in zip(batch, results, strict=True):
        np.testing.assert_array_equal(result.orig_img, image.transpose(1, 2, 0)[:, :, ::-1])
    with pytest.raises(InvalidImage, match="got a tensor of 3: pass it to predict"):
        model.submit(Tensor(batch))


def test_half_and_bfloat16_are_read() -> None:
    values = np.array([0, 128, 255], np.uint8)[None, :, None, None] / np.float32(255)
    for tensor in (Tensor(values.astype(np.float16)), Tensor(values, "torch.bfloat16")):
        (image,) = images_of_tensor(tensor)
        assert isinstance(image, TensorImage)
        assert image.pixels.tolist() == [[[255, 128, 0]]]


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((64, 64, 3), np.float32), r"got shape \(64, 64, 3\).* numpy array"),
        (np.zeros((64, 64), np.float32), "got shape"),
        (np.zeros((0, 3, 64, 64), np.float32), "got shape"),
        (np.full((3, 8, 8), 255, np.float32), "from 255 to 255: divide it by 255"),
        (np.full((3, 8, 8), -1, np.float32), "numbers of 0..1"),
        (np.full((3, 8, 8), np.nan, np.float32), "numbers of 0..1"),
        (np.zeros((3, 8, 8), np.int64), "got int64"),
    ],
)
def test_tensors_that_hold_no_picture(array: NDArray[Any], match: str) -> None:
    with pytest.raises(InvalidImage, match=match):
        images_of_tensor(Tensor(array))


def test_real_tensors() -> None:
    torch = pytest.importorskip("torch")
    (image,) = images_of_tensor(torch.full((1, 3, 32, 32), 0.5, dtype=torch.bfloat16, requires_grad=True))
    assert image.pixels.shape == (32, 32, 3)


# ---- Files that nobody named, and pictures of a file that are left out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        (tmp_path / f"{number}.jpg").write_bytes(SCENES[number].read_bytes())
    (tmp_path / "2.jpg").write_bytes(SCENES[2].read_bytes()[:3000])
    return tmp_path


@pytest.mark.parametrize("way", ["predict", "stream", "map", "pattern", "list"])
def test_a_torn_file_in_a_folder_is_left_out_with_a_warning(model: YOLO, folder: Path, way: str) -> None:
    """Seen to fail: a stream ended at the torn file, and the rest of the folder was lost."""
    ways: dict[str, Any] = {
        "predict": lambda: model(folder, **OPTIONS),
        "stream": lambda: [result for result in model(folder, stream=True, **OPTIONS)],  # noqa: C416  as users write it
        "map": lambda: list(model.map([folder], **OPTIONS)),
        "pattern": lambda: model(str(folder / "*.jpg"), **OPTIONS),
        "list": lambda: model(folder / "list.txt", **OPTIONS),
    }
    (folder / "list.txt").write_text("1.jpg\n2.jpg\n3.jpg\n")
    with pytest.warns(SourceWarning, match=r"left out: .*2\.jpg: the JPEG is cut short"):
        results = ways[way]()
    assert [Path(result.path).name for result in results] == ["1.jpg", "3.jpg"]


def test_a_folder_with_nothing_but_a_torn_file_gives_no_results(model: YOLO, folder: Path) -> None:
    for name in ("1.jpg", "3.jpg"):
        (folder / name).unlink()
    with pytest.warns(SourceWarning, match="left out"):
        assert model(folder, **OPTIONS) == []


def test_errors_says_otherwise(model: YOLO, folder: Path) -> None:
    outcomes = model.predict(folder, errors="return", **OPTIONS)
    assert [isinstance(outcome, InvalidImage) for outcome in outcomes] == [False, True, False]
    with pytest.raises(Exception, match="1 of 3 images failed"):
        model.predict(folder, errors="raise", **OPTIONS)
    stream = model.predict(folder, stream=True, errors="raise", **OPTIONS)
    assert Path(next(stream).path).name == "1.jpg"
    with pytest.raises(InvalidImage):
        next(stream)
    assert Path(next(stream).path).name == "3.jpg"


def test_a_torn_file_that_was_named_is_an_error(model: YOLO, folder: Path) -> None:
    with pytest.raises(InvalidImage):
        model(folder / "2.jpg", **OPTIONS)
    with pytest.raises(Exception, match="1 of 2 images failed"):
        model([folder / "1.jpg", folder / "2.jpg"], **OPTIONS)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF"])
def test_pictures_that_are_left_out_are_told(model: YOLO, tmp_path: Path, form: str) -> None:
    """Seen to fail: the first of three was the answer, without a word."""
    pictures = [Image.open(scene) for scene in SCENES[:3]]
    path = tmp_path / f"several.{form.lower()}"
    pictures[0].save(path, form, save_all=True, append_images=pictures[1:])
    for source in (path, path.read_bytes()):
        with pytest.warns(SourceWarning, match=r"holds 3 pictures, and the first one is predicted"):
            assert len(model(source, **OPTIONS)) == 1
    pictures[0].save(path, form)
    assert len(model(path, **OPTIONS)) == 1
