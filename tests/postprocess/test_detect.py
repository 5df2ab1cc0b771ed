"""Raw outputs → detections: strict filters, one form of rows, and never a change to what came in."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yoloom.errors import InvalidModel, InvalidOutput
from yoloom.options import PredictOptions
from yoloom.postprocess.detect import candidates, detect, detect_end2end, detect_raw
from yoloom.postprocess.detections import OutputLayout
from yoloom.postprocess.nms import MAX_CANDIDATES
from yoloom.testing import barrier_run, shaken

CANVAS_HW = (640, 640)
Head = Callable[..., np.ndarray]


def raw(*anchors: tuple[float, ...]) -> np.ndarray:
    """An output (4 + nc, A) from one (cx, cy, w, h, scores...) for each anchor."""
    return np.array(anchors, np.float32).T.copy()


def random_raw(seed: int, anchors: int = 300, classes: int = 5) -> np.ndarray:
    random = np.random.default_rng(seed)
    boxes = random.uniform([0, 0, 5, 5], [640, 640, 200, 200], (anchors, 4))
    return np.hstack([boxes, random.uniform(0, 1, (anchors, classes)) ** 3]).T.astype(np.float32)


# ---- Raw


def test_row_of_one_anchor() -> None:
    rows = detect_raw(raw((50, 40, 20, 10, 0.125, 0.75)), PredictOptions(), None)
    assert rows.dtype == np.float32
    assert rows.tolist() == [[40, 35, 60, 45, 0.75, 1]]


def test_best_first() -> None:
    rows = detect_raw(raw((50, 50, 9, 9, 0.5), (150, 50, 9, 9, 0.875), (250, 50, 9, 9, 0.75)), PredictOptions(), None)
    assert rows[:, 4].tolist() == [0.875, 0.75, 0.5]


@pytest.mark.parametrize("conf", [0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 1.0])
def test_score_equal_to_conf_is_dropped(conf: float) -> None:
    """In float32, as Ultralytics compares them."""
    above = np.nextafter(np.float32(conf), np.float32(2))
    output = raw((50, 50, 9, 9, conf), (150, 50, 9, 9, above))
    assert detect_raw(output, PredictOptions(conf=conf), None)[:, 4].tolist() == [above]
    rows = np.array([[0, 0, 9, 9, above, 0], [0, 0, 9, 9, conf, 0]], np.float32)
    assert detect_end2end(rows, PredictOptions(conf=conf), None)[:, 4].tolist() == [above]


def test_first_of_equal_classes_wins() -> None:
    assert detect_raw(raw((50, 50, 9, 9, 0.5, 0.75, 0.75)), PredictOptions(), None)[0, 5] == 1


@given(hnp.arrays(np.float32, st.integers(1, 30), elements=st.sampled_from([0.0, 0.25, 0.5, math.inf, math.nan])))
def test_equal_scores_keep_their_order(scores: np.ndarray) -> None:
    """Zeros are not above `conf`, and neither is a score that is no number."""
    anchors = np.arange(len(scores), dtype=np.float32)
    rows = candidates(
        np.stack([anchors, *np.ones((3, len(scores)), np.float32), scores]), 1, PredictOptions(conf=0), None
    )
    expected = sorted((index for index in range(len(scores)) if scores[index] > 0), key=lambda i: (-scores[i], i))
    assert rows[:, 0].tolist() == expected


def test_first_of_equal_anchors_wins() -> None:
    rows = detect_raw(raw((50, 50, 40, 40, 0.5), (52, 50, 40, 40, 0.5), (300, 50, 40, 40, 0.5)), PredictOptions(), None)
    assert rows[:, 0].tolist() == [30, 280]


@pytest.mark.parametrize(("keep", "classes"), [(None, [0, 1]), ({0}, [0]), ({1, 9}, [1]), ({7}, []), (frozenset(), [])])
def test_class_filter(keep: frozenset[int] | None, classes: list[int]) -> None:
    output = raw((50, 50, 9, 9, 0.75, 0), (150, 50, 9, 9, 0, 0.5))
    rows = detect_raw(output, PredictOptions(), keep)
    assert rows[:, 5].tolist() == classes
    assert rows.shape == (len(classes), 6)
    end2end = np.array([[0, 0, 9, 9, 0.75, 0], [0, 0, 9, 9, 0.5, 1]], np.float32)
    assert detect_end2end(end2end, PredictOptions(), keep)[:, 5].tolist() == classes


def test_class_filter_takes_the_best_class_only() -> None:
    """An anchor that is most likely a 0 is not reported as a 1, however likely that is."""
    assert len(detect_raw(raw((50, 50, 9, 9, 0.75, 0.5)), PredictOptions(), {1})) == 0


def test_a_filtered_class_suppresses_nothing() -> None:
    output = raw((50, 50, 40, 40, 0.75, 0), (50, 50, 40, 40, 0, 0.5))
    assert detect_raw(output, PredictOptions(agnostic_nms=True), None)[:, 5].tolist() == [0]
    assert detect_raw(output, PredictOptions(agnostic_nms=True), {1})[:, 5].tolist() == [1]
    assert detect_raw(output, PredictOptions(), None)[:, 5].tolist() == [0, 1]


def test_max_det() -> None:
    output = random_raw(0)
    everything = detect_raw(output, PredictOptions(), None)
    assert len(everything) > 10
    assert np.array_equal(detect_raw(output, PredictOptions(max_det=1), None), everything[:1])
    assert np.array_equal(detect_raw(output, PredictOptions(max_det=7), None), everything[:7])


def test_more_candidates_than_nms_takes() -> None:
    """The worst are dropped by rank: the best one is the last anchor."""
    count = MAX_CANDIDATES + 5000
    scores = np.linspace(0.3, 0.9, count, dtype=np.float32)
    x, y = np.divmod(np.arange(count), 200)
    output = np.stack([x * 10, y * 10, np.full(count, 8), np.full(count, 8), scores]).astype(np.float32)
    rows = detect_raw(output, PredictOptions(max_det=50), None)
    assert rows[:, 4].tolist() == scores[:-51:-1].tolist()


def test_candidates_are_the_best_ones_and_carry_what_else_there_is() -> None:
    count = MAX_CANDIDATES + 3
    output = np.zeros((8, count), np.float32)
    output[5] = np.linspace(0.3, 0.9, count)
    output[7] = np.arange(count)
    rows = candidates(output, 2, PredictOptions(), None)
    assert rows.shape == (MAX_CANDIDATES, 8)
    assert rows[:, 7].tolist() == list(range(count - 1, 2, -1))
    assert (rows[:, 5] == 1).all()


@pytest.mark.parametrize("anchors", [0, 5])
def test_nothing_found(anchors: int) -> None:
    rows = detect_raw(np.zeros((6, anchors), np.float32), PredictOptions(), None)
    assert rows.shape == (0, 6)
    assert rows.dtype == np.float32


@pytest.mark.parametrize("keep", [None, {0}])
def test_scores_that_are_no_numbers(keep: set[int] | None) -> None:
    output = raw(
        (50, 50, 9, 9, np.nan, 0.5),
        (150, 50, 9, 9, np.inf, 0.5),
        (250, 50, 9, 9, -np.inf, -np.inf),
        (350, 50, 9, 9, 0.5, 0),
    )
    assert detect_raw(output, PredictOptions(), keep)[:, 4].tolist() == [np.inf, 0.5]


def test_boxes_that_are_no_numbers() -> None:
    """They come out as what they are, without a warning, beside the others."""
    output = raw(
        (np.inf, 50, np.inf, 9, 0.75), (np.nan, 50, 9, 9, 0.5), (250, 50, 3e38, 3e38, 0.375), (50, 50, 9, 9, 0.3125)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = detect_raw(output, PredictOptions(), None)
    assert rows[:, 4].tolist() == [0.75, 0.5, 0.375, 0.3125]


@given(
    hnp.arrays(np.float32, st.tuples(st.integers(5, 8), st.integers(0, 20)), elements=st.floats(width=32)),
    st.booleans(),
)
def test_any_numbers_at_all(output: np.ndarray, agnostic: bool) -> None:
    before = output.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = detect_raw(output, PredictOptions(agnostic_nms=agnostic), None)
    assert output.tobytes() == before
    assert rows.shape[1] == 6
    assert (rows[:, 4] > 0.25).all()
    assert (np.diff(rows[:, 4][np.isfinite(rows[:, 4])]) <= 0).all()
    assert set(rows[:, 5]) <= set(range(output.shape[0] - 4))


@given(st.integers(0, 1000))
def test_order_of_the_anchors_does_not_matter(seed: int) -> None:
    """While no two scores are equal."""
    output = random_raw(seed, anchors=60)
    order = np.random.default_rng(seed).permutation(60)
    expected = detect_raw(output, PredictOptions(), None)
    assert detect_raw(np.ascontiguousarray(output[:, order]), PredictOptions(), None).tobytes() == expected.tobytes()


@pytest.mark.parametrize("options", [PredictOptions(), PredictOptions(conf=0.05, iou=0.4, agnostic_nms=True)])
def test_same_bits_every_time_and_in_every_thread(options: PredictOptions) -> None:
    output = random_raw(1, anchors=1000)
    output.flags.writeable = False
    expected = detect_raw(output, options, None).tobytes()
    assert detect_raw(output, options, None).tobytes() == expected
    assert detect_raw(np.asfortranarray(output), options, None).tobytes() == expected
    with shaken():
        assert barrier_run(8, lambda _: detect_raw(output, options, None).tobytes()) == [expected] * 8


# ---- End to end


def test_padding_rows_are_dropped_even_at_conf_0() -> None:
    rows = np.zeros((10, 6), np.float32)
    rows[0] = [1, 2, 3, 4, 0.5, 2]
    assert detect_end2end(rows, PredictOptions(conf=0.0), None).tolist() == [[1, 2, 3, 4, 0.5, 2]]
    assert detect_end2end(np.zeros((10, 6), np.float32), PredictOptions(), None).shape == (0, 6)


def test_end2end_keeps_the_order_of_the_graph_and_suppresses_nothing() -> None:
    rows = np.array([[0, 0, 9, 9, 0.5, 0], [0, 0, 9, 9, 0.75, 0], [0, 0, 9, 9, np.nan, 0]], np.float32)
    assert detect_end2end(rows, PredictOptions(), None)[:, 4].tolist() == [0.5, 0.75]
    assert len(detect_end2end(rows, PredictOptions(max_det=1), None)) == 1


@pytest.mark.parametrize("keep", [None, {0}])
@pytest.mark.parametrize(("head", "output"), [(detect_raw, random_raw(2)), (detect_end2end, random_raw(3, 40, 2).T)])
def test_rows_belong_to_the_caller(head: Head, output: np.ndarray, keep: set[int] | None) -> None:
    before = output.tobytes()
    rows = head(output, PredictOptions(conf=0.0), keep)
    assert rows.dtype == np.float32
    assert not np.shares_memory(rows, output)
    rows[...] = -1
    assert output.tobytes() == before


# ---- Rows that were ranked in the graph


def ranked(output: np.ndarray, classes: int) -> np.ndarray:
    """(A, 6 + extras) as a graph ranks the anchors: the score down, the first of equals first, no numbers last."""
    scores = output[4 : 4 + classes]
    best = np.where(np.isnan(scores.max(axis=0)), np.float32(-1), scores.max(axis=0))
    columns = [output[:4], best[None], scores.argmax(axis=0)[None], output[4 + classes :]]
    rows: np.ndarray = np.concatenate(columns).T.astype(np.float32)
    return rows[np.argsort(-rows[:, 4], kind="stable")]


@pytest.mark.parametrize("keep", [None, {0, 2}, frozenset()])
@pytest.mark.parametrize("options", [PredictOptions(conf=0.3), PredictOptions(conf=0.0, agnostic_nms=True, iou=0.2)])
def test_ranked_rows_give_the_bits_of_the_raw_output(options: PredictOptions, keep: set[int] | None) -> None:
    for seed in range(4):
        output = random_raw(seed)
        output[4:, ::7] = output[4:, [3]]  # anchors with equal scores
        rows = detect(ranked(output, 5), OutputLayout(False, 5, ranked=True), 0, CANVAS_HW, options, keep)
        assert rows.tobytes() == detect(output, OutputLayout(False, 5), 0, CANVAS_HW, options, keep).tobytes()


def test_a_score_that_is_no_number_is_refused_ranked_or_not() -> None:
    output = random_raw(0)
    output[5, 11] = np.nan
    for rows, layout in (
        (ranked(output, 5), OutputLayout(False, 5, ranked=True)),
        (output, OutputLayout(False, 5)),
    ):
        with pytest.raises(InvalidOutput, match="score"):
            detect(rows, layout, 0, CANVAS_HW, PredictOptions(), None)


def test_ranked_rows_of_another_shape() -> None:
    with pytest.raises(InvalidModel, match="rows of 4 box values, score, class and 2 more values"):
        detect(np.zeros((3, 6), np.float32), OutputLayout(False, 5, ranked=True), 2, CANVAS_HW, PredictOptions(), None)
