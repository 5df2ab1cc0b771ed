"""Half a minute of `tests/support/stress.py`; it runs for as long as it is asked to by itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from stress import FaultyBackend, Stress, open_files, opened_with, two_models
from yoloom.testing import shaken


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Thousands of faults are logged."""
    log = logging.getLogger("yoloom")
    before = log.level
    log.setLevel(logging.CRITICAL + 1)
    yield
    log.setLevel(before)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_at_once(tmp_path: Path) -> None:
    backend, files = FaultyBackend(seed=1), open_files()
    with opened_with(backend):
        found = Stress(two_models(tmp_path), backend, threads=256, tasks=256, seed=1).run(8, 100, 2, 3)
    assert found["outcomes"]["result"] >= 100
    assert open_files() <= files + 2  # the event loop's


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_at_once_while_threads_are_switched_all_the_time(tmp_path: Path) -> None:
    """Seen to fail when `cancel` ends what somebody else has taken out."""
    backend = FaultyBackend(seed=2)
    with shaken(), opened_with(backend):
        found = Stress(two_models(tmp_path), backend, threads=64, tasks=64, seed=2).run(5, 20, 1, 2)
    assert found["outcomes"]["result"] >= 20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_everything_at_once_on_the_real_runtime(tmp_path: Path) -> None:
    found = Stress(two_models(tmp_path), None, threads=32, tasks=32, seed=3).run(5, 20, 1, 2)
    assert found["outcomes"]["result"] >= 20
