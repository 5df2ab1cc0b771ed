"""Durations in fixed memory: quantiles within 3 % of those of all the values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoloom.telemetry.histogram import LARGEST_MS, SMALLEST_MS, Distribution, Histogram
from yoloom.testing import barrier_run, shaken

WITHIN = 0.03


def distribution(durations_ms: list[float]) -> Distribution:
    histogram = Histogram()
    half = len(durations_ms) // 2
    histogram.record(durations_ms[:half])
    histogram.record(durations_ms[half:])
    return histogram.distribution()


@given(st.lists(st.floats(SMALLEST_MS, LARGEST_MS), min_size=1, max_size=300))
def test_quantiles_are_those_of_numpy_within_three_percent(durations_ms: list[float]) -> None:
    found = distribution(durations_ms)
    expected = np.percentile(durations_ms, [50, 95, 99], method="inverted_cdf")
    np.testing.assert_allclose([found.p50_ms, found.p95_ms, found.p99_ms], expected, rtol=WITHIN)


@given(st.lists(st.floats(-1.0, 1e9), min_size=1, max_size=100))
def test_count_mean_and_maximum_are_exact(durations_ms: list[float]) -> None:
    found = distribution(durations_ms)
    counted = [max(duration_ms, 0.0) for duration_ms in durations_ms]
    assert (found.count, found.max_ms) == (len(counted), max(counted))
    assert found.mean_ms == pytest.approx(math.fsum(counted) / len(counted))


@given(st.lists(st.floats(0.0, 1e9), min_size=1, max_size=100))
def test_quantiles_ascend_to_the_maximum(durations_ms: list[float]) -> None:
    found = distribution(durations_ms)
    assert 0.0 <= found.p50_ms <= found.p95_ms <= found.p99_ms <= found.max_ms


@given(st.lists(st.floats(-1.0, 1e9), max_size=100))
def test_one_by_one_is_counted_like_many_at_once(durations_ms: list[float]) -> None:
    together, single = Histogram(), Histogram()
    together.record(durations_ms)
    for duration_ms in durations_ms:
        single.add(duration_ms)
    first, second = together.distribution(), single.distribution()
    assert (first.count, first.max_ms) == (second.count, second.max_ms)
    # An edge between two buckets may fall to either of them, by the last bit of a logarithm.
    np.testing.assert_allclose(
        [second.mean_ms, second.p50_ms, second.p99_ms], [first.mean_ms, first.p50_ms, first.p99_ms], rtol=0.07
    )


def test_merged_histograms_are_those_of_all_durations() -> None:
    times = np.random.default_rng(0).lognormal(1, 1, 5000).tolist()
    some, others, together = Histogram(), Histogram(), Histogram()
    some.record(times[:2000])
    others.record(times[2000:])
    together.record(times)
    some.merge(others)
    found, expected = some.distribution(), together.distribution()
    assert found.mean_ms == pytest.approx(expected.mean_ms)
    assert replace(found, mean_ms=0.0) == replace(expected, mean_ms=0.0)
    assert others.distribution().count == 3000


def test_two_histograms_may_be_merged_into_each_other_at_once() -> None:
    """Seen to hang with both locks held at the same time."""
    pair = Histogram(), Histogram()
    with shaken():
        barrier_run(2, lambda index: [pair[index].merge(pair[1 - index]) for _ in range(300)])


def test_nothing_recorded_is_all_zeros() -> None:
    assert Histogram().distribution() == Distribution(0, 0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("duration_ms", [0.0, -3.0, 1e-9])
def test_less_than_a_microsecond_reads_as_no_more_than_itself(duration_ms: float) -> None:
    found = distribution([duration_ms])
    assert found.p50_ms == found.max_ms == max(duration_ms, 0.0)


def test_weeks_read_as_ten_hours() -> None:
    assert distribution([1e9]).p50_ms == pytest.approx(LARGEST_MS, rel=0.1)
    assert distribution([math.inf]).max_ms == math.inf


def test_a_histogram_does_not_grow() -> None:
    histogram = Histogram()
    size = len(histogram._counts)
    for exponent in range(-10, 12):
        histogram.record([10.0**exponent])
    assert len(histogram._counts) == size


def test_threads_lose_no_count() -> None:
    """Holds without the lock too where a GIL is, which no code here may lean on."""
    histogram = Histogram()

    def record(index: int) -> None:
        for _ in range(2000):
            histogram.record([float(index + 1)])

    with shaken():
        barrier_run(8, record)
    found = histogram.distribution()
    assert (found.count, found.mean_ms) == (16000, pytest.approx(4.5))
