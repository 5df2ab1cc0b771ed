"""Drawings are pure, fit the picture, and can be read."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from yoloom.errors import InvalidOption
from yoloom.results.drawing.box_drawing import draw_boxes
from yoloom.results.drawing.style import PALETTE, Color, drawing_style, palette_color

RED, GREEN = (0, 0, 255), (0, 255, 0)


def blank(height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((height, width, 3), 90, np.uint8)


def painted(picture: np.ndarray) -> np.ndarray:
    return np.asarray((picture != 90).any(axis=2))


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(mask)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def test_the_picture_given_is_not_changed() -> None:
    image = blank()
    image.flags.writeable = False
    picture = draw_boxes(image, [[20, 40, 90, 100]], [RED], ["person"])
    assert picture.flags.writeable
    assert (image == 90).all()


def test_nothing_to_draw_is_a_copy() -> None:
    image = blank()
    picture = draw_boxes(image, (), ())
    assert np.array_equal(picture, image)
    assert not np.shares_memory(picture, image)


def test_a_view_can_be_drawn_on() -> None:
    flipped = blank()[:, ::-1]
    assert np.array_equal(
        draw_boxes(flipped, [[20, 40, 90, 100]], [RED]), draw_boxes(blank(), [[20, 40, 90, 100]], [RED])
    )


@pytest.mark.parametrize("width", [1, 2, 3, 8])
def test_the_line_runs_along_the_box(width: int) -> None:
    mask = painted(draw_boxes(blank(), [[30, 40, 90, 100]], [RED], line_width=width))
    before, after = width // 2, (width - 1) // 2
    assert extent(mask) == (30 - before, 40 - before, 90 + after, 100 + after)
    assert mask[40, 30:91].all()
    assert mask[40:101, 90].all()
    assert not mask[50:90, 40:80].any()


def test_colours_are_used_as_given() -> None:
    picture = draw_boxes(blank(), [[10, 20, 50, 60], [80, 20, 150, 60]], [RED, GREEN])
    assert tuple(picture[40, 10]) == RED
    assert tuple(picture[40, 80]) == GREEN


def test_the_first_box_lies_on_top() -> None:
    picture = draw_boxes(blank(), [[20, 40, 90, 100], [20, 40, 90, 100]], [RED, GREEN])
    assert tuple(picture[70, 20]) == RED


def test_no_line_crosses_a_label() -> None:
    alone = draw_boxes(blank(), [[20, 60, 90, 100]], [RED], ["person"])
    crossed = draw_boxes(blank(), [[40, 10, 60, 110], [20, 60, 90, 100]], [GREEN, RED], ["", "person"])
    assert np.array_equal(crossed[48:60, 20:55], alone[48:60, 20:55])
    assert not np.array_equal(crossed[62:100, 20:55], alone[62:100, 20:55])


def label_only(box: list[float], text: str, image: np.ndarray) -> np.ndarray:
    with_text = draw_boxes(image, [box], [RED], [text])
    return np.asarray((with_text != draw_boxes(image, [box], [RED])).any(axis=2))


def test_the_label_sits_on_its_box() -> None:
    left, top, right, bottom = extent(label_only([30, 60, 140, 100], "car", blank()))
    assert (left, bottom) == (30, 59)
    assert top > 30
    assert right < 80


@pytest.mark.parametrize("box", [[150, 60, 160, 100], [30, 0, 90, 50], [0, 0, 160, 120], [-50, -50, 500, 500]])
def test_the_label_stays_in_the_picture(box: list[float]) -> None:
    whole = label_only([30, 60, 140, 110], "truck", blank())
    mask = label_only(box, "truck", blank())
    assert mask.sum() > 0.6 * whole.sum()  # what falls on the box's own line is not counted


def test_a_label_wider_than_the_picture_starts_at_its_edge() -> None:
    mask = label_only([10, 20, 30, 30], "a very long class name indeed", blank(32, 32))
    assert extent(mask)[0] == 0
    assert mask.any(axis=0).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 40), (40, 2), (32, 32), (2160, 3840)])
def test_pictures_of_any_size(shape: tuple[int, int]) -> None:
    picture = draw_boxes(blank(*shape), [[0, 0, shape[1], shape[0]]], [RED], ["person 0.92"])
    assert picture.shape == (*shape, 3)
    assert painted(picture).any()


def test_lines_and_letters_grow_with_the_picture() -> None:
    shapes = [(32, 32), (480, 640), (1080, 1920), (2160, 3840)]
    lines = [drawing_style(shape).line_width for shape in shapes]
    fonts = [drawing_style(shape).font_size for shape in shapes]
    assert lines == sorted(set(lines))
    assert fonts == sorted(set(fonts))
    assert (lines[0], fonts[0]) == (1, 10)


@pytest.mark.parametrize("text", ["person", "人物", "человек", "Straße", "자동차"])
def test_text_of_many_scripts_is_drawn(text: str) -> None:
    box = [10.0, 60.0, 150.0, 110.0]
    missing = draw_boxes(blank(), [box], [RED], ["?" * len(text)])
    assert not np.array_equal(draw_boxes(blank(), [box], [RED], [text]), missing)


def test_an_unknown_glyph_does_no_harm() -> None:
    draw_boxes(blank(), [[10, 60, 150, 110]], [RED], ["\U0001f600 \x00 \n"])


def test_letters_are_smooth() -> None:
    picture = draw_boxes(blank(), [[10, 60, 150, 110]], [RED], ["person"], text_color=(255, 255, 255))
    greens = np.unique(picture[46:58, 10:60, 1])
    assert len(greens) > 20  # many shades between the ground (0) and the letters (255)


def test_text_colour_can_be_chosen() -> None:
    picture = draw_boxes(blank(), [[10, 60, 150, 110]], [RED], ["III"], text_color=GREEN, font_size=30)
    assert (picture == GREEN).all(axis=2).any()


@pytest.mark.parametrize(("background", "expected"), [((0, 0, 0), 255), ((255, 255, 255), 16), ((0, 255, 255), 16)])
def test_text_colour_suits_the_background(background: Color, expected: int) -> None:
    assert drawing_style((480, 640)).ink_on(background) == (expected,) * 3


def contrast(one: Color, other: Color) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""
    low, high = sorted(float((np.array(c) / 255) ** 2.2 @ (0.0722, 0.7152, 0.2126)) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("color", PALETTE)
def test_every_label_can_be_read(color: Color) -> None:
    assert contrast(color, drawing_style((480, 640)).ink_on(color)) > 2.5


def test_palette_colours_differ_and_repeat() -> None:
    lab = cv2.cvtColor(np.array([PALETTE], np.float32) / 255, cv2.COLOR_BGR2Lab)[0]
    distances = [float(np.linalg.norm(a - b)) for a, b in itertools.combinations(lab, 2)]
    assert len(PALETTE) >= 20
    assert min(distances) > 15  # 2.3 is what an eye can just tell apart
    assert palette_color(len(PALETTE)) == palette_color(0) == PALETTE[0]


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        draw_boxes(blank(), [[1, 1, 5, 5]], [RED, GREEN])
    with pytest.raises(ValueError, match="zip"):
        draw_boxes(blank(), [[1, 1, 5, 5]], [RED], ["a", "b"])


@pytest.mark.slow
@settings(deadline=None, max_examples=examples(20))
@given(st.lists(st.tuples(*[st.floats(-1e9, 1e9)] * 4), max_size=4), st.text(max_size=12).filter(str.isprintable))
def test_any_boxes_and_texts(boxes: list[tuple[float, ...]], text: str) -> None:
    arguments = (np.reshape(boxes, (-1, 4)), [RED] * len(boxes), [text] * len(boxes))
    picture = draw_boxes(blank(40, 50), *arguments)
    assert np.array_equal(picture, draw_boxes(blank(40, 50), *arguments))


def test_the_font_weight_another_caller_used_does_not_matter() -> None:
    """OpenCV remembers the weight per thread; seen to fail when it is left to its default."""

    def draw(weight_used_before: int) -> bytes:
        cv2.putText(blank(), "W", (5, 40), RED, cv2.FontFace("sans"), 40, weight_used_before)
        return draw_boxes(blank(), [[10, 60, 150, 110]], [RED], ["person"]).tobytes()

    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert one.submit(draw, 400).result() == other.submit(draw, 800).result()


def test_threads_draw_the_same() -> None:
    """Each thread has its own size, so that one font used by two shows; seen to fail with a font they share."""
    sizes = [10, 13, 17, 22, 28, 35]
    texts = [f"person {i} 人物" for i in range(12)]

    def draw(size: int) -> list[bytes]:
        return [draw_boxes(blank(), [[10, 60, 150, 110]], [RED], [t], font_size=size).tobytes() for t in texts]

    expected = [draw(size) for size in sizes]
    barrier = Barrier(len(sizes))

    def draw_together(size: int) -> list[bytes]:
        barrier.wait(timeout=10)
        return draw(size)

    with ThreadPoolExecutor(len(sizes)) as pool:
        assert list(pool.map(draw_together, sizes)) == expected


def test_sizes_are_cut_and_nonsense_is_refused() -> None:
    boxes: tuple[Any, ...] = (blank(), [[20, 40, 90, 100]], [RED], ["person"])
    assert draw_boxes(*boxes, font_size=1e9, line_width=1e30).shape == blank().shape
    wrong: list[dict[str, Any]] = [{"line_width": float("nan")}, {"line_width": "a"}, {"font_size": float("inf")}]
    for options in [*wrong, {"text_color": "red"}, {"text_color": (1, 2)}]:
        with pytest.raises(InvalidOption):
            draw_boxes(*boxes, **options)
