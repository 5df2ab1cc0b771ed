"""The letterbox puts an image where Ultralytics puts it, and finds the way back."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from yoloom.images.letterbox import PAD_VALUE, Letterbox, plan_letterbox, round_up_to_stride

STRIDE = 32

# Observed from Ultralytics 8.4.190 (LetterBox with stride 32, and scale_boxes of the box 0.25 W, 0.3 H, 0.7 W, 0.9 H):
# source (h, w), imgsz (h, w), rect, canvas (h, w), content's (top, left), its (h, w), the box in source pixels.
OBSERVED = [
    ((480, 640), (640, 640), True, (480, 640), (0, 0), (480, 640), [160.0, 144.0, 448.0, 432.0]),
    ((1080, 810), (640, 640), True, (640, 480), (0, 0), (640, 480), [202.5, 324.0, 567.0, 972.0]),
    ((720, 1280), (640, 640), True, (384, 640), (12, 0), (360, 640), [320.0, 206.4, 896.0, 667.2]),
    ((333, 500), (640, 640), True, (448, 640), (11, 0), (426, 640), [125.0, 96.4606, 350.0, 306.579]),
    ((333, 500), (640, 640), False, (640, 640), (107, 0), (426, 640), [125.0, 66.4437, 350.0, 333.0]),
    ((1, 1), (640, 640), True, (640, 640), (0, 0), (640, 640), [0.25, 0.3, 0.7, 0.9]),
    ((1, 1000), (640, 640), True, (32, 640), (15, 0), (1, 640), [250.0, 0.0, 700.0, 1.0]),
    ((1000, 1), (320, 320), True, (320, 32), (0, 15), (320, 1), [0.0, 300.0, 1.0, 900.0]),
    ((3, 4000), (640, 640), False, (640, 640), (319, 0), (1, 640), [1000.0, 0.0, 2800.0, 3.0]),
    ((101, 77), (96, 160), True, (96, 96), (0, 11), (96, 73), [13.7123, 30.3, 59.2794, 90.9]),
    ((101, 77), (96, 160), False, (96, 160), (0, 43), (96, 73), [0.0, 30.3, 72.7808, 90.9]),
    ((427, 641), (320, 320), True, (224, 320), (5, 0), (213, 320), [160.25, 124.692, 448.7, 394.123]),
    ((641, 427), (480, 480), True, (480, 320), (0, 0), (480, 320), [106.75, 192.3, 298.9, 576.9]),
    ((55, 640), (640, 640), True, (64, 640), (4, 0), (55, 640), [160.0, 15.2, 448.0, 53.6]),
    ((65, 645), (640, 640), True, (64, 640), (0, 0), (64, 640), [160.488, 19.5, 453.024, 58.5]),
    ((2160, 3840), (1280, 1280), True, (736, 1280), (8, 0), (720, 1280), [960.0, 638.4, 2688.0, 1963.2]),
    ((375, 1242), (384, 1248), False, (384, 1248), (3, 0), (377, 1248), [310.5, 111.605, 869.4, 340.783]),
    ((99, 35), (64, 64), True, (64, 32), (0, 4), (64, 23), [6.08696, 29.7, 28.0, 89.1]),
]

sides = st.integers(1, 3000)
sizes = st.tuples(sides, sides)
imgsz_hw = st.tuples(*[st.integers(1, 30).map(lambda count: count * STRIDE)] * 2)
strides = st.sampled_from([None, STRIDE])


def textbook(image: np.ndarray, imgsz: tuple[int, int], stride: int | None) -> np.ndarray:
    """The letterbox, step by step and without a thought for speed."""
    height, width = image.shape[:2]
    ratio = min(imgsz[0] / height, imgsz[1] / width)
    new_width, new_height = max(round(width * ratio), 1), max(round(height * ratio), 1)
    spare_width, spare_height = imgsz[1] - new_width, imgsz[0] - new_height
    if stride is not None:
        spare_width, spare_height = math.fmod(spare_width, stride), math.fmod(spare_height, stride)
    if (new_height, new_width) != (height, width):
        image = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    top, bottom = round(spare_height / 2 - 0.1), round(spare_height / 2 + 0.1)
    left, right = round(spare_width / 2 - 0.1), round(spare_width / 2 + 0.1)
    return cv2.copyMakeBorder(image, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(114, 114, 114))


def drawn(letterbox: Letterbox, image: np.ndarray) -> np.ndarray:
    """The canvas (H, W, 3), drawn as a row of a batch whose other pixels must stay as they are."""
    batch = np.full((2, *letterbox.canvas_hw, 3), 201, np.uint8)
    letterbox.draw(image, batch[1])
    assert (batch[0] == 201).all()
    return batch[1]


@pytest.mark.parametrize(("source", "imgsz", "rect", "canvas", "corner", "content", "box"), OBSERVED)
def test_agrees_with_ultralytics(source, imgsz, rect, canvas, corner, content, box) -> None:  # type: ignore[no-untyped-def]
    letterbox = plan_letterbox(source, imgsz, STRIDE if rect else None)
    assert letterbox.canvas_hw == canvas
    assert (letterbox.top, letterbox.left) == corner
    assert letterbox.content_hw == content
    height, width = canvas
    found = letterbox.to_source(np.array([[width * 0.25, height * 0.3, width * 0.7, height * 0.9]], np.float32))
    np.testing.assert_allclose(found[0], box, rtol=2e-5)


@pytest.mark.parametrize("stride", [None, STRIDE])
@pytest.mark.parametrize(
    "size",
    [(1, 1), (2, 3), (31, 33), (48, 64), (63, 65), (1, 200), (200, 1), (97, 101), (160, 96), (333, 500), (7, 640)],
)
@pytest.mark.parametrize("imgsz", [(64, 64), (96, 160), (320, 320)])
def test_same_pixels_as_the_textbook(size: tuple[int, int], imgsz: tuple[int, int], stride: int | None) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    canvas = drawn(plan_letterbox(size, imgsz, stride), image)
    assert np.array_equal(canvas, textbook(image, imgsz, stride))


def test_padding_is_gray_on_all_sides() -> None:
    letterbox = plan_letterbox((40, 64), (64, 64), None)
    canvas = drawn(letterbox, np.full((40, 64, 3), 7, np.uint8))
    assert (canvas[:12] == PAD_VALUE).all()
    assert (canvas[12:52] == 7).all()
    assert (canvas[52:] == PAD_VALUE).all()


def test_the_image_is_left_alone_and_not_shared() -> None:
    image = np.full((64, 64, 3), 5, np.uint8)
    canvas = drawn(plan_letterbox((64, 64), (64, 64), STRIDE), image)
    canvas[...] = 9
    assert (image == 5).all()


@given(sizes, imgsz_hw, strides)
def test_geometry(source: tuple[int, int], imgsz: tuple[int, int], stride: int | None) -> None:
    letterbox = plan_letterbox(source, imgsz, stride)
    for axis, corner in enumerate((letterbox.top, letterbox.left)):
        canvas, content = letterbox.canvas_hw[axis], letterbox.content_hw[axis]
        assert content >= 1
        assert 0 <= corner <= canvas - content
        assert abs(canvas - content - 2 * corner) <= 1  # centred
        assert canvas <= imgsz[axis]
        assert canvas % STRIDE == 0
        assert canvas - content < STRIDE if stride else canvas == imgsz[axis]
    assert 0 in [imgsz[axis] - letterbox.content_hw[axis] for axis in (0, 1)]  # one side is filled


def to_canvas(letterbox: Letterbox, xyxy: np.ndarray) -> np.ndarray:
    gain_y, gain_x = (letterbox.content_hw[axis] / letterbox.source_hw[axis] for axis in (0, 1))
    corner = [letterbox.left, letterbox.top] * 2
    return (xyxy * [gain_x, gain_y, gain_x, gain_y] + corner).astype(np.float32)


units = st.floats(0, 1, width=32)


@given(sizes, imgsz_hw, strides, st.tuples(units, units, units, units))
def test_way_back(
    source: tuple[int, int], imgsz: tuple[int, int], stride: int | None, corners: tuple[float, float, float, float]
) -> None:
    """Boxes come back to where they were.

    Not where the content fills the canvas after its side was rounded down, (65, 645) in the table above: there
    Ultralytics' inverse is off by a few pixels, and so is this one.
    """
    letterbox = plan_letterbox(source, imgsz, stride)
    height, width = source
    gain = min(imgsz[0] / height, imgsz[1] / width)
    assume(gain == min(letterbox.canvas_hw[0] / height, letterbox.canvas_hw[1] / width))
    boxes = np.array([corners], np.float32) * [width, height, width, height]
    found = letterbox.to_source(to_canvas(letterbox, boxes))
    assert found.dtype == np.float32
    assert np.abs(found - boxes).max() <= min(1, 0.02 + 0.001 / gain)


@given(sizes, imgsz_hw, strides)
def test_way_back_is_clipped_and_keeps_order(
    source: tuple[int, int], imgsz: tuple[int, int], stride: int | None
) -> None:
    letterbox = plan_letterbox(source, imgsz, stride)
    line = np.linspace(-2000, 3000, 200, dtype=np.float32)
    found = letterbox.to_source(np.stack([line] * 4, axis=1))
    assert (np.diff(found, axis=0) >= 0).all()
    assert (found[0] == 0).all()
    assert (found[-1] == [source[1], source[0]] * 2).all()


def test_way_back_of_nothing() -> None:
    letterbox = plan_letterbox((480, 640), (640, 640), STRIDE)
    assert letterbox.to_source(np.empty((0, 4), np.float32)).shape == (0, 4)


def test_way_back_leaves_its_input_alone() -> None:
    boxes = np.full((2, 4), 50, np.float32)
    boxes.flags.writeable = False
    plan_letterbox((480, 640), (640, 640), STRIDE).to_source(boxes)


@pytest.mark.parametrize(
    ("imgsz", "stride", "expected"),
    [((640, 640), 32, (640, 640)), ((641, 1), 32, (672, 32)), ((100, 200), 64, (128, 256)), ((31, 32), 32, (32, 32))],
)
def test_round_up_to_stride(imgsz: tuple[int, int], stride: int, expected: tuple[int, int]) -> None:
    assert round_up_to_stride(imgsz, stride) == expected
