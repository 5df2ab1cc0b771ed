"""The centre crop shows what Pillow and torchvision would show, and takes bounded memory for it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from yoloom.images import centre_crop as module
from yoloom.images.centre_crop import MAX_RESIZED, CentreCrop
from yoloom.testing import barrier_run

# Observed from torchvision 0.28 (Resize and CenterCrop as in Ultralytics 8.4.190's classify_transforms):
# source (h, w), canvas (h, w), the resized image's (h, w), the canvas's (top, left) in it.
OBSERVED = [
    ((1080, 810), (224, 224), (298, 224), (37, 0)),
    ((720, 1280), (224, 224), (224, 398), (0, 87)),
    ((333, 500), (64, 64), (64, 96), (0, 16)),
    ((97, 96), (96, 96), (97, 96), (0, 0)),
    ((96, 97), (96, 96), (96, 97), (0, 0)),
    ((223, 225), (224, 224), (224, 226), (0, 1)),
    ((1, 1), (32, 32), (32, 32), (0, 0)),
    ((1, 7), (32, 32), (32, 224), (0, 96)),
    ((60, 2), (32, 32), (960, 32), (464, 0)),
    ((101, 77), (96, 160), (96, 160), (0, 0)),
    ((50, 400), (64, 32), (64, 32), (0, 0)),
    ((501, 333), (65, 65), (97, 65), (16, 0)),
    ((31, 1000), (32, 32), (32, 1032), (0, 500)),
]


def noise(*hw: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*hw, 3), np.uint8)


def drawn(image: np.ndarray, canvas_hw: tuple[int, int]) -> np.ndarray:
    """The canvas, drawn as a row of a batch whose other pixels must stay as they are."""
    batch = np.full((2, *canvas_hw, 3), 201, np.uint8)
    CentreCrop((image.shape[0], image.shape[1]), canvas_hw).draw(image, batch[1])
    assert (batch[0] == 201).all()
    return batch[1]


def resized(image: np.ndarray, hw: tuple[int, int]) -> np.ndarray:
    """As Ultralytics does it: in RGB."""
    rgb = Image.fromarray(np.ascontiguousarray(image[..., ::-1]))
    return np.asarray(rgb.resize(hw[::-1], Image.Resampling.BILINEAR))[..., ::-1]


@pytest.mark.parametrize(("source", "canvas", "whole", "corner"), OBSERVED)
def test_agrees_with_torchvision(
    source: tuple[int, int], canvas: tuple[int, int], whole: tuple[int, int], corner: tuple[int, int]
) -> None:
    assert CentreCrop(source, canvas).resized_hw == whole
    image = noise(*source)
    top, left = corner
    expected = resized(image, whole)[top : top + canvas[0], left : left + canvas[1]]
    assert np.array_equal(drawn(image, canvas), expected)


def test_small_pictures_by_number() -> None:
    """Observed from Ultralytics: 57 is 3/7 of 0, 3/7 of 80 and 1/7 of 160, as a pixel is a mean of all it covers."""
    image = np.repeat(np.array([[0, 80, 160, 240], [0, 80, 160, 240]], np.uint8)[:, :, None], 3, axis=2)
    assert drawn(image, (2, 2))[0, :, 0].tolist() == [80, 160]
    assert drawn(image, (1, 1))[0, :, 0].tolist() == [57]
    assert drawn(image, (1, 2))[0, :, 0].tolist() == [57, 183]


def test_channels_stay_in_order() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    image[...] = [1, 2, 3]
    assert (drawn(image, (16, 16)) == [1, 2, 3]).all()


def test_an_image_of_the_right_size_is_left_as_it_is() -> None:
    image = noise(32, 32)
    canvas = drawn(image, (32, 32))
    assert np.array_equal(canvas, image)
    assert not np.shares_memory(canvas, image)


@pytest.mark.parametrize("layout", [lambda image: image[::-1], lambda image: image[:, ::2], np.asfortranarray])
def test_any_layout_in_memory(layout) -> None:  # type: ignore[no-untyped-def]
    image = layout(noise(50, 60))
    image.flags.writeable = False
    assert np.array_equal(drawn(image, (16, 16)), drawn(np.ascontiguousarray(image), (16, 16)))


@given(st.tuples(st.integers(1, 200), st.integers(1, 200)), st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_geometry(source: tuple[int, int], canvas: tuple[int, int]) -> None:
    crop = CentreCrop(source, canvas)
    whole = crop.resized_hw
    if canvas[0] != canvas[1]:
        assert whole == canvas
    else:
        assert min(whole) == canvas[0]
    for axis, corner in enumerate([crop._start(0), crop._start(1)]):
        assert 0 <= corner <= whole[axis] - canvas[axis]
        assert abs(whole[axis] - canvas[axis] - 2 * corner) <= 1


# ---- Elongated images


@pytest.mark.parametrize(
    "hw", [(31, 1000), (1000, 31), (1, 33), (400, 1), (300, 12000), (12000, 300), (16, 16), (7, 9)]
)
def test_the_middle_alone_is_the_same_within_one(monkeypatch: pytest.MonkeyPatch, hw: tuple[int, int]) -> None:
    image = noise(*hw)
    whole = drawn(image, (64, 64)).astype(int)
    monkeypatch.setattr(module, "MAX_RESIZED", 0)
    middle = drawn(image, (64, 64)).astype(int)
    assert np.abs(whole - middle).max() <= 1


@pytest.mark.parametrize("hw", [(1, 200_000), (200_000, 1), (2, 99_999)])
def test_memory_is_bounded_for_the_most_elongated(hw: tuple[int, int]) -> None:
    """Whole, the first would be 224 x 44,800,000 pixels."""
    assert np.prod(CentreCrop(hw, (224, 224)).resized_hw) > MAX_RESIZED
    image = np.full((*hw, 3), 77, np.uint8)
    tracemalloc.start()
    canvas = drawn(image, (224, 224))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (canvas == 77).all()
    assert peak < 4 << 20


def test_same_bits_in_every_thread() -> None:
    image = noise(333, 500)
    expected = drawn(image, (96, 96)).tobytes()
    assert barrier_run(4, lambda _: drawn(image, (96, 96)).tobytes()) == [expected] * 4
