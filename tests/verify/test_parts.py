"""The pure parts of `yoloom.verify`: answers, cases, steps, references, growth."""

from __future__ import annotations

import dataclasses
import math
import random
from collections import namedtuple
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import broken_models as broken
from yoloom import Results
from yoloom.errors import ImageDecodeError, InvalidTarget
from yoloom.testing import ManualClock
from yoloom.verify import Target, target_of
from yoloom.verify.answer import Answer, answer_of
from yoloom.verify.baseline import Unsteady
from yoloom.verify.cases import Case, NewSizes, Picture, combine, draw_option_sets, find_pictures, most_pictures
from yoloom.verify.check_settings import parse_settings
from yoloom.verify.first_calls import first_orders
from yoloom.verify.in_flight import InFlight
from yoloom.verify.leaks import MIB, MOST_SAMPLES, MemorySamples, Resources, at_rest, confirmed, find_leaks, grows
from yoloom.verify.pace import late_limit_s
from yoloom.verify.reference import Fault, Raised, References
from yoloom.verify.schedule import LEAST_AT_ONCE_S, RequestKind, seconds_at_once, steps

ROWS = np.arange(12, dtype=np.float32).reshape(2, 6)
IMAGE = np.zeros((8, 8, 3), np.uint8)


# ---- Answers


class Tensor:
    """What torch's looks like from outside."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return self._array


@dataclasses.dataclass
class Detections:
    """As supervision's: a dataclass with a member that may be missing."""

    xyxy: np.ndarray
    mask: Any = None


Pair = namedtuple("Pair", "boxes scores")


def ultralytics_results(**changes: Any) -> Any:
    members = {"masks": None, "probs": None, "keypoints": None, "obb": None, "speed": {"inference": 3.1}}
    about = {"orig_img": IMAGE, "orig_shape": (8, 8), "names": {0: "car"}, "path": "image0.jpg"}
    return SimpleNamespace(**{"boxes": SimpleNamespace(data=Tensor(ROWS)), **members, **about, **changes})


@pytest.mark.parametrize(
    "value",
    [
        ROWS, Tensor(ROWS), [ROWS], (ROWS, 1), {"boxes": ROWS, "label": "car"}, {"boxes": []}, [], 0.5, np.float32(0.5),
        [Results(IMAGE, "a.jpg", {}, ROWS)], ultralytics_results(), Detections(ROWS), Pair(ROWS, [0.5]), [[1, 2], [3]],
        np.ma.masked_array(ROWS), memoryview(ROWS),
    ],
)  # fmt: skip
def test_anything_that_results_are_made_of_is_an_answer(value: Any) -> None:
    first, second = answer_of(value), answer_of(value)
    assert first.digest == second.digest
    assert first.is_same(second, 0)
    assert first.difference(second) == 0
    assert first.describe()


@pytest.mark.parametrize(
    "value", [None, "three cars", b"bytes", object(), {1: object()}, [object()], SimpleNamespace(boxes=None)]
)
def test_anything_else_is_none(value: Any) -> None:
    with pytest.raises(InvalidTarget, match="an answer must be a Results"):
        answer_of(value)


def test_an_answer_is_a_copy() -> None:
    rows = ROWS.copy()
    answer = answer_of(rows)
    rows[0, 0] = 99
    assert answer.digest != answer_of(rows).digest
    assert answer.arrays[0][1][0, 0] == 0


def test_ultralytics_results_and_ours_are_read_alike() -> None:
    ours = answer_of([Results(IMAGE, "a.jpg", {0: "car"}, ROWS)])
    assert ours.digest == answer_of([ultralytics_results()]).digest


@pytest.mark.parametrize(
    "other", [{"orig_img": IMAGE + 1}, {"orig_img": IMAGE[:, :4]}, {"orig_shape": (8, 9)}, {"names": {0: "bus"}},
              {"masks": SimpleNamespace(data=ROWS)}],
)  # fmt: skip
def test_every_member_of_results_counts(other: dict[str, Any]) -> None:
    """Seen to pass as the same answer when boxes and masks alone were read."""
    assert answer_of(ultralytics_results()).digest != answer_of(ultralytics_results(**other)).digest


def test_what_differs_from_call_to_call_does_not() -> None:
    other = ultralytics_results(speed={"inference": 9.9}, path="image7.jpg")
    assert answer_of(ultralytics_results()).digest == answer_of(other).digest


def test_a_picture_is_held_as_its_digest() -> None:
    answer = answer_of(ultralytics_results(orig_img=np.zeros((480, 640, 3), np.uint8)))
    assert sum(array.nbytes for _, array in answer.arrays) < 500
    assert "orig_img" in answer.describe()


@pytest.mark.parametrize(
    "other",
    [ROWS[:1], ROWS.astype(np.float64), ROWS.T, ROWS.reshape(-1), [ROWS, ROWS], {"boxes": ROWS}, -ROWS, ROWS + 1],
)
def test_shape_dtype_name_and_every_bit_count(other: Any) -> None:
    assert answer_of(ROWS).digest != answer_of(other).digest
    assert not answer_of(ROWS).is_same(answer_of(other), 0)


def test_zero_and_minus_zero_are_different_bits_within_any_tolerance() -> None:
    plus, minus = answer_of(np.zeros(2)), answer_of(-np.zeros(2))
    assert not plus.is_same(minus, 0)
    assert plus.is_same(minus, 1e-12)


def test_the_difference_is_relative_above_one_and_absolute_below() -> None:
    assert answer_of(np.array([1000.0])).difference(answer_of(np.array([1001.0]))) == pytest.approx(1 / 1001)
    assert answer_of(np.array([0.001])).difference(answer_of(np.array([0.002]))) == pytest.approx(0.001)


def test_what_is_no_float_must_be_equal() -> None:
    assert answer_of([ROWS, 1]).difference(answer_of([ROWS, 2])) == math.inf
    assert answer_of(np.array([np.nan])).difference(answer_of(np.array([np.nan]))) == 0
    assert answer_of(np.array([np.nan])).difference(answer_of(np.array([1.0]))) == math.inf
    assert answer_of(ROWS).difference(answer_of(ROWS[:1])) == math.inf


# ---- Targets


def test_a_callable_gets_the_common_options_that_its_signature_takes() -> None:
    assert set(target_of(lambda image: image).options) == set()
    assert set(target_of(lambda image, conf: image).options) == {"conf"}
    assert set(target_of(lambda image, **options: image).options) == {"conf", "iou"}
    assert set(target_of(broken.Sound()).options) == {"conf", "iou"}
    assert target_of(len).options == {}


def test_a_target_is_callable_and_stays_itself() -> None:
    target = Target("mine", lambda image, conf: image * conf)
    assert target_of(target) is target
    assert target(2, conf=3) == 6


def test_an_unsteady_target_is_offered_a_tolerance_that_is_wide_enough() -> None:
    first: Any = None
    assert Unsteady(1, 9, 3e-6, first).offer == pytest.approx(1e-5)
    assert Unsteady(1, 9, 6e-6, first).offer == pytest.approx(1e-4)
    assert Unsteady(1, 9, 0.5, first).offer is None
    assert Unsteady(1, 9, math.inf, first).offer is None


# ---- Cases and steps


def pictures(count: int) -> list[Picture]:
    return [Picture(f"p{number}", np.full((4, 4, 3), number, np.uint8)) for number in range(count)]


GRID = {"conf": (0.1, 0.2, 0.3), "iou": (0.4, 0.5, 0.6), "max_det": (1, 300)}


def draw_cases(count: int, grid: Any, most: int, seed: int) -> list[Case]:
    return combine(pictures(count), draw_option_sets(grid, max(1, most // count), seed))


def test_cases_repeat_with_the_seed_and_differ_without() -> None:
    def drawn(seed: int) -> list[str]:
        return [str(case) for case in draw_cases(6, GRID, 36, seed)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert len(set(drawn(3))) == 36


def test_every_picture_has_every_set_of_options() -> None:
    """So an answer for another caller's options is among the references."""
    cases = draw_cases(6, GRID, 36, 0)
    sets = {repr(case.options) for case in cases}
    assert {(case.picture.name, repr(case.options)) for case in cases} == {
        (case.picture.name, options) for case in cases for options in sets
    }
    assert len(sets) == 6
    assert all(case.options.keys() == GRID.keys() for case in cases)
    assert [case.number for case in cases] == list(range(36))


@pytest.mark.parametrize(("count", "options", "expected"), [(1, GRID, 18), (2, GRID, 36), (5, GRID, 35), (3, {}, 3)])
def test_cases_are_as_many_as_there_can_be(count: int, options: Any, expected: int) -> None:
    assert len(draw_cases(count, options, 36, 0)) == expected


def test_only_pictures_that_are_asked_about_are_decoded(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(40)]
    for path in paths:
        path.write_bytes(b"no picture at all")
    with pytest.raises(ImageDecodeError):
        find_pictures(paths, most_pictures(GRID, 36), 0)
    sources: list[Any] = [*paths[:1], *[IMAGE] * 11]
    seeds = [seed for seed in range(40) if 0 not in random.Random(f"{seed}/pictures").sample(range(12), 6)]
    found = find_pictures(sources, most_pictures(GRID, 36), seeds[0])
    assert (len(found.whole), len(found.cropped), found.left_out) == (3, 3, 9)
    assert most_pictures({}, 36) == 36


def test_crops_are_parts_of_odd_widths_and_come_in_pairs() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    found = find_pictures([image, image[::-1]], 8, 3)
    assert (len(found.whole), len(found.cropped), found.left_out) == (2, 2, 0)
    first, second = (crop.pixels for crop in found.cropped)
    assert first.shape == second.shape
    assert first.shape[1] % 2 == 1
    assert first.flags.c_contiguous
    corners = [(y, x) for y in range(90 - first.shape[0] + 1) for x in range(120 - first.shape[1] + 1)]
    for crop in (first, second):
        parts = [whole[y : y + len(crop), x : x + crop.shape[1]] for whole in (image, image[::-1]) for y, x in corners]
        assert any(np.array_equal(crop, part) for part in parts)


def test_sizes_are_new_as_long_as_there_are_any() -> None:
    sizes = NewSizes(
        [Picture("a", np.zeros((60, 80, 3), np.uint8)), Picture("b", np.zeros((70, 50, 3), np.uint8))], "s"
    )
    seen = [sizes.crop(2)[0].pixels.shape for _ in range(40)]
    assert len(set(seen)) == 40
    assert all(shape[1] % 2 == 1 and shape[0] <= 60 and shape[1] <= 50 for shape in seen)
    tiny = NewSizes(pictures(1), "s")
    assert {crop.pixels.shape[1] for _ in range(30) for crop in tiny.crop(2)} <= {1, 3}


def test_first_calls_are_of_all_sizes_or_of_one() -> None:
    some = [Picture(str(side), np.zeros((side, side, 3), np.uint8)) for side in (4, 4, 7, 9)]
    cases = combine(some, [{"conf": 0.1}, {"conf": 0.2}, {"conf": 0.3}])
    mixed, same = (first_orders(cases, 8, instance, 0) for instance in (0, 1))
    assert len({order[0] for order in mixed}) == 8
    assert {cases[number].picture.name for order in same for number in order} == {"4"}
    assert all(len(set(order)) == len(order) == 2 for order in (*mixed, *same))
    assert first_orders(cases[:1], 8, 0, 0) == [[0]] * 8


def test_callers_begin_with_different_cases_and_go_through_all() -> None:
    plans = [list(islice(steps("seed", caller, 12), 1 + 12)) for caller in range(12)]
    assert sorted(plan[0].case for plan in plans) == list(range(12))
    for plan in plans:
        assert sorted(step.case for step in plan[1:]) == list(range(12))
    assert [plan[1].case for plan in plans] != [plans[0][1].case] * 12


def test_a_stream_has_several_pictures_with_one_set_of_options() -> None:
    cases = combine(pictures(3), [{"conf": 0.1}, {"conf": 0.2}])
    streams = [step.cases for step in islice(steps("k", 0, 6, [RequestKind.MAP], option_sets=2), 60)]
    assert {len(stream) for stream in streams} == {1, 2, 3, 4}
    for stream in streams:
        assert len({repr(cases[number].options) for number in stream}) == 1
        assert len({cases[number].picture.name for number in stream}) == min(3, len(stream))


def test_steps_repeat_with_the_seed() -> None:
    kinds = tuple(RequestKind)
    plan = list(islice(steps("k", 3, 10, kinds), 200))
    assert plan == list(islice(steps("k", 3, 10, kinds), 200))
    assert plan != list(islice(steps("l", 3, 10, kinds), 200))
    assert {step.kind for step in plan} == set(kinds)
    assert {step.kind for step in islice(steps("k", 3, 10), 200)} == {RequestKind.PREDICT}


def test_laps_are_as_many_as_fit() -> None:
    settings = parse_settings(threads=(1, 9), seconds=10)
    assert settings.laps(usual_s=0.001) == 6
    assert settings.laps(usual_s=0.25) == 5
    assert settings.laps(usual_s=5) == 2
    assert parse_settings(rounds=9).laps(usual_s=5) == 9


def test_the_limit_of_a_hang_grows_with_the_queue_unless_it_was_chosen() -> None:
    assert parse_settings().hang_after_s(64, slowest_s=0.01) == 30
    assert parse_settings().hang_after_s(64, slowest_s=1) == 256
    assert parse_settings(hang_after=2).hang_after_s(64, slowest_s=1) == 2


# ---- Whose answer


def references(tolerance: float = 0.0) -> References:
    """Two pictures, each with the same two sets of options; the last case raises."""
    first, second = pictures(2)
    cases = [
        Case(0, first, {"conf": 0.1}), Case(1, first, {"conf": 0.2}), Case(2, second, {"conf": 0.1}),
        Case(3, second, {"conf": 0.2}),
    ]  # fmt: skip
    answers: list[Any] = [answer_of(np.array([number, 0.5])) for number in range(3)]
    return References(cases, [*answers, Raised("ValueError")], tolerance)


def came(value: float) -> Answer:
    return answer_of(np.array([value, 0.5]))


def test_an_answer_is_compared_with_all_references() -> None:
    known = references()
    assert known.distinct == 3
    assert known.diagnose(0, came(0), {}) is None
    for value, fault, whose in ((1, Fault.OTHER_OPTIONS, 1), (2, Fault.OTHER_PICTURE, 2), (9, Fault.TORN, None)):
        diagnosis = known.diagnose(0, came(value), {})
        assert diagnosis is not None
        assert (diagnosis.fault, diagnosis.whose, diagnosis.by) == (fault, whose, None)
    assert known.raises(3, "ValueError")
    assert not known.raises(3, "TypeError")
    unraised = known.diagnose(3, came(1), {})
    assert unraised is not None
    assert unraised.fault is Fault.UNRAISED


MANY = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([MANY[::-1], MANY], Fault.REORDERED),
        ([MANY[[1, 0, 2, 3]], MANY[[3, 2, 1, 0]]], Fault.REORDERED),
        ([MANY[:3], MANY[:3]], Fault.ROWS_MISSING),
        ([MANY[[2, 0]], MANY], Fault.ROWS_MISSING),
        ([MANY[:0], MANY[:0]], Fault.EMPTY),
        ([MANY, MANY + 50], Fault.OTHER_MEMBER),  # the second array of case 1
        ([MANY + 100, MANY + 150], Fault.OTHER_OPTIONS),
        ([MANY[[0, 0, 2, 3]], MANY], Fault.TORN),
        ([MANY * 3, MANY], Fault.TORN),
        ([np.concatenate([MANY[:2], MANY[:2] + 100]), MANY], Fault.TORN),
    ],
)
@pytest.mark.parametrize("tolerance", [0.0, 1e-6])
def test_a_wrong_answer_has_a_name_of_its_own(value: Any, fault: Fault, tolerance: float) -> None:
    picture = pictures(1)[0]
    cases = [Case(number, picture, {"conf": number}) for number in range(3)]
    answers = [[MANY, MANY], [MANY + 200, MANY + 50], [MANY + 100, MANY + 150]]
    known = References(cases, [answer_of(answer) for answer in answers], tolerance)
    diagnosis = known.diagnose(0, answer_of(value), {})
    assert diagnosis is not None
    assert diagnosis.fault is fault
    assert diagnosis.members == (("1",) if fault is Fault.OTHER_MEMBER else ("0",) if fault is Fault.TORN else ())


def test_nothing_found_is_not_another_cases_answer() -> None:
    """Nothing says nothing about whose it is; with another's picture beside it, it does."""
    first, second = pictures(2)
    cases = [Case(0, first, {}), Case(1, second, {})]
    none = SimpleNamespace(data=ROWS[:0])
    known = References(
        cases,
        [answer_of(ultralytics_results()), answer_of(ultralytics_results(boxes=none, orig_img=IMAGE + 1))],
        0,
    )
    swallowed = known.diagnose(0, answer_of(ultralytics_results(boxes=none)), {})
    others = known.diagnose(0, answer_of(ultralytics_results(boxes=none, orig_img=IMAGE + 1)), {})
    assert swallowed is not None
    assert swallowed.fault is Fault.EMPTY
    assert others is not None
    assert (others.fault, others.whose) == (Fault.OTHER_PICTURE, 1)


def test_late_is_what_neither_queue_nor_load_explains() -> None:
    assert late_limit_s(usual_s=0.0001, alone_s=0.0001, callers=8, stalls_s=[0.001]) == 0.25
    assert late_limit_s(usual_s=0.02, alone_s=0.02, callers=1, stalls_s=[]) == pytest.approx(0.4)
    assert late_limit_s(usual_s=0.02, alone_s=0.02, callers=8, stalls_s=[]) == pytest.approx(3.2)
    assert late_limit_s(usual_s=0.0001, alone_s=0.0001, callers=8, stalls_s=[0.4, 0.1]) == pytest.approx(1.6)


def test_who_asked_for_it_is_named_also_when_only_options_were_mixed_up() -> None:
    asked = {3: 7}  # caller 7 asks about another picture, with case 1's options
    diagnosis = references().diagnose(0, came(1), asked)
    assert diagnosis is not None
    assert (diagnosis.whose, diagnosis.by) == (1, 7)
    diagnosis = references().diagnose(0, came(2), {2: 5})
    assert diagnosis is not None
    assert (diagnosis.whose, diagnosis.by) == (2, 5)


def test_within_a_tolerance_owners_are_found_by_distance() -> None:
    known = references(tolerance=1e-3)
    assert known.diagnose(0, came(0.0005), {}) is None
    diagnosis = known.diagnose(0, came(1.0005), {})
    assert diagnosis is not None
    assert diagnosis.whose == 1


def test_the_table_of_requests_knows_who_is_late_and_what_others_ask_for() -> None:
    clock = ManualClock()
    in_flight = InFlight(clock)
    in_flight.begin(0, 4)
    clock.advance(3)
    in_flight.begin(1, 5)
    assert [flight.caller for flight in in_flight.overdue(2)] == [0]
    assert in_flight.asked_by_others(1) == {4: 0}
    in_flight.end(0)
    assert in_flight.overdue(2) == []
    assert in_flight.asked_by_others(1) == {4: 0}, "just before counts too"
    assert in_flight.asked_by_others(0) == {5: 1}


# ---- Growth


def laps(*memory_mib: float, blocks: int = 0, threads: int = 0) -> list[Resources]:
    return [
        Resources(1000 * lap, int(mib * MIB), 50_000 + blocks * lap, 4 + threads * lap, 9)
        for lap, mib in enumerate(memory_mib)
    ]


@pytest.mark.parametrize(
    ("memory", "leaks"),
    [
        ((100, 110, 120, 130, 140, 150), True),
        ((100, 300, 300, 300, 300, 300), False),  # the first lap warms up
        ((100, 110, 150, 150, 150, 150), False),  # a cache that was filled late
        ((100, 110, 111, 110, 111, 112), False),
        ((100, 110, 130, 100, 140, 90), False),
        ((100, 110, 122, 120, 132, 141), True),  # one step back
        ((100, 110, 120, 130), False),  # too few
    ],
)
def test_only_steady_growth_is_a_leak(memory: tuple[float, ...], leaks: bool) -> None:
    found = find_leaks(laps(*memory))
    assert [leak.what for leak in found] == ["bytes of memory"] * leaks


def test_small_objects_and_threads_leak_too() -> None:
    flat = (100.0,) * 6
    [leak] = find_leaks(laps(*flat, blocks=1500))
    assert (leak.what, leak.per_request) == ("blocks of Python objects", 1.5)
    assert find_leaks(laps(*flat, blocks=300)) == []
    [leak] = find_leaks(laps(*flat, threads=1))
    assert (leak.what, leak.total) == ("threads", 4)


def test_growth_that_slows_down_is_no_leak() -> None:
    first = find_leaks(laps(100, 110, 130, 150, 170, 190))
    assert confirmed(first, find_leaks(laps(190, 210, 230, 250, 270, 290))) != []
    assert confirmed(first, find_leaks(laps(190, 200, 206, 212, 218, 224))) == [], "24 MiB where there were 80"
    assert confirmed(first, find_leaks(laps(190, 190, 190, 190, 190, 190))) == []
    assert confirmed([], first) == []


def test_nothing_grows_without_a_floor_being_reached() -> None:
    assert not grows([0, 0, 0, 0], 1)
    assert not grows([0, 1, 2, 3], 10)
    assert grows([0, 5, 10, 15], 10)


def test_the_process_is_counted() -> None:
    rest = at_rest(3)
    assert rest.requests == 3
    assert rest.blocks > 1000
    assert rest.threads >= 1


# ---- Memory over time


def test_samples_stay_few() -> None:
    clock = ManualClock()
    samples = MemorySamples(clock)
    for _ in range(20_000):
        clock.advance(0.05)
        samples()
    taken = samples.read()
    assert MOST_SAMPLES / 2 <= len(taken) < MOST_SAMPLES
    assert taken[-1][0] > 900


@pytest.mark.parametrize(
    ("asked_s", "passed_s", "expected_s"),
    [(20.0, 3.0, 17.0), (10.0, 9.5, 5.0), (10.0, 60.0, 5.0), (3.0, 9.0, LEAST_AT_ONCE_S), (0.5, 1.0, 0.5)],
)
def test_a_check_keeps_to_its_seconds_as_a_whole(asked_s: float, passed_s: float, expected_s: float) -> None:
    """Seen to take 15 of 10 seconds: what came before the concurrent runs was not counted."""
    assert seconds_at_once(asked_s, passed_s) == expected_s
